package localaws_test

import (
	"context"
	"encoding/json"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func put(db *dynamodb.Client, i item) error {
	_, err := db.PutItem(context.Background(), &dynamodb.PutItemInput{TableName: aws.String(table), Item: i})
	return err
}

func get(t testing.TB, db *dynamodb.Client, key string) item {
	t.Helper()
	out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(table), Key: id(key), ConsistentRead: aws.Bool(true)})
	require.NoError(t, err)
	return out.Item
}

// Ensure what is put is what is got, of every type, empty strings, lists and maps too, and that
// numbers keep all their digits.
func TestItem_RoundTrip(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	i := item{
		"id":     text("1"),
		"empty":  text(""),
		"text":   text("<\"\\\u0001 é 🦊 &>"),
		"number": number("12345678901234567890.123456789"),
		"zero":   number("0"),
		"small":  number("0.00042"),
		"bytes":  &types.AttributeValueMemberB{Value: []byte{0, 255}},
		"true":   &types.AttributeValueMemberBOOL{Value: true},
		"false":  &types.AttributeValueMemberBOOL{Value: false},
		"null":   &types.AttributeValueMemberNULL{Value: true},
		"list":   &types.AttributeValueMemberL{Value: []types.AttributeValue{text("a"), number("1")}},
		"none":   &types.AttributeValueMemberL{Value: []types.AttributeValue{}},
		"map":    &types.AttributeValueMemberM{Value: item{"a": text("b")}},
		"nobody": &types.AttributeValueMemberM{Value: item{}},
		"set":    &types.AttributeValueMemberSS{Value: []string{"a", "b"}},
		"ns":     &types.AttributeValueMemberNS{Value: []string{"1", "2.5"}},
		"bs":     &types.AttributeValueMemberBS{Value: [][]byte{{1}, {2}}},
	}
	require.NoError(t, put(db, i))
	assert.Equal(t, i, get(t, db, "1"))
	assert.Nil(t, get(t, db, "2"))
}

// Ensure numbers are answered in their canonical form.
func TestItem_Numbers(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	for sent, want := range map[string]string{
		"1.50": "1.5", "007": "7", "-0": "0", "+3": "3", "1E3": "1000", "1.5e-3": "0.0015", ".5": "0.5", "-12.30": "-12.3",
	} {
		require.NoError(t, put(db, item{"id": text("1"), "n": number(sent)}), sent)
		assert.Equal(t, number(want), get(t, db, "1")["n"], sent)
	}
	for _, wrong := range []string{"", "x", "1e", "0x1", "--1", "1e200", "1e-200", strings.Repeat("1", 39)} {
		requireCode(t, "ValidationException", put(db, item{"id": text("1"), "n": number(wrong)}))
	}
}

// Ensure items that DynamoDB refuses are refused, with its messages.
func TestPutItem_Validation(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	for message, i := range map[string]item{
		"cannot contain an empty string value. Key: id":     id(""),
		"Missing the key id in the item":                    {"name": text("x")},
		"Type mismatch for key id expected: S actual: N":    {"id": number("1")},
		"Size of hashkey has exceeded":                      id(strings.Repeat("k", 2049)),
		"Item size has exceeded the maximum allowed size":   {"id": text("1"), "x": text(strings.Repeat("x", 400<<10))},
		"An string set  may not be empty":                   {"id": text("1"), "x": &types.AttributeValueMemberSS{Value: []string{}}},
		"contains duplicates":                               {"id": text("1"), "x": &types.AttributeValueMemberSS{Value: []string{"a", "a"}}},
		"Null attribute value types must have the value of": {"id": text("1"), "x": &types.AttributeValueMemberNULL{}},
	} {
		e := requireCode(t, "ValidationException", put(db, i))
		assert.Contains(t, e.ErrorMessage(), message)
	}
	// The names "id" and "x" are 3 bytes, the value of the key is 1.
	require.NoError(t, put(db, item{"id": text("1"), "x": text(strings.Repeat("x", 400<<10-4))}))
	requireCode(t, "ValidationException", put(db, item{"id": text("1"), "x": text(strings.Repeat("x", 400<<10-3))}))
}

