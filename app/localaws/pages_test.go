package localaws_test

import (
	"context"
	"errors"
	"fmt"
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

func itoa(n int) string { return strconv.Itoa(n) }

// load puts n items of about 1 KB with the ids prefix0, prefix1, …
func load(t testing.TB, db *dynamodb.Client, prefix string, n, size int) {
	t.Helper()
	var wg sync.WaitGroup
	batches := make(chan []types.WriteRequest)
	for range 8 {
		wg.Go(func() {
			for b := range batches {
				_, err := db.BatchWriteItem(context.Background(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: b}})
				assert.NoError(t, err)
			}
		})
	}
	for i := 0; i < n; i += 25 {
		var b []types.WriteRequest
		for j := i; j < min(i+25, n); j++ {
			b = append(b, types.WriteRequest{PutRequest: &types.PutRequest{Item: item{
				"id": text(prefix + itoa(j)), "name": text(strings.Repeat("n", size)),
			}}})
		}
		batches <- b
	}
	close(batches)
	wg.Wait()
}

// scan reads a whole table, page by page, and returns how often each id came and the size of the
// largest page in bytes.
func scan(t testing.TB, db *dynamodb.Client, in *dynamodb.ScanInput) (seen map[string]int, largest, pages int) {
	t.Helper()
	seen = map[string]int{}
	in.TableName = aws.String(table)
	for {
		out, err := db.Scan(context.Background(), in)
		require.NoError(t, err)
		pages++
		size := 0
		for _, i := range out.Items {
			seen[key(i)]++
			for name, v := range i {
				size += len(name) + len(v.(*types.AttributeValueMemberS).Value)
			}
		}
		largest = max(largest, size)
		if out.LastEvaluatedKey == nil {
			return seen, largest, pages
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

func key(i item) string { return i["id"].(*types.AttributeValueMemberS).Value }

func assertOnceEach(t testing.TB, seen map[string]int, prefix string, n int) {
	t.Helper()
	for i := range n {
		if c := seen[prefix+itoa(i)]; c != 1 {
			require.Failf(t, "not once", "%s%d came %d times", prefix, i, c)
		}
	}
}

// Ensure a scan of more than 1 MB takes pages of at most 1 MB that are nearly full, and lists every
// item exactly once.
func TestScan_PagesOfOneMegabyte(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	load(t, db, "u", 3500, 1000)
	seen, largest, pages := scan(t, db, &dynamodb.ScanInput{})
	assert.Len(t, seen, 3500)
	assertOnceEach(t, seen, "u", 3500)
	assert.LessOrEqual(t, largest, 1<<20)
	assert.Greater(t, largest, 1<<20-1100)
	assert.Equal(t, 4, pages)
}

// Ensure a scan lists every item that stays exactly once while others are put and deleted, the ones
// that pages start after among them.
func TestScan_WhileItemsChange(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	const n = 2500
	load(t, db, "stay", n, 1000)
	load(t, db, "go", n, 1000)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; ctx.Err() == nil; i += 4 {
				_, err := db.DeleteItem(context.Background(), &dynamodb.DeleteItemInput{TableName: aws.String(table), Key: id("go" + itoa(i%n))})
				assert.NoError(t, err)
				_, err = db.PutItem(context.Background(), &dynamodb.PutItemInput{TableName: aws.String(table), Item: id("new" + itoa(i))})
				assert.NoError(t, err)
			}
		})
	}
	for range 3 {
		seen, _, _ := scan(t, db, &dynamodb.ScanInput{})
		assertOnceEach(t, seen, "stay", n)
		for k, c := range seen {
			require.Equal(t, 1, c, k)
		}
	}
	stop()
	wg.Wait()
}

// Ensure a page goes on after its start key when the item of that key has been deleted since.
func TestScan_StartKeyOfDeletedItem(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	load(t, db, "u", 30, 1)
	seen := map[string]int{}
	in := &dynamodb.ScanInput{TableName: aws.String(table), Limit: aws.Int32(7)}
	for {
		out, err := db.Scan(t.Context(), in)
		require.NoError(t, err)
		assert.LessOrEqual(t, len(out.Items), 7)
		for _, i := range out.Items {
			seen[key(i)]++
		}
		if out.LastEvaluatedKey == nil {
			break
		}
		assert.Equal(t, out.Items[len(out.Items)-1]["id"], out.LastEvaluatedKey["id"])
		_, err = db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(table), Key: out.LastEvaluatedKey})
		require.NoError(t, err)
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
	assert.Len(t, seen, 30)
	assertOnceEach(t, seen, "u", 30)
}

