// Command idiomatic is the API as services in Go are usually written: net/http, the AWS SDK with
// its defaults, attributevalue and encoding/json. The benchmark compares prima-api with it.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/uuid"
)

type user struct {
	ID        string `dynamodbav:"id" json:"id"`
	Name      string `dynamodbav:"name" json:"name"`
	Email     string `dynamodbav:"email" json:"email"`
	AvatarID  string `dynamodbav:"avatar_id,omitempty" json:"-"`
	AvatarURL string `dynamodbav:"-" json:"avatar_url"`
}

type service struct {
	dynamoDB *dynamodb.Client
	table    *string
}

func main() {
	client := plainBodies{awshttp.NewBuildableClient()} // the SDK's default
	cfg, err := config.LoadDefaultConfig(context.Background(), config.WithHTTPClient(client))
	if err != nil {
		log.Fatal(err)
	}
	s := service{dynamodb.NewFromConfig(cfg), aws.String(os.Getenv("DYNAMODB_TABLE"))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /users", s.list)
	mux.HandleFunc("POST /user", s.create)
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// plainBodies hides the WriteTo of request bodies from net/http, as app/awsclient does and
// explains. Without it the SDK retries some requests to a server as near as the benchmark's.
type plainBodies struct{ aws.HTTPClient }

// Do implements [aws.HTTPClient].
func (c plainBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.HTTPClient.Do(r)
}

func (s service) list(w http.ResponseWriter, r *http.Request) {
	users := []user{}
	pages := dynamodb.NewScanPaginator(s.dynamoDB, &dynamodb.ScanInput{TableName: s.table})
	for pages.HasMorePages() {
		page, err := pages.NextPage(r.Context())
		var some []user
		if err == nil {
			err = attributevalue.UnmarshalListOfMaps(page.Items, &some)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		users = append(users, some...)
	}
	for i, u := range users {
		if u.AvatarID != "" {
			users[i].AvatarURL = "http://" + r.Host + "/users/" + u.ID + "/avatar?v=" + u.AvatarID
		}
	}
	send(w, http.StatusOK, users)
}

func (s service) create(w http.ResponseWriter, r *http.Request) {
	var u user
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&u)
	if err != nil || u.Name == "" || u.Email == "" {
		http.Error(w, "name or email is missing", http.StatusBadRequest)
		return
	}
	u.ID = uuid.NewString()
	item, err := attributevalue.MarshalMap(u)
	if err == nil {
		_, err = s.dynamoDB.PutItem(r.Context(), &dynamodb.PutItemInput{TableName: s.table, Item: item})
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	send(w, http.StatusCreated, map[string]string{"message": "User created successfully", "id": u.ID, "avatar_url": ""})
}

func send(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the client may have gone
}