// Ensure PutItem answers the old item when asked, and nothing otherwise.
func TestPutItem_ReturnValues(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	require.NoError(t, put(db, item{"id": text("1"), "v": number("1")}))
	out, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(table), Item: item{"id": text("1"), "v": number("2")}})
	require.NoError(t, err)
	assert.Nil(t, out.Attributes)
	out, err = db.PutItem(t.Context(), &dynamodb.PutItemInput{
		TableName: aws.String(table), Item: item{"id": text("1"), "v": number("3")}, ReturnValues: types.ReturnValueAllOld,
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
	})
	require.NoError(t, err)
	assert.Equal(t, number("2"), out.Attributes["v"])
	assert.InDelta(t, 1, *out.ConsumedCapacity.CapacityUnits, 0)
	_, err = db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(table), Item: id("1"), ReturnValues: types.ReturnValueAllNew})
	assert.Equal(t, "ReturnValues can only be ALL_OLD or NONE", requireCode(t, "ValidationException", err).ErrorMessage())
}

// Ensure conditions hold and fail as DynamoDB's do, of absent attributes and of other types too.
func TestConditions(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	stored := item{
		"id": text("1"), "status": text("active"), "count": number("7"),
		"tags": &types.AttributeValueMemberL{Value: []types.AttributeValue{text("a")}},
		"deep": &types.AttributeValueMemberM{Value: item{"a": text("b")}},
	}
	require.NoError(t, put(db, stored))
	for expression, want := range map[string]bool{
		"attribute_exists(id)":                        true,
		"attribute_not_exists(id)":                    false,
		"attribute_exists(nope)":                      false,
		"attribute_not_exists(nope) AND #s = :active": true,
		"attribute_not_exists(id) OR #s = :active":    true,
		"NOT attribute_exists(nope)":                  true,
		"NOT (#s = :active AND attribute_exists(id))": false,
		"nope = :active":                              false,
		"nope <> :active":                             true,
		"nope < :active":                              false,
		"nope >= :active":                             false,
		"#s = :seven":                                 false,
		"#s <> :seven":                                true,
		"#s < :seven":                                 false,
		"#c = :seven and #s = :active":                true,
		"#c < :seven":                                 false,
		"#c <= :seven":                                true,
		"#c BETWEEN :seven AND :seven":                true,
		"nope BETWEEN :seven AND :seven":              false,
		"#s BETWEEN :seven AND :seven":                false,
		"#s IN (:seven, :active)":                     true,
		"nope IN (:seven, :active)":                   false,
		"begins_with(#s, :act)":                       true,
		"begins_with(nope, :act)":                     false,
		"begins_with(#c, :act)":                       false,
		"contains(tags, :a)":                          true,
		"contains(nope, :a)":                          false,
		"contains(#c, :a)":                            false,
		"attribute_type(#s, :S)":                      true,
		"attribute_type(nope, :S)":                    false,
		"size(#s) < :seven":                           true,
		"size(nope) < :seven":                         false,
		"deep.a = :b":                                 true,
		"tags[0] = :a":                                true,
	} {
		in := &dynamodb.DeleteItemInput{
			TableName: aws.String(table), Key: id("1"), ConditionExpression: aws.String(expression),
			ExpressionAttributeNames: map[string]string{}, ExpressionAttributeValues: item{},
		}
		for k, v := range map[string]string{"#s": "status", "#c": "count"} {
			if strings.Contains(expression, k) {
				in.ExpressionAttributeNames[k] = v
			}
		}
		values := item{":active": text("active"), ":act": text("act"), ":seven": number("7"), ":a": text("a"), ":b": text("b"), ":S": text("S")}
		for k, v := range values {
			for _, word := range strings.FieldsFunc(expression, func(r rune) bool { return strings.ContainsRune(" (),", r) }) {
				if word == k {
					in.ExpressionAttributeValues[k] = v
				}
			}
		}
		if len(in.ExpressionAttributeNames) == 0 {
			in.ExpressionAttributeNames = nil
		}
		if len(in.ExpressionAttributeValues) == 0 {
			in.ExpressionAttributeValues = nil
		}
		_, err := db.DeleteItem(t.Context(), in)
		if want {
			assert.NoError(t, err, expression)
			require.NoError(t, put(db, stored))
		} else {
			var failed *types.ConditionalCheckFailedException
			assert.ErrorAs(t, err, &failed, expression)
		}
	}
}

