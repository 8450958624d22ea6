package chaos_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// breaks are the ways in which a response can end in its middle: in silence, and with its connection.
var breaks = map[string]func(*testing.T, *system, place){
	"black hole": poisoned(blackHole...),
	"cut off":    poisoned(`{"type":"limit_data","attributes":{"bytes":1000}}`),
}

// Ensure that a list whose first page has been sent when DynamoDB fails ends with a broken connection, in its time: no
// client takes a part of it for all. Also that the next list is whole.
func TestListBreaksOff(t *testing.T) {
	t.Parallel()
	const users, timeout = 9, 5 * time.Second
	for name, strike := range breaks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *config.Config) { c.RequestTimeout = timeout })
			for range users { // of which a page, that ends at 1 MB, holds three
				s.plant(t, 300<<10)
			}
			require.Len(t, s.users(t), users)
			var once sync.Once
			s.aws.Intercede("DynamoDB.Scan", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				r.Body = io.NopCloser(bytes.NewReader(body))
				if bytes.Contains(body, []byte("ExclusiveStartKey")) {
					once.Do(func() { strike(t, s, places[0]) })
				}
				next.ServeHTTP(w, r)
			})
			got := s.call(http.MethodGet, config.PathUsers, nil)
			assert.Equal(t, http.StatusOK, got.status, "%s", got)
			assert.Error(t, got.err, "a part of the list was read as a whole: %s", got)
			assert.False(t, json.Valid(got.body), "%s", got)
			assert.True(t, strings.HasPrefix(string(got.body), `[{"id":`), "%s", got)
			s.inTime(t, got, "the list")
			s.heal(t)
			await(t, "a list", func() bool { return s.call(http.MethodGet, config.PathUsers, nil).status == http.StatusOK })
			assert.Len(t, s.users(t), users)
		})
	}
}

// plant puts a user of so many bytes into the table.
func (s *system) plant(t *testing.T, size int) {
	t.Helper()
	item := map[string]types.AttributeValue{}
	for name, value := range map[string]string{
		config.KeyAttribute: uuid.NewString(), "name": "Ada", "email": "ada@example.com", "padding": strings.Repeat("x", size),
	} {
		item[name] = &types.AttributeValueMemberS{Value: value}
	}
	_, err := s.aws.DynamoDB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(s.config.Table), Item: item})
	require.NoError(t, err)
}

// Ensure that an image of which a part has been sent when S3 fails ends with a broken connection, in its time, and that
// it can be had whole afterwards.
func TestDownloadBreaksOff(t *testing.T) {
	t.Parallel()
	const timeout, size = 5 * time.Second, 1 << 20
	for name, strike := range breaks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *config.Config) { c.RequestTimeout, c.WriteTimeout = timeout, writeTimeout })
			image := newImage(size)
			id := s.create(t, image)
			struck := make(chan struct{})
			s.aws.Intercede("S3.GetObject", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				whole := httptest.NewRecorder()
				next.ServeHTTP(whole, r)
				maps.Copy(w.Header(), whole.Header())
				w.Header().Set("Content-Length", fmt.Sprint(whole.Body.Len()))
				w.WriteHeader(whole.Code)
				_, _ = w.Write(whole.Body.Next(size / 2))
				_ = http.NewResponseController(w).Flush()
				<-struck
				_, _ = w.Write(whole.Body.Bytes())
			})
			path := config.PathUsers + "/" + id + "/avatar"
			began := time.Now()
			got, err := http.Get(s.url + path)
			require.NoError(t, err)
			defer got.Body.Close()
			assert.Equal(t, http.StatusOK, got.StatusCode)
			assert.EqualValues(t, len(image), got.ContentLength)
			strike(t, s, places[1])
			close(struck)
			read, err := io.Copy(io.Discard, got.Body)
			assert.Error(t, err, "a part of the image was read as a whole: %d bytes", read)
			assert.LessOrEqual(t, time.Since(began), timeout+writeTimeout+margin)

			s.heal(t)
			await(t, "the image", func() bool {
				got := s.call(http.MethodGet, path, nil)
				return got.err == nil && got.status == http.StatusOK && bytes.Equal(got.body, image)
			})
		})
	}
}

// Ensure that an image of which nothing has come when S3 fails, though S3 has begun to answer, is a 503: the client has
// not been sent anything, so that it can be told.
func TestDownloadFailsEarly(t *testing.T) {
	t.Parallel()
	const timeout = 3 * time.Second
	for name, fail := range map[string]func(r *http.Request){
		"cut off": func(*http.Request) { panic(http.ErrAbortHandler) },
		"silent":  func(r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *config.Config) { c.RequestTimeout, c.WriteTimeout = timeout, writeTimeout })
			id := s.create(t, newImage(imageBytes))
			s.aws.Intercede("S3.GetObject", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				whole := httptest.NewRecorder()
				next.ServeHTTP(whole, r)
				maps.Copy(w.Header(), whole.Header())
				w.Header().Set("Content-Length", fmt.Sprint(whole.Body.Len()))
				w.WriteHeader(whole.Code)
				_ = http.NewResponseController(w).Flush()
				fail(r)
			})
			got := s.call(http.MethodGet, config.PathUsers+"/"+id+"/avatar", nil)
			assert.NoError(t, got.unavailable(), "%s", got)
			s.inTime(t, got, "the image")
		})
	}
}
