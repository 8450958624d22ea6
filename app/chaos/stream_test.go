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

// breaks are faults that can come in the middle of an answer.
var breaks = map[string]func(*testing.T, *system, place){
	"black hole":        poisoned(blackHole...),
	"refused":           refused,
	"reset":             poisoned(`{"type":"reset_peer","attributes":{"timeout":0}}`),
	"answers cut short": poisoned(`{"type":"limit_data","attributes":{"bytes":1000}}`),
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
			inTime(t, timeout+margin, got, "the list")
			s.heal(t)
			await(t, "a list", func() bool { return s.call(http.MethodGet, config.PathUsers, nil).status == http.StatusOK })
			assert.Len(t, s.users(t), users)
			t.Logf("figure: %d bytes of the list, then %v after %s", len(got.body), got.err, got.took.Round(time.Millisecond))
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
			begun, struck := make(chan struct{}), make(chan struct{})
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
			go func() {
				<-begun
				strike(t, s, places[1])
				close(struck)
			}()
			path := config.PathUsers + "/" + id + "/avatar"
			got := s.callAndTell(func() { close(begun) }, http.MethodGet, path, nil)
			assert.Equal(t, http.StatusOK, got.status)
			assert.Equal(t, fmt.Sprint(len(image)), got.header.Get("Content-Length"))
			assert.Error(t, got.err, "a part of the image was read as a whole: %d bytes", len(got.body))
			assert.Less(t, len(got.body), len(image))
			inTime(t, timeout+writeTimeout+margin, got, "the image")

			s.heal(t)
			await(t, "the image", func() bool {
				got := s.call(http.MethodGet, path, nil)
				return got.err == nil && got.status == http.StatusOK && bytes.Equal(got.body, image)
			})
			t.Logf("figure: %d of %d bytes of the image, then %v after %s", len(got.body), len(image), got.err, got.took.Round(time.Millisecond))
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
			inTime(t, timeout+margin, got, "the image")
		})
	}
}