// Ensure wrong expressions are refused, where minidyn takes some and panics on others.
func TestExpressions_Validation(t *testing.T) {
	t.Parallel()
	a, url := start(t)
	db := dynamoClient(url)
	require.NoError(t, put(db, id("1")))
	for expression, message := range map[string]string{
		"attribute_not_exists(#id)":          "attribute name used in the document path is not defined; attribute name: #id",
		"id = :v":                            "attribute value used in expression is not defined; attribute value: :v",
		"":                                   "The expression can not be empty",
		"attribute_exists()":                 "Invalid ConditionExpression: Syntax error",
		"attribute_exists(id) id":            "Invalid ConditionExpression: Syntax error",
		"attribute_exists(id":                "Invalid ConditionExpression: Syntax error",
		"id":                                 "Invalid ConditionExpression: Syntax error",
		"exists(id)":                         "Invalid ConditionExpression",
		"begins_with(id)":                    "Incorrect number of operands",
		"attribute_exists(id) & true":        "Syntax error; token",
		"if_not_exists(id, id)":              "not allowed in a condition expression",
		"user = id":                          "USER",
		"attribute_exists(id) AND AND":       "Invalid ConditionExpression: Syntax error",
		"tags[99] = id OR id BETWEEN id AND": "Invalid ConditionExpression: Syntax error",
	} {
		_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(table), Item: id("1"), ConditionExpression: aws.String(expression)})
		e := requireCode(t, "ValidationException", err)
		assert.Contains(t, e.ErrorMessage(), message, expression)
	}
	for body, message := range map[string]string{
		`{"TableName":"users","Item":{"id":{"S":"1"}},"ConditionExpression":"attribute_exists(id)","ExpressionAttributeNames":{"#x":"y"}}`: "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}",
		`{"TableName":"users","Item":{"id":{"S":"1"}},"ExpressionAttributeNames":{"#x":"y"}}`:                                              "ExpressionAttributeNames can only be specified when using expressions",
		`{"TableName":"users","Item":{"id":{"S":"1"}},"ConditionExpression":"attribute_exists(id)","ExpressionAttributeNames":{"x":"y"}}`:  "contains invalid key",
		`{"TableName":"users","Item":{"id":null}}`:                                                   "Supplied AttributeValue is empty",
		`{"TableName":"users","Item":{"id":{}}}`:                                                     "Supplied AttributeValue is empty",
		`{"TableName":"users","Item":{"id":{"S":"a","N":"1"}}}`:                                      "more than one datatypes set",
		`{"TableName":"users","Item":{"id":{"S":"1"}},"ReturnValues":"SOME"}`:                        "at 'returnValues' failed to satisfy constraint",
		`{"TableName":"users","Item":{"id":{"S":"1"}},"ReturnValuesOnConditionCheckFailure":"SOME"}`: "at 'returnValuesOnConditionCheckFailure'",
		`{"TableName":"users","Item":{"id":{"S":"1"}},"Expected":{"id":{"Exists":false}}}`:           "takes expressions, not the legacy",
	} {
		w := do(a, "POST", "/", body, map[string]string{"X-Amz-Target": "DynamoDB_20120810.PutItem"})
		assert.Equal(t, http.StatusBadRequest, w.Code, body)
		assert.Contains(t, w.Body.String(), message)
	}
}

