package localaws_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

func TestRepro(t *testing.T) {
	a, url := start(t)
	db := dynamoClient(url)
	for i := range 120000 {
		r, _ := http.NewRequest("POST", "/", strings.NewReader(fmt.Sprintf(`{"TableName":"users","Item":{"id":{"S":"%08d-0000-4000-8000-000000000000"},"name":{"S":"Ada Lovelace %d"},"email":{"S":"ada%d@example.com"},"avatar_url":{"S":"http://localhost:5000/users/x/avatar?%s"}}}`, i, i, i, strings.Repeat("v", 100))))
		r.Header.Set("X-Amz-Target", "DynamoDB_20120810.PutItem")
		a.ServeHTTP(httptest.NewRecorder(), r)
	}
	for r := range 12 {
		pages, items := 0, 0
		t0 := time.Now()
		p := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: aws.String("users")})
		for p.HasMorePages() {
			o, err := p.NextPage(t.Context())
			if err != nil {
				fmt.Println("ERR", r, pages, err)
				break
			}
			pages++
			items += len(o.Items)
		}
		fmt.Println(r, pages, items, time.Since(t0))
	}
	_ = a
	bad := 0
	for range 100 {
		req, _ := http.NewRequest("POST", url, strings.NewReader(`{"TableName":"users"}`))
		req.Header.Set("X-Amz-Target", "DynamoDB_20120810.Scan")
		resp, err := http.DefaultClient.Do(req)
		if err != nil { fmt.Println(err); bad++; continue }
		b, err := io.ReadAll(resp.Body)
		if err != nil { fmt.Println(err, len(b)); bad++ }
		resp.Body.Close()
	}
	fmt.Println("bad", bad)
}
