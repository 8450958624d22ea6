// Command idiomatic is the same API as one would write it in Go on a normal day: net/http, the AWS SDK as it
// comes, attributevalue and encoding/json. It is what the benchmark compares prima-api with, and nothing else:
// it validates no more than it must.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
)

type user struct {
	ID       string `dynamodbav:"id" json:"id"`
	Name     string `dynamodbav:"name" json:"name"`
	Email    string `dynamodbav:"email" json:"email"`
	AvatarID string `dynamodbav:"avatar_id,omitempty" json:"-"`

	AvatarURL string `dynamodbav:"-" json:"avatar_url"`
}

type service struct {
	users         *dynamodb.Client
	avatars       *s3.Client
	table, bucket string
}

func main() {
	if err := run(context.Background()); err != nil {
		slog.Error("the service ended", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	cfg.HTTPClient = plainBodies{awshttp.NewBuildableClient()} // the SDK's own
	s := service{
		users:   dynamodb.NewFromConfig(cfg),
		avatars: s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = os.Getenv("AWS_ENDPOINT_URL") != "" }),
		table:   cmp.Or(os.Getenv("DYNAMODB_TABLE"), "users"),
		bucket:  cmp.Or(os.Getenv("S3_BUCKET"), "prima-tech-challenge"),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /users", s.list)
	mux.HandleFunc("POST /user", s.create)
	server := &http.Server{
		Addr:              "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "5000"),
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
	}
	return server.ListenAndServe()
}

// plainBodies hides the WriteTo of request bodies from net/http, as awsclient of prima-api does and says why. Without
// it the SDK loses several in a hundred of the large answers that a server so near gives so soon, and waits up to
// seconds to ask again: that would be measured here, and would not be so against AWS.
type plainBodies struct {
	aws.HTTPClient
}

// Do implements [aws.HTTPClient].
func (c plainBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.HTTPClient.Do(r)
}

func (s service) list(w http.ResponseWriter, r *http.Request) {
	users := []user{}
	pages := dynamodb.NewScanPaginator(s.users, &dynamodb.ScanInput{TableName: aws.String(s.table)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(r.Context())
		if err != nil {
			fail(w, http.StatusInternalServerError, "Failed to list users", err)
			return
		}
		var some []user
		if err := attributevalue.UnmarshalListOfMaps(page.Items, &some); err != nil {
			fail(w, http.StatusInternalServerError, "Failed to list users", err)
			return
		}
		users = append(users, some...)
	}
	for i := range users {
		users[i].AvatarURL = avatarURL(r, users[i])
	}
	answer(w, http.StatusOK, users)
}

const (
	maxBody   = 16 << 20 // bytes
	maxMemory = 8 << 20  // bytes of a form that are kept in memory
)

func (s service) create(w http.ResponseWriter, r *http.Request) {
	u := user{ID: uuid.NewString()}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if mediaType == "multipart/form-data" {
		if err := r.ParseMultipartForm(maxMemory); err != nil { //nolint:gosec // the body is bounded above
			fail(w, http.StatusBadRequest, "Invalid form", err)
			return
		}
		u.Name, u.Email = r.FormValue("name"), r.FormValue("email")
	} else {
		var in struct{ Name, Email string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			fail(w, http.StatusBadRequest, "Invalid JSON", err)
			return
		}
		u.Name, u.Email = in.Name, in.Email
	}
	if u.Name == "" || u.Email == "" {
		fail(w, http.StatusBadRequest, "Missing 'name' or 'email'", nil)
		return
	}
	if mediaType == "multipart/form-data" {
		if err := s.upload(r, &u); err != nil {
			fail(w, http.StatusInternalServerError, "Failed to save avatar", err)
			return
		}
	}
	item, err := attributevalue.MarshalMap(u)
	if err == nil {
		_, err = s.users.PutItem(r.Context(), &dynamodb.PutItemInput{TableName: aws.String(s.table), Item: item})
	}
	if err != nil {
		fail(w, http.StatusInternalServerError, "Failed to save user", err)
		return
	}
	answer(w, http.StatusCreated, map[string]string{"message": "User created successfully", "id": u.ID, "avatar_url": avatarURL(r, u)})
}

// upload stores the avatar of a form, if it has one.
func (s service) upload(r *http.Request, u *user) error {
	file, header, err := r.FormFile("avatar")
	if errors.Is(err, http.ErrMissingFile) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	u.AvatarID = uuid.NewString()
	_, err = s.avatars.PutObject(r.Context(), &s3.PutObjectInput{
		Bucket:      aws.String(s.bucket),
		Key:         aws.String("avatars/" + u.ID + "/" + u.AvatarID),
		Body:        file,
		ContentType: aws.String(header.Header.Get("Content-Type")),
	})
	return err
}

func avatarURL(r *http.Request, u user) string {
	if u.AvatarID == "" {
		return ""
	}
	return "http://" + r.Host + "/users/" + u.ID + "/avatar?v=" + u.AvatarID
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		slog.Error("an answer was not sent", "error", err)
	}
}

func fail(w http.ResponseWriter, status int, text string, err error) {
	slog.Error(text, "error", err)
	answer(w, status, map[string]string{"error": text})
}
