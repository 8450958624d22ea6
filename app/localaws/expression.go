package localaws

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/truora/minidyn/interpreter/language"
	"github.com/truora/minidyn/types"
)

// expressions are the placeholders of a request, with which its expressions are evaluated.
//
// minidyn's lexer, parser and evaluator do the work. What differs from DynamoDB is put right here:
// minidyn takes an undefined placeholder for an absent attribute, so that a misspelt
// attribute_not_exists(#id) holds; refuses a whole condition for a comparison of different types or
// a function of an absent attribute, which DynamoDB calls false; ignores what follows a complete
// condition; panics on a function without arguments; REMOVE removes nothing; and SET reads what the
// actions before it have set, and stores NULL for what is absent.
type expressions struct {
	names  map[string]string
	values attributes
}

// named is an expression of a request and the parameter that held it, nil if it was absent.
type named struct {
	parameter string
	text      *string
}

// check makes sure that each expression is made of known tokens, and that its placeholders are
// exactly those that the request defines.
func (e expressions) check(all ...named) error {
	if err := checkValues(e.values); err != nil {
		return err
	}
	used, present := map[string]bool{}, false
	for _, x := range all {
		if x.text == nil {
			continue
		}
		present = true
		if strings.TrimSpace(*x.text) == "" {
			return validation("Invalid %s: The expression can not be empty;", x.parameter)
		}
		lexer := language.NewLexer(*x.text)
		for t := lexer.NextToken(); t.Type != language.EOF; t = lexer.NextToken() {
			_, isName := e.names[t.Literal]
			_, isValue := e.values[t.Literal]
			switch {
			case t.Type == language.ILLEGAL:
				return validation("Invalid %s: Syntax error; token: %q", x.parameter, t.Literal)
			case strings.HasPrefix(t.Literal, "#") && !isName:
				return validation("Invalid %s: An expression attribute name used in the document path is not defined; attribute name: %s", x.parameter, t.Literal)
			case strings.HasPrefix(t.Literal, ":") && !isValue:
				return validation("Invalid %s: An expression attribute value used in expression is not defined; attribute value: %s", x.parameter, t.Literal)
			}
			used[t.Literal] = true
		}
	}
	if err := unused("ExpressionAttributeNames", "#", slices.Sorted(maps.Keys(e.names)), used, present); err != nil {
		return err
	}
	return unused("ExpressionAttributeValues", ":", slices.Sorted(maps.Keys(e.values)), used, present)
}

func unused(parameter, mark string, keys []string, used map[string]bool, present bool) error {
	if len(keys) > 0 && !present {
		return validation("%s can only be specified when using expressions", parameter)
	}
	for _, k := range keys {
		if !strings.HasPrefix(k, mark) {
			return validation("%s contains invalid key: Syntax error; key: %q", parameter, k)
		}
		if !used[k] {
			return validation("Value provided in %s unused in expressions: keys: {%s}", parameter, k)
		}
	}
	return nil
}

// environment holds what an expression can name: the item's attributes and the values. minidyn can
// not hold some values that DynamoDB can (an empty binary): they count as absent.
func (e expressions) environment(item attributes) *language.Environment {
	env := language.NewEnvironment()
	for _, values := range []attributes{item, e.values} {
		for name, v := range values {
			_ = env.AddAttributes(attributes{name: v})
		}
	}
	maps.Copy(env.Aliases, e.names)
	return env
}

// condition is a parsed condition, key condition or filter.
type condition struct {
	parameter string
	root      language.Expression
	with      expressions
}

// parse returns nil for an absent expression.
func (e expressions) parse(x named) (c *condition, err error) {
	if x.text == nil {
		return nil, nil
	}
	defer refuse(x.parameter, &err)
	// In parentheses, minidyn's parser takes one expression and nothing after it.
	p := language.NewParser(language.NewLexer("(" + *x.text + ")"))
	root := p.ParseConditionalExpression().Expression
	if len(p.Errors()) > 0 || root == nil {
		return nil, validation("Invalid %s: Syntax error; %s", x.parameter, strings.Join(p.Errors(), "; "))
	}
	return &condition{parameter: x.parameter, root: root, with: e}, nil
}

// refuse turns a panic of minidyn's interpreter, which some wrong expressions cause, into the error
// that DynamoDB has for them.
func refuse(parameter string, err *error) {
	if r := recover(); r != nil {
		*err = validation("Invalid %s: Syntax error; %v", parameter, r)
	}
}

// match reports whether a condition holds for an item; an absent condition always does.
func (c *condition) match(item attributes) (ok bool, err error) {
	if c == nil {
		return true, nil
	}
	defer refuse(c.parameter, &err)
	ok, err = evaluate(c.root, c.with.environment(item))
	if err != nil {
		return false, validation("Invalid %s: %v", c.parameter, err)
	}
	return ok, nil
}