func update(db *dynamodb.Client, key, expression string, names map[string]string, values item, more ...func(*dynamodb.UpdateItemInput)) (item, error) {
	in := &dynamodb.UpdateItemInput{
		TableName: aws.String(table), Key: id(key), UpdateExpression: aws.String(expression),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values, ReturnValues: types.ReturnValueAllNew,
	}
	for _, f := range more {
		f(in)
	}
	out, err := db.UpdateItem(context.Background(), in)
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

// Ensure SET, REMOVE, ADD and DELETE change what they name and nothing else, where minidyn removes
// nothing and rounds every number of the item.
func TestUpdateItem(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	exact := number("12345678901234567890.123456789")
	require.NoError(t, put(db, item{
		"id": text("1"), "name": text("old"), "gone": text("x"), "exact": exact, "n": number("1"),
		"none": &types.AttributeValueMemberL{Value: []types.AttributeValue{}},
		"m":    &types.AttributeValueMemberM{Value: item{"a": text("1"), "b": text("2")}},
		"ss":   &types.AttributeValueMemberSS{Value: []string{"a", "b"}},
	}))
	got, err := update(db, "1", "SET #n = :n, big = :big, m.a = :n, fresh = if_not_exists(fresh, :n) REMOVE gone, m.b ADD n :one DELETE ss :b",
		map[string]string{"#n": "name"},
		item{":n": text("new"), ":big": exact, ":one": number("1"), ":b": &types.AttributeValueMemberSS{Value: []string{"b"}}})
	require.NoError(t, err)
	want := item{
		"id": text("1"), "name": text("new"), "big": exact, "exact": exact, "n": number("2"), "fresh": text("new"),
		"none": &types.AttributeValueMemberL{Value: []types.AttributeValue{}},
		"m":    &types.AttributeValueMemberM{Value: item{"a": text("new")}},
		"ss":   &types.AttributeValueMemberSS{Value: []string{"a"}},
	}
	assert.Equal(t, want, got)
	assert.Equal(t, want, get(t, db, "1"))
}

// Ensure SET reads the item as it was before the update.
func TestUpdateItem_ReadsBefore(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	require.NoError(t, put(db, item{"id": text("1"), "a": text("A"), "b": number("12345678901234567890")}))
	got, err := update(db, "1", "SET a = b, b = a", nil, nil)
	require.NoError(t, err)
	assert.Equal(t, item{"id": text("1"), "a": number("12345678901234567890"), "b": text("A")}, got)
	_, err = update(db, "1", "SET a = nope", nil, nil)
	assert.Contains(t, requireCode(t, "ValidationException", err).ErrorMessage(), "refers to an attribute that does not exist")
}

// Ensure UpdateItem makes an item that is not there, and a condition can forbid it.
func TestUpdateItem_Absent(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	_, err := update(db, "1", "SET a = :a", nil, item{":a": text("x")}, func(in *dynamodb.UpdateItemInput) {
		in.ConditionExpression = aws.String("attribute_exists(id)")
	})
	requireCode(t, "ConditionalCheckFailedException", err)
	assert.Nil(t, get(t, db, "1"))
	got, err := update(db, "1", "SET a = :a", nil, item{":a": text("x")})
	require.NoError(t, err)
	assert.Equal(t, item{"id": text("1"), "a": text("x")}, got)
}

// Ensure each kind of ReturnValues answers what it says.
func TestUpdateItem_ReturnValues(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	for kind, want := range map[types.ReturnValue]item{
		types.ReturnValueNone:       nil,
		types.ReturnValueAllOld:     {"id": text("1"), "a": text("old"), "b": text("same")},
		types.ReturnValueAllNew:     {"id": text("1"), "a": text("new"), "b": text("same")},
		types.ReturnValueUpdatedOld: {"a": text("old")},
		types.ReturnValueUpdatedNew: {"a": text("new")},
	} {
		require.NoError(t, put(db, item{"id": text("1"), "a": text("old"), "b": text("same")}))
		got, err := update(db, "1", "SET a = :a", nil, item{":a": text("new")}, func(in *dynamodb.UpdateItemInput) { in.ReturnValues = kind })
		require.NoError(t, err)
		assert.Equal(t, want, got, kind)
	}
}

// Ensure an update that fails leaves the item as it was.
func TestUpdateItem_Validation(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	was := item{"id": text("1"), "a": text("x")}
	require.NoError(t, put(db, was))
	for expression, message := range map[string]string{
		"SET id = :v":                     "Cannot update attribute id. This attribute is part of the key",
		"SET b = :v, a = a + :v":          "Invalid UpdateExpression",
		"SET b = :v SET c = :v":           "Invalid UpdateExpression",
		"SET":                             "Invalid UpdateExpression",
		"b = :v":                          "Invalid UpdateExpression",
		"SET b = :v, c = size(:v)":        "Invalid UpdateExpression",
		"SET b = :v, status = :v":         "STATUS",
		"SET b = :v, a.b.c = :v":          "Invalid UpdateExpression",
		"SET b = :v, c = list_append(:v)": "Invalid UpdateExpression",
	} {
		_, err := update(db, "1", expression, nil, item{":v": text("v")})
		if !strings.Contains(expression, ":v") {
			_, err = update(db, "1", expression, nil, nil)
		}
		assert.Contains(t, requireCode(t, "ValidationException", err).ErrorMessage(), message, expression)
		assert.Equal(t, was, get(t, db, "1"))
	}
	_, err := update(db, "1", "SET b = :v", nil, item{":v": text(strings.Repeat("x", 400<<10))})
	assert.Contains(t, requireCode(t, "ValidationException", err).ErrorMessage(), "Item size to update has exceeded")
}

// Ensure a failed condition tells what is there, when asked and when something is.
func TestReturnValuesOnConditionCheckFailure(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	there := item{"id": text("1"), "by": text("first"), "none": &types.AttributeValueMemberL{Value: []types.AttributeValue{}}}
	require.NoError(t, put(db, there))
	all := types.ReturnValuesOnConditionCheckFailureAllOld
	fails := map[string]func(types.ReturnValuesOnConditionCheckFailure, string) error{
		"put": func(r types.ReturnValuesOnConditionCheckFailure, key string) error {
			_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(table), Item: id(key), ConditionExpression: aws.String("attribute_exists(nope)"), ReturnValuesOnConditionCheckFailure: r})
			return err
		},
		"delete": func(r types.ReturnValuesOnConditionCheckFailure, key string) error {
			_, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(table), Key: id(key), ConditionExpression: aws.String("attribute_exists(nope)"), ReturnValuesOnConditionCheckFailure: r})
			return err
		},
		"update": func(r types.ReturnValuesOnConditionCheckFailure, key string) error {
			_, err := db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String(table), Key: id(key), UpdateExpression: aws.String("REMOVE x"), ConditionExpression: aws.String("attribute_exists(nope)"), ReturnValuesOnConditionCheckFailure: r})
			return err
		},
	}
	for name, fail := range fails {
		var failed *types.ConditionalCheckFailedException
		require.ErrorAs(t, fail(all, "1"), &failed, name)
		assert.Equal(t, "The conditional request failed", failed.ErrorMessage())
		assert.Equal(t, there, failed.Item, name)
		require.ErrorAs(t, fail("", "1"), &failed, name)
		assert.Nil(t, failed.Item, name)
		require.ErrorAs(t, fail(all, "2"), &failed, name)
		assert.Nil(t, failed.Item, name)
	}
}

