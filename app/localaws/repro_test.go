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
	for _, kind := range []string{"sdk", "plain", "sdk+plainclient"} {
		client := dynamoClient(url)
		if kind == "sdk+plainclient" {
			cfg := awsConfig()
			cfg.HTTPClient = &http.Client{Transport: &http.Transport{}}
			client = dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.BaseEndpoint = &url })
		}
		plain := &http.Client{Transport: &http.Transport{}}
		bad, total := 0, 0
		for range 15 {
			if kind != "plain" {
				p := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: aws.String("users")})
				for p.HasMorePages() {
					total++
					if _, err := p.NextPage(t.Context()); err != nil {
						fmt.Println(kind, err)
						bad++
						break
					}
				}
				continue
			}
			start := ""
			for {
				total++
				req, _ := http.NewRequest("POST", url, strings.NewReader(`{"TableName":"users"`+start+`}`))
				req.Header.Set("X-Amz-Target", "DynamoDB_20120810.Scan")
				resp, err := plain.Do(req)
				if err != nil { fmt.Println(kind, err); bad++; break }
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil { fmt.Println(kind, err, len(b)); bad++; break }
				_, last, more := strings.Cut(string(b), `,"LastEvaluatedKey":`)
				if !more { break }
				start = `,"ExclusiveStartKey":` + strings.TrimSuffix(last, "}")
			}
		}
		fmt.Println(kind, bad, "of", total)
	}
	_ = db
	_ = time.Now
}
