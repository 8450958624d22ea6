package localaws_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"prima.internal/app/localaws"
)

// Ensure whatever is sent to DynamoDB is answered in JSON, and never as a fault of the emulator.
func FuzzDynamoDB(f *testing.F) {
	for _, seed := range [][2]string{
		{"PutItem", `{"TableName":"users","Item":{"id":{"S":"1"},"n":{"N":"1.5e3"},"l":{"L":[{"M":{"a":{"B":"AA=="}}}]}}}`},
		{"PutItem", `{"TableName":"users","Item":{"id":{"S":"1"}},"ConditionExpression":"attribute_not_exists(id) OR size(#n) BETWEEN :a AND :b","ExpressionAttributeNames":{"#n":"n"},"ExpressionAttributeValues":{":a":{"N":"1"},":b":{"N":"2"}}}`},
		{"UpdateItem", `{"TableName":"users","Key":{"id":{"S":"1"}},"UpdateExpression":"SET l[0].a = if_not_exists(x, :v), y = l REMOVE n ADD c :v","ExpressionAttributeValues":{":v":{"N":"1"}},"ReturnValues":"ALL_NEW"}`},
		{"DeleteItem", `{"TableName":"users","Key":{"id":{"S":"1"}},"ConditionExpression":"NOT contains(id, id) AND id IN (id, n)"}`},
		{"Scan", `{"TableName":"users","Limit":1,"FilterExpression":"begins_with(id, id)","ProjectionExpression":"l[0].a, n","Segment":0,"TotalSegments":3}`},
		{"Query", `{"TableName":"users","KeyConditionExpression":"id = :v","ExpressionAttributeValues":{":v":{"S":"1"}}}`},
		{"TransactWriteItems", `{"TransactItems":[{"Put":{"TableName":"users","Item":{"id":{"S":"2"}}}}]}`},
		{"CreateTable", `{"TableName":"other","KeySchema":[{"AttributeName":"k","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"k","AttributeType":"N"}],"BillingMode":"PAY_PER_REQUEST"}`},
	} {
		f.Add(seed[0], seed[1])
	}
	const some = `{"TableName":"users","Item":{"id":{"S":"1"},"n":{"N":"7"},"l":{"L":[{"M":{"a":{"S":"x"}}}]}}}`
	f.Fuzz(func(t *testing.T, operation, body string) {
		a, err := localaws.New(localaws.Options{Table: table})
		require.NoError(t, err)
		do(a, "POST", "/", some, map[string]string{"X-Amz-Target": "DynamoDB_20120810.PutItem"})
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		require.Less(t, w.Code, 500, "%s", w.Body)
		if w.Body.Len() > 0 {
			require.True(t, json.Valid(w.Body.Bytes()), "%q", w.Body)
		}
	})
}

// Ensure whatever is uploaded in chunks is stored as it was or refused.
func FuzzChunked(f *testing.F) {
	f.Add("4\r\ncont\r\n0\r\n\r\n", "4")
	f.Add("4;chunk-signature=0\r\ncont\r\n0;x\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "4")
	f.Add("fffffffff\r\n", "-1")
	a, err := localaws.New(localaws.Options{Bucket: bucket})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body, length string) {
		r := httptest.NewRequest(http.MethodPut, "/"+bucket+"/k", strings.NewReader(body))
		r.Header.Set("Content-Encoding", "aws-chunked")
		r.Header.Set("X-Amz-Decoded-Content-Length", length)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			require.Equal(t, http.StatusBadRequest, w.Code, "%s", w.Body)
			return
		}
		got := do(a, "GET", "/"+bucket+"/k", "", nil).Body
		require.Equal(t, length, itoa(got.Len()))
		require.Contains(t, strings.ReplaceAll(body, "\r\n", ""), "0")
	})
}