func evaluate(n language.Expression, env *language.Environment) (bool, error) {
	switch n := n.(type) {
	case *language.InfixExpression:
		if n.Operator == language.AND || n.Operator == language.OR {
			left, err := evaluate(n.Left, env)
			if err != nil {
				return false, err
			}
			right, err := evaluate(n.Right, env)
			if n.Operator == language.AND {
				return left && right, err
			}
			return left || right, err
		}
		o, err := operands(env, n.Left, n.Right)
		if err != nil {
			return false, err
		}
		if absent(o[0]) || absent(o[1]) || o[0].Type() != o[1].Type() {
			return n.Operator == language.NotEQ, nil
		}
	case *language.PrefixExpression:
		ok, err := evaluate(n.Right, env)
		return !ok, err
	case *language.BetweenExpression:
		o, err := operands(env, n.Left, n.Range[0], n.Range[1])
		if err != nil {
			return false, err
		}
		if o[0].Type() != o[1].Type() || o[0].Type() != o[2].Type() {
			return false, nil
		}
	case *language.CallExpression:
		switch function := n.Function.String(); function {
		case "begins_with", "contains", "attribute_type":
			if len(n.Arguments) != 2 {
				return false, fmt.Errorf("Incorrect number of operands for operator or function; operator or function: %s", function) //nolint:staticcheck // the text is AWS'
			}
			o, err := operands(env, n.Arguments...)
			if err != nil {
				return false, err
			}
			path, argument := o[0], o[1]
			if absent(path) {
				return false, nil
			}
			if function == "begins_with" && path.Type() != argument.Type() {
				return false, nil
			}
			if container, ok := path.(language.ContainerObject); function == "contains" && (!ok || !container.CanContain(argument.Type())) {
				return false, nil
			}
		}
	}
	switch result := language.Eval(n, env).(type) {
	case *language.Boolean:
		return result.Value, nil
	case *language.Error:
		return false, errors.New(reason(result))
	}
	return false, fmt.Errorf("Syntax error; not a condition: %s", n.String()) //nolint:staticcheck // in the manner of AWS' texts
}

// operands evaluates the sides of a comparison. The size of what has none is absent.
func operands(env *language.Environment, all ...language.Expression) ([]language.Object, error) {
	objects := make([]language.Object, len(all))
	for i, n := range all {
		objects[i] = language.Eval(n, env)
		if wrong, ok := objects[i].(*language.Error); ok {
			if call, ok := n.(*language.CallExpression); !ok || call.Function.String() != "size" {
				return nil, errors.New(reason(wrong))
			}
			objects[i] = language.UNDEFINED
		}
	}
	return objects, nil
}

// reason returns what was wrong, in DynamoDB's words where they help: that of a reserved word.
func reason(e *language.Error) string {
	word, ok := strings.CutPrefix(e.Message, "reserved word ")
	if ok {
		word, _, _ = strings.Cut(word, " ")
		return "Attribute name is a reserved keyword; reserved keyword: " + word
	}
	return e.Message
}

func absent(o language.Object) bool { return language.IsUndefinedObject(o) }

// partition returns the value that a key condition asks of the partition key.
func (c *condition) partition(k keyAttribute) (*types.Item, error) {
	var find func(n language.Expression) *types.Item
	find = func(n language.Expression) *types.Item {
		infix, ok := n.(*language.InfixExpression)
		if !ok {
			return nil
		}
		switch infix.Operator {
		case language.AND:
			if v := find(infix.Left); v != nil {
				return v
			}
			return find(infix.Right)
		case language.EQ:
			left, isLeft := infix.Left.(*language.Identifier)
			right, isRight := infix.Right.(*language.Identifier)
			if isLeft && isRight && c.with.resolve(left.Value) == k.name {
				return c.with.values[right.Value]
			}
		}
		return nil
	}
	v := find(c.root)
	if v == nil {
		return nil, validation("Query condition missed key schema element: %s", k.name)
	}
	if typeOf(v) != k.kind {
		return nil, validation("One or more parameter values were invalid: Condition parameter type does not match schema type")
	}
	return v, nil
}

func (e expressions) resolve(name string) string {
	if resolved, ok := e.names[name]; ok {
		return resolved
	}
	return name
}

// projection are the paths of a ProjectionExpression; nil stands for the whole item.
type projection [][]language.PathElement