// Ensure DeleteItem of nothing is no error, and answers the old item when asked.
func TestDeleteItem(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	require.NoError(t, put(db, id("1")))
	in := &dynamodb.DeleteItemInput{TableName: aws.String(table), Key: id("1"), ReturnValues: types.ReturnValueAllOld}
	out, err := db.DeleteItem(t.Context(), in)
	require.NoError(t, err)
	assert.Equal(t, id("1"), out.Attributes)
	out, err = db.DeleteItem(t.Context(), in)
	require.NoError(t, err)
	assert.Nil(t, out.Attributes)
	in.Key = item{"id": text("1"), "name": text("x")}
	_, err = db.DeleteItem(t.Context(), in)
	assert.Equal(t, "The provided key element does not match the schema", requireCode(t, "ValidationException", err).ErrorMessage())
}

// Ensure a projection reaches into lists and maps.
func TestGetItem_Projection(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	require.NoError(t, put(db, item{
		"id": text("1"), "name": text("n"),
		"l": &types.AttributeValueMemberL{Value: []types.AttributeValue{text("a"), text("b"), text("c")}},
		"m": &types.AttributeValueMemberM{Value: item{"a": text("1"), "b": text("2")}},
	}))
	out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String(table), Key: id("1"), ProjectionExpression: aws.String("#n, l[2], m.b, nope, l[9]"),
		ExpressionAttributeNames: map[string]string{"#n": "name"},
	})
	require.NoError(t, err)
	assert.Equal(t, item{
		"name": text("n"),
		"l":    &types.AttributeValueMemberL{Value: []types.AttributeValue{text("c")}},
		"m":    &types.AttributeValueMemberM{Value: item{"b": text("2")}},
	}, out.Item)
	assert.Len(t, get(t, db, "1")["l"].(*types.AttributeValueMemberL).Value, 3)
}

