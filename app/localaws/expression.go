package localaws

import (
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
// condition; panics on a function without arguments; and REMOVE removes nothing.
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
	used, any := map[string]bool{}, false
	for _, x := range all {
		if x.text == nil {
			continue
		}
		any = true
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
	if err := unused("ExpressionAttributeNames", "#", slices.Sorted(maps.Keys(e.names)), used, any); err != nil {
		return err
	}
	return unused("ExpressionAttributeValues", ":", slices.Sorted(maps.Keys(e.values)), used, any)
}

func unused(parameter, mark string, keys []string, used map[string]bool, any bool) error {
	if len(keys) > 0 && !any {
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
		left, right := operand(n.Left, env), operand(n.Right, env)
		for _, o := range []language.Object{left, right} {
			if e, wrong := o.(*language.Error); wrong {
				return false, fmt.Errorf("%s", e.Message)
			}
		}
		if absent(left) || absent(right) || left.Type() != right.Type() {
			return n.Operator == language.NotEQ, nil
		}
	case *language.PrefixExpression:
		ok, err := evaluate(n.Right, env)
		return !ok, err
	case *language.BetweenExpression:
		v, low, high := operand(n.Left, env), operand(n.Range[0], env), operand(n.Range[1], env)
		if v.Type() != low.Type() || v.Type() != high.Type() {
			return false, nil
		}
	case *language.CallExpression:
		switch function := n.Function.String(); function {
		case "begins_with", "contains", "attribute_type":
			if len(n.Arguments) != 2 {
				return false, fmt.Errorf("Incorrect number of operands for operator or function; operator or function: %s", function)
			}
			path, argument := operand(n.Arguments[0], env), operand(n.Arguments[1], env)
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
		return false, fmt.Errorf("%s", result.Message)
	}
	return false, fmt.Errorf("Syntax error; not a condition: %s", n.String())
}

// operand evaluates one side of a comparison. The size of what has none is absent.
func operand(n language.Expression, env *language.Environment) language.Object {
	o := language.Eval(n, env)
	if _, wrong := o.(*language.Error); wrong {
		if call, ok := n.(*language.CallExpression); ok && call.Function.String() == "size" {
			return language.UNDEFINED
		}
	}
	return o
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
			return nil, validation("Invalid %s: %s", parameter, wrong.Message)
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
	env := e.environment(item)
	if wrong, ok := language.EvalUpdate(statement, env).(*language.Error); ok {
		return nil, validation("Invalid %s: %s", parameter, wrong.Message)
	}
	// minidyn computes with float64 and writes the whole item back. Only what the expression names
	// is taken from it, and a value that is merely set is taken as it was sent.
	out, values := attributes{}, map[string]bool{}
	for name := range e.values {
		values[name] = true
	}
	env.Apply(out, e.names, values)
	targets = map[string]bool{}
	for _, x := range root.Expressions {
		action := x.(*language.ActionExpression)
		target := action.Left
		for {
			index, ok := target.(*language.IndexExpression)
			if !ok {
				break
			}
			target = index.Left
		}
		name := e.resolve(target.TokenLiteral())
		targets[name] = true
		v, kept := out[name]
		if value, ok := action.Right.(*language.Identifier); ok && target == action.Left && action.Token.Type == language.SET && e.values[value.Value] != nil {
			v = e.values[value.Value]
		}
		if kept {
			item[name] = v
		} else {
			delete(item, name)
		}
	}
	return targets, nil
}