func (e expressions) parseProjection(text *string) (p projection, err error) {
	if text == nil {
		return nil, nil
	}
	const parameter = "ProjectionExpression"
	defer refuse(parameter, &err)
	parser := language.NewParser(language.NewLexer(*text))
	all := parser.ParseProjectionExpression()
	if len(parser.Errors()) > 0 {
		return nil, validation("Invalid %s: Syntax error; %s", parameter, strings.Join(parser.Errors(), "; "))
	}
	env := e.environment(nil)
	for _, x := range all {
		// Of an empty environment, the one error is that of a reserved word.
		if wrong, ok := language.Eval(x, env).(*language.Error); ok {
			return nil, validation("Invalid %s: %s", parameter, reason(wrong))
		}
		path, err := language.ExtractPath(x, env)
		if err != nil {
			return nil, validation("Invalid %s: Syntax error; %v", parameter, err)
		}
		p = append(p, path)
	}
	return p, nil
}

// of returns the part of an item that the projection names.
func (p projection) of(item attributes) attributes {
	if p == nil {
		return item
	}
	out := attributes{}
	for _, path := range p {
		if v := follow(&types.Item{M: item}, path); v != nil {
			language.SetProjectedPath(out, path, *v)
		}
	}
	for _, v := range out {
		closeGaps(v)
	}
	return out
}

func follow(v *types.Item, path []language.PathElement) *types.Item {
	for _, step := range path {
		switch {
		case v == nil:
			return nil
		case step.Kind == language.PathKindMapKey:
			v = v.M[step.Key]
		case step.Index < int64(len(v.L)):
			v = v.L[step.Index]
		default:
			return nil
		}
	}
	return v
}

// closeGaps takes out the elements before a projected one, for which minidyn leaves nil.
func closeGaps(v *types.Item) {
	if v.L != nil {
		v.L = slices.DeleteFunc(slices.Clone(v.L), func(e *types.Item) bool { return e == nil })
	}
	for _, e := range v.L {
		closeGaps(e)
	}
	for _, e := range v.M {
		closeGaps(e)
	}
}

// update applies an UpdateExpression to item, in place, and returns the names of the attributes
// that it names as targets.
func (e expressions) update(text string, k []keyAttribute, item attributes) (targets map[string]bool, err error) {
	const parameter = "UpdateExpression"
	defer refuse(parameter, &err)
	p := language.NewUpdateParser(language.NewLexer(text))
	statement := p.ParseUpdateExpression()
	root, ok := statement.Expression.(*language.UpdateExpression)
	if len(p.Errors()) > 0 || !ok {
		return nil, validation("Invalid %s: Syntax error; %s", parameter, strings.Join(p.Errors(), "; "))
	}
	sort := ""
	if len(k) > 1 {
		sort = k[1].name
	}
	if err := language.ValidateUpdateExpressionDoesNotTargetPrimaryKey(text, e.names, k[0].name, sort); err != nil {
		return nil, validation(err.Error())
	}
	original, reads := maps.Clone(item), e.environment(item)
	env := e.environment(item)
	if wrong, ok := language.EvalUpdate(statement, env).(*language.Error); ok {
		return nil, validation("Invalid %s: %s", parameter, reason(wrong))
	}
	// minidyn computes with float64 and writes the whole item back. Only what the expression names
	// is taken from it.
	out, values := attributes{}, map[string]bool{}
	for name := range e.values {
		values[name] = true
	}
	env.Apply(out, e.names, values)
	targets = map[string]bool{}
	for _, x := range root.Expressions {
		action, ok := x.(*language.ActionExpression)
		if !ok {
			return nil, fmt.Errorf("%T is no action", x)
		}
		name := e.resolve(rootOf(action.Left).TokenLiteral())
		targets[name] = true
		v := out[name]
		if action.Token.Type == language.SET {
			set, err := e.operand(action.Right, original, reads)
			if err != nil {
				return nil, err
			}
			if _, whole := action.Left.(*language.Identifier); whole {
				v = set
			}
		}
		if _, kept := out[name]; kept {
			item[name] = v
		} else {
			delete(item, name)
		}
	}
	return targets, nil
}

// operand returns what SET assigns. Like DynamoDB, and unlike minidyn, it reads the item as it was
// before the update, copies values as they are, and refuses an absent attribute.
func (e expressions) operand(n language.Expression, original attributes, reads *language.Environment) (*types.Item, error) {
	if id, ok := n.(*language.Identifier); ok {
		if v := e.values[id.Value]; v != nil {
			return v, nil
		}
		if v := original[e.resolve(id.Value)]; v != nil {
			return v, nil
		}
	}
	o := language.EvalUpdate(n, reads)
	if _, wrong := o.(*language.Error); wrong || absent(o) {
		return nil, validation("The provided expression refers to an attribute that does not exist in the item")
	}
	v := o.ToDynamoDB()
	return &v, nil
}

// rootOf returns the attribute that a path begins with.
func rootOf(path language.Expression) language.Expression {
	for {
		index, ok := path.(*language.IndexExpression)
		if !ok {
			return path
		}
		path = index.Left
	}
}