// Ensure concurrent writes and reads of the same items neither race nor lose an update.
func TestItems_Concurrently(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 25 {
				_, err := update(db, "counter", "ADD n :one SET editor = :editor", nil, item{":one": number("1"), ":editor": text(itoa(g))})
				assert.NoError(t, err)
				assert.NoError(t, put(db, id(itoa(i))))
				_, err = db.Scan(context.Background(), &dynamodb.ScanInput{TableName: aws.String(table)})
				assert.NoError(t, err)
				_, err = db.DeleteItem(context.Background(), &dynamodb.DeleteItemInput{TableName: aws.String(table), Key: id(itoa(i))})
				assert.NoError(t, err)
				_, err = db.DescribeTable(context.Background(), &dynamodb.DescribeTableInput{TableName: aws.String(table)})
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, number("200"), get(t, db, "counter")["n"])
}

// Ensure answers carry their CRC, a request id and the protocol's type, and errors the shape of AWS'.
func TestDynamoDB_Wire(t *testing.T) {
	t.Parallel()
	a, _ := start(t)
	for _, c := range []struct {
		target, body, code string
		status             int
	}{
		{"DynamoDB_20120810.ListTables", `{}`, "", 200},
		{"DynamoDB_20120810.Nothing", `{}`, "com.amazon.coral.service#UnknownOperationException", 400},
		{"Kinesis_20131202.ListStreams", `{}`, "com.amazon.coral.service#UnknownOperationException", 400},
		{"DynamoDB_20120810.PutItem", `{`, "com.amazon.coral.service#SerializationException", 400},
		{"DynamoDB_20120810.PutItem", `{"TableName":7}`, "com.amazon.coral.service#SerializationException", 400},
		{"DynamoDB_20120810.PutItem", `{"TableName":"no-such"}`, "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", 400},
		{"DynamoDB_20120810.GetItem", `{}`, "com.amazon.coral.validate#ValidationException", 400},
		{"DynamoDB_20120810.PutItem", strings.Repeat(" ", 16<<20+1), "com.amazon.coral.service#RequestEntityTooLargeException", 413},
	} {
		w := do(a, "POST", "/", c.body, map[string]string{"X-Amz-Target": c.target})
		assert.Equal(t, c.status, w.Code)
		assert.Equal(t, "application/x-amz-json-1.0", w.Header().Get("Content-Type"))
		assert.Len(t, w.Header().Get("X-Amzn-Requestid"), 52)
		assert.Equal(t, strconv.FormatUint(uint64(crc32.ChecksumIEEE(w.Body.Bytes())), 10), w.Header().Get("X-Amz-Crc32"))
		var e struct {
			Type    string `json:"__type"`
			Message *string
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e), w.Body.String())
		assert.Equal(t, c.code, e.Type)
		assert.Equal(t, c.code == "", e.Message == nil, w.Body.String())
	}
}

