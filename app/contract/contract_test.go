package contract_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/contract"
)

// A shop is another service than the API.
type shop struct {
	Port           int
	Orders, Stock  string
	Images, Export string
}

const clerk contract.Role = "clerk"

func (s *shop) rows() []contract.Row {
	return []contract.Row{
		contract.Integer(&s.Port, 1, 9).Of("PORT", "5", "port").Former("SHOP_PORT"),
		contract.Table(&s.Orders, "orders", "number").Of("ORDERS", "orders", "table of the orders").
			Allow(clerk, "dynamodb:GetItem"),
		contract.Table(&s.Stock, "stock", "article").Of("STOCK", "stock", "table of the articles").
			Allow(clerk, "dynamodb:Query").Allow("auditor", "dynamodb:Scan"),
		contract.Bucket(&s.Images, "images").Of("IMAGES", "images", "bucket of the images").
			AllowObjects(clerk, "small/", "s3:GetObject").AllowList(clerk, "small/"),
		contract.Bucket(&s.Export, "export").Of("EXPORT", "export", "bucket of the exports").
			Allow(clerk, "s3:ListBucket"),
	}
}

// Ensure a service with several tables and buckets has a policy for each role, whose statements
// have names of their own.
func TestPolicyOf(t *testing.T) {
	t.Parallel()
	require.NoError(t, contract.Check((*shop).rows))
	s, _, err := contract.Load([]string{"STOCK=goods"}, (*shop).rows, nil)
	require.NoError(t, err)
	in := contract.Location{Partition: "aws", Region: "eu-central-1", Account: "123456789012"}
	resources := contract.Resources(s.rows())
	got, err := json.Marshal(contract.PolicyOf(clerk, resources, in))
	require.NoError(t, err)
	const tables = "arn:aws:dynamodb:eu-central-1:123456789012:table/"
	assert.JSONEq(t, `{"Version":"2012-10-17","Statement":[
		{"Sid":"Orders","Effect":"Allow","Action":["dynamodb:GetItem"],"Resource":["`+tables+`orders"]},
		{"Sid":"Stock","Effect":"Allow","Action":["dynamodb:Query"],"Resource":["`+tables+`goods"]},
		{"Sid":"Images","Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::images/small/*"]},
		{"Sid":"Bucket","Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::images"],
			"Condition":{"StringEquals":{"s3:prefix":"small/"}}},
		{"Sid":"Bucket2","Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::export"]}]}`, string(got))
	assert.Len(t, contract.PolicyOf("auditor", resources, in).Statement, 1)
	assert.Equal(t, []string{"images", "export"}, contract.Names(resources, contract.BucketKind))
}

// Ensure the help has each setting's variable, meaning, allowed values and former variables, and
// the variables of libraries.
func TestHelp(t *testing.T) {
	t.Parallel()
	secret := contract.Text(new(string), "", "a `text`").Of("KEY", "", "key").Hidden()
	rows := slices.Concat(new(shop).rows()[:2], []contract.Row{secret})
	runtime := []contract.RuntimeVariable{{Variable: "GOGC", Reader: "Go runtime", Meaning: "as `100`"}}
	assert.Equal(t, `  PORT    port
          must be a whole number from 1 to 9; default 5
          SHOP_PORT is still accepted
  ORDERS  table of the orders
          must be 3 to 255 letters, digits, _, . or -; default orders
  KEY     key
          must be a text; secret

Read by others than the API's own code:
  GOGC (Go runtime): as 100
`, contract.Help(contract.Settings(rows), runtime))
}

// Ensure a text with a control character is refused, even if its pattern matches.
func TestTextHasNoControlCharacters(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"a\rb", "a\x00b", "a\nb", "a\x7fb", "a\u0085b"} {
		var s string
		assert.False(t, contract.Text(&s, `(?s)^.*$`, "anything").Parse(value), "%q", value)
	}
}

// Ensure a row that is wrong is named with what is wrong with it.
func TestCheck(t *testing.T) {
	t.Parallel()
	type pair struct{ A, B string }
	type row = contract.Row
	text := func(field *string) contract.Row { return contract.Text(field, `^[a-z]+$`, "letters").Like("x") }
	a := func(c *pair) row { return text(&c.A).Of("A", "a", "a letter") }
	b := func(c *pair) row { return text(&c.B).Of("B", "b", "a letter") }
	table := func(c *pair) row { return contract.Table(&c.B, "bees", "id").Of("B", "bees", "bees") }
	for want, second := range map[string]func(*pair) row{
		"row 2: the variable must be capitals":         func(c *pair) row { return text(&c.B) },
		"b: the variable must be capitals":             func(c *pair) row { return text(&c.B).Of("b", "b", "a letter") },
		"B: no meaning":                                func(c *pair) row { return text(&c.B).Of("B", "b", "") },
		"B: another row has the same field":            func(c *pair) row { return text(&c.A).Of("B", "b", "a letter") },
		"the field B has no row":                       func(c *pair) row { return text(&c.A).Of("B", "b", "a letter") },
		"A: another row has A too":                     func(c *pair) row { return text(&c.B).Of("A", "b", "a letter") },
		"B: another row has A too":                     func(c *pair) row { return b(c).Former("A") },
		`B: "9" must be letters`:                       func(c *pair) row { return text(&c.B).Of("B", "9", "a letter") },
		`B: "8" must be letters`:                       func(c *pair) row { return b(c).Like("8") },
		"B: no example but the default":                func(c *pair) row { return text(&c.B).Of("B", "x", "a letter") },
		`B: the default "http://b/" must be written "`: func(c *pair) row { return contract.URL(&c.B).Of("B", "http://b/", "b") },
		"B: no role may do anything with it":           table,
		`B: the id "" of the resource must be`:         func(c *pair) row { return contract.Table(&c.B, "", "id").Of("B", "bees", "b") },
		`B: a table with the key ""`:                   func(c *pair) row { return contract.Table(&c.B, "bees", "").Of("B", "bees", "b") },
		"B: a permission without a role":               func(c *pair) row { return table(c).Allow("", "dynamodb:Scan") },
		`B: the action "s3:Scan" must begin`:           func(c *pair) row { return table(c).Allow(clerk, "s3:Scan") },
	} {
		err := contract.Check(func(c *pair) []contract.Row { return []contract.Row{a(c), second(c)} })
		assert.ErrorContains(t, err, want)
	}
	assert.NoError(t, contract.Check(func(c *pair) []contract.Row {
		return []contract.Row{a(c), table(c).Allow(clerk, "dynamodb:Scan")}
	}))
	assert.ErrorContains(t, contract.Check(func(c *pair) []contract.Row {
		bees := func(field *string, variable string) contract.Row {
			return contract.Table(field, "bees", "id").Of(variable, "bees", "bees").Allow(clerk, "dynamodb:Scan")
		}
		return []contract.Row{bees(&c.A, "A"), bees(&c.B, "B")}
	}), `B: another resource is called "bees"`)
}