// Ensure a page that ends at its limit answers a key even when nothing follows, as DynamoDB's do.
func TestScan_LimitAtTheEnd(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	load(t, db, "u", 3, 1)
	out, err := db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(table), Limit: aws.Int32(3)})
	require.NoError(t, err)
	assert.Len(t, out.Items, 3)
	require.NotNil(t, out.LastEvaluatedKey)
	out, err = db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(table), Limit: aws.Int32(3), ExclusiveStartKey: out.LastEvaluatedKey})
	require.NoError(t, err)
	assert.Empty(t, out.Items)
	assert.Nil(t, out.LastEvaluatedKey)
}

// Ensure the segments of a parallel scan are disjoint and complete, over several pages each.
func TestScan_Segments(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	load(t, db, "u", 1000, 1)
	for _, total := range []int32{1, 2, 3, 7, 1_000_000} {
		all := map[string]int{}
		segments := total
		if total > 10 {
			segments = 3 // of a million, most are empty
		}
		for s := range segments {
			seen, _, _ := scan(t, db, &dynamodb.ScanInput{Segment: aws.Int32(s), TotalSegments: aws.Int32(total), Limit: aws.Int32(100)})
			for k, c := range seen {
				all[k] += c
			}
			if total < 10 {
				assert.InDelta(t, 1000/float64(total), len(seen), 100, "segment %d of %d", s, total)
			}
		}
		if total < 10 {
			assert.Len(t, all, 1000)
			assertOnceEach(t, all, "u", 1000)
		}
	}
}

// Ensure wrong parameters of pages are refused with DynamoDB's messages.
func TestScan_Validation(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	load(t, db, "u", 100, 1)
	elsewhere, err := db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(table), Segment: aws.Int32(0), TotalSegments: aws.Int32(2), Limit: aws.Int32(1)})
	require.NoError(t, err)
	for message, in := range map[string]*dynamodb.ScanInput{
		"The Segment parameter is required but was not present in the request when parameter TotalSegments is present": {TotalSegments: aws.Int32(2)},
		"The TotalSegments parameter is required but was not present in the request when Segment":                      {Segment: aws.Int32(0)},
		"Segment: 2 is not less than TotalSegments: 2":                                                                 {Segment: aws.Int32(2), TotalSegments: aws.Int32(2)},
		"Value '0' at 'totalSegments'":                           {Segment: aws.Int32(0), TotalSegments: aws.Int32(0)},
		"Please use ExclusiveStartKey with correct Segment":      {Segment: aws.Int32(1), TotalSegments: aws.Int32(2), ExclusiveStartKey: elsewhere.LastEvaluatedKey},
		"Value '0' at 'limit'":                                   {Limit: aws.Int32(0)},
		"The provided starting key is invalid":                   {ExclusiveStartKey: item{"name": text("x")}},
		"The table does not have the specified index: by-name":   {IndexName: aws.String("by-name")},
		"Must specify the AttributesToGet or":                    {Select: types.SelectSpecificAttributes},
		"at 'select' failed to satisfy constraint":               {Select: "SOME"},
		"takes expressions, not the legacy":                      {AttributesToGet: []string{"id"}},
		"Invalid FilterExpression: The expression can not be em": {FilterExpression: aws.String(" ")},
	} {
		in.TableName = aws.String(table)
		_, err := db.Scan(t.Context(), in)
		e := requireCode(t, "ValidationException", err)
		assert.Contains(t, e.ErrorMessage(), message)
	}
}

// Ensure a filter is applied after the page has been read, and a count has no items.
func TestScan_FilterAndCount(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	load(t, db, "u", 2500, 1000)
	out, err := db.Scan(t.Context(), &dynamodb.ScanInput{
		TableName: aws.String(table), FilterExpression: aws.String("id = :id"),
		ExpressionAttributeValues: item{":id": text("nobody")},
	})
	require.NoError(t, err)
	assert.Empty(t, out.Items)
	assert.Zero(t, out.Count)
	assert.InDelta(t, 1040, out.ScannedCount, 10)
	assert.NotNil(t, out.LastEvaluatedKey)

	out, err = db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(table), Select: types.SelectCount, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal})
	require.NoError(t, err)
	assert.Empty(t, out.Items)
	assert.Equal(t, out.ScannedCount, out.Count)
	assert.InDelta(t, 128, *out.ConsumedCapacity.CapacityUnits, 1)
}

// Ensure a projection answers what it names, reserved words by their placeholders.
func TestScan_Projection(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	load(t, db, "u", 2, 1)
	out, err := db.Scan(t.Context(), &dynamodb.ScanInput{
		TableName: aws.String(table), ProjectionExpression: aws.String("#n"), ExpressionAttributeNames: map[string]string{"#n": "name"},
	})
	require.NoError(t, err)
	assert.Equal(t, []item{{"name": text("n")}, {"name": text("n")}}, out.Items)
	assert.EqualValues(t, 2, out.ScannedCount)

	_, err = db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(table), ProjectionExpression: aws.String("name")})
	requireCode(t, "ValidationException", err)
}