// Ensure transactions are all or nothing, tell why they were cancelled, and are made once for a token.
func TestTransactWriteItems(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	require.NoError(t, put(db, item{"id": text("there"), "v": number("1")}))
	add := types.TransactWriteItem{Update: &types.Update{TableName: aws.String(table), Key: id("there"), UpdateExpression: aws.String("ADD v :one"), ExpressionAttributeValues: item{":one": number("1")}}}
	guard := func(key string) types.TransactWriteItem {
		return types.TransactWriteItem{Put: &types.Put{
			TableName: aws.String(table), Item: id(key), ConditionExpression: aws.String("attribute_not_exists(id)"),
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}}
	}
	transact := func(token string, items ...types.TransactWriteItem) error {
		_, err := db.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: items, ClientRequestToken: aws.String(token)})
		return err
	}
	require.NoError(t, transact("a", add, guard("new")))
	require.NoError(t, transact("a", add, guard("new")))
	assert.Equal(t, number("2"), get(t, db, "there")["v"])
	requireCode(t, "IdempotentParameterMismatchException", transact("a", add))

	var cancelled *types.TransactionCanceledException
	require.ErrorAs(t, transact("b", add, guard("new")), &cancelled)
	assert.Equal(t, "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]", cancelled.ErrorMessage())
	require.Len(t, cancelled.CancellationReasons, 2)
	assert.Equal(t, "None", *cancelled.CancellationReasons[0].Code)
	assert.Equal(t, "ConditionalCheckFailed", *cancelled.CancellationReasons[1].Code)
	assert.Equal(t, id("new"), cancelled.CancellationReasons[1].Item)
	assert.Equal(t, number("2"), get(t, db, "there")["v"])

	requireCode(t, "ValidationException", transact("c", add, add))
	check := types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: aws.String(table), Key: id("new"), ConditionExpression: aws.String("attribute_exists(id)")}}
	remove := types.TransactWriteItem{Delete: &types.Delete{TableName: aws.String(table), Key: id("there")}}
	require.NoError(t, transact("d", check, remove))
	assert.Nil(t, get(t, db, "there"))
	assert.Equal(t, id("new"), get(t, db, "new"))
}

// Ensure batches and transactions read what is there.
func TestBatchAndTransactGet(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	load(t, db, "u", 3, 1)
	batch, err := db.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		table: {Keys: []item{id("u0"), id("nobody"), id("u2")}, ProjectionExpression: aws.String("id")},
	}})
	require.NoError(t, err)
	assert.Equal(t, []item{id("u0"), id("u2")}, batch.Responses[table])
	assert.Empty(t, batch.UnprocessedKeys)
	_, err = db.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{table: {Keys: []item{id("u0"), id("u0")}}}})
	requireCode(t, "ValidationException", err)

	transaction, err := db.TransactGetItems(t.Context(), &dynamodb.TransactGetItemsInput{TransactItems: []types.TransactGetItem{
		{Get: &types.Get{TableName: aws.String(table), Key: id("u1"), ProjectionExpression: aws.String("id")}},
		{Get: &types.Get{TableName: aws.String(table), Key: id("nobody")}},
	}})
	require.NoError(t, err)
	require.Len(t, transaction.Responses, 2)
	assert.Equal(t, id("u1"), transaction.Responses[0].Item)
	assert.Nil(t, transaction.Responses[1].Item)

	_, err = db.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: {
		{DeleteRequest: &types.DeleteRequest{Key: id("u0")}}, {PutRequest: &types.PutRequest{Item: id("u9")}},
	}}})
	require.NoError(t, err)
	assert.Nil(t, get(t, db, "u0"))
	assert.Equal(t, id("u9"), get(t, db, "u9"))
}