// Ensure a query reads a partition in the order of its sort key, forward and back, in pages, with a
// condition on the sort key.
func TestQuery(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	_, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("events"), BillingMode: types.BillingModePayPerRequest,
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String("user"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("at"), KeyType: types.KeyTypeRange},
		},
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("user"), AttributeType: types.ScalarAttributeTypeS}, {AttributeName: aws.String("at"), AttributeType: types.ScalarAttributeTypeN},
		},
	})
	require.NoError(t, err)
	order := []string{"-1000", "-20.5", "-3", "0", "0.001", "7", "12", "100"}
	for _, at := range []string{"7", "-3", "100", "12", "0.001", "-20.5", "0", "-1E3"} {
		for _, user := range []string{"ada", "bob"} {
			_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("events"), Item: item{"user": text(user), "at": number(at)}})
			require.NoError(t, err)
		}
	}
	query := func(in dynamodb.QueryInput) (got []string) {
		in.TableName = aws.String("events")
		in.ExpressionAttributeNames = map[string]string{"#u": "user"}
		if strings.Contains(*in.KeyConditionExpression, "#at") {
			in.ExpressionAttributeNames["#at"] = "at"
		}
		for {
			out, err := db.Query(t.Context(), &in)
			require.NoError(t, err)
			for _, i := range out.Items {
				assert.Equal(t, text("ada"), i["user"])
				got = append(got, i["at"].(*types.AttributeValueMemberN).Value)
			}
			if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
				return got
			}
		}
	}
	ada := item{":u": text("ada")}
	assert.Equal(t, order, query(dynamodb.QueryInput{KeyConditionExpression: aws.String("#u = :u"), ExpressionAttributeValues: ada, Limit: aws.Int32(3)}))
	back := query(dynamodb.QueryInput{KeyConditionExpression: aws.String("#u = :u"), ExpressionAttributeValues: ada, ScanIndexForward: aws.Bool(false), Limit: aws.Int32(2)})
	for i := range order {
		assert.Equal(t, order[len(order)-1-i], back[i])
	}
	some := item{":u": text("ada"), ":low": number("-3"), ":high": number("7")}
	assert.Equal(t, order[2:6], query(dynamodb.QueryInput{KeyConditionExpression: aws.String("#u = :u AND #at BETWEEN :low AND :high"), ExpressionAttributeValues: some}))

	_, err = db.Query(t.Context(), &dynamodb.QueryInput{
		TableName: aws.String("events"), KeyConditionExpression: aws.String("#at = :at"),
		ExpressionAttributeNames: map[string]string{"#at": "at"}, ExpressionAttributeValues: item{":at": number("7")},
	})
	assert.Contains(t, requireCode(t, "ValidationException", err).ErrorMessage(), "Query condition missed key schema element: user")
}

// What a page of 1 MB costs does not grow with the table.
func BenchmarkScan(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(itoa(n), func(b *testing.B) {
			a, url := start(b)
			load(b, dynamoClient(url), "u", n, 200)
			start := ""
			b.ReportAllocs()
			for b.Loop() {
				w := do(a, "POST", "/", `{"TableName":"users"`+start+`}`, map[string]string{"X-Amz-Target": "DynamoDB_20120810.Scan"})
				require.Equal(b, 200, w.Code)
				_, last, more := strings.Cut(w.Body.String(), `,"LastEvaluatedKey":`)
				start = ""
				if more {
					start = `,"ExclusiveStartKey":` + strings.TrimSuffix(last, "}")
				}
			}
		})
	}
}

// Ensure concurrent conditional puts of one key have exactly one winner, and that the losers are
// told what is there.
func TestPutItem_ConditionalFromManyGoroutines(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	for round := range 10 {
		var wg sync.WaitGroup
		var mu sync.Mutex
		winners, told := []string{}, map[string]int{}
		for g := range 50 {
			wg.Go(func() {
				i := id(fmt.Sprint("round", round))
				i["by"] = text(itoa(g))
				_, err := db.PutItem(context.Background(), &dynamodb.PutItemInput{
					TableName: aws.String(table), Item: i, ConditionExpression: aws.String("attribute_not_exists(id)"),
					ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
				})
				mu.Lock()
				defer mu.Unlock()
				var failed *types.ConditionalCheckFailedException
				switch {
				case err == nil:
					winners = append(winners, itoa(g))
				case errors.As(err, &failed):
					told[failed.Item["by"].(*types.AttributeValueMemberS).Value]++
				default:
					assert.NoError(t, err)
				}
			})
		}
		wg.Wait()
		require.Len(t, winners, 1)
		assert.Equal(t, map[string]int{winners[0]: 49}, told)
	}
}
