package chaos_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// Ensure that a replica whose table or bucket is gone, as after LocalStack was restarted and has forgotten
// them, says on /readyz which is missing, responds 503 to requests that need it and serves others, stays
// alive, and is ready without a restart after it was made again.
func TestResourcesLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lose func(t *testing.T, s *system)
		want map[string]string
	}{
		"table": {func(t *testing.T, s *system) {
			t.Helper()
			_, err := s.aws.DynamoDB.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: &s.config.Table})
			require.NoError(t, err)
		}, map[string]string{"dynamodb": "missing", "s3": "ok"}},
		"bucket": {func(t *testing.T, s *system) {
			t.Helper()
			for _, key := range s.aws.Objects(t) {
				_, err := s.aws.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &s.config.Bucket, Key: &key})
				require.NoError(t, err)
			}
			_, err := s.aws.S3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &s.config.Bucket})
			require.NoError(t, err)
		}, map[string]string{"dynamodb": "ok", "s3": "missing"}},
		"both, after an outage": {func(t *testing.T, s *system) {
			t.Helper()
			refused(t, s, places[2])
			s.aws.Wipe()
			got := s.call(http.MethodGet, config.PathUsers, nil)
			assert.NoError(t, got.unavailable(), "%s", got)
			s.heal(t)
		}, map[string]string{"dynamodb": "missing", "s3": "missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *config.Config) { c.RequestTimeout = requestTimeout })
			path := config.PathUsers + "/" + s.create(t, newImage(imageBytes))
			c.lose(t, s)
			await(t, "/readyz says what is missing", func() bool {
				ready := s.call(http.MethodGet, config.PathReady, nil)
				return ready.unavailable() == nil && assert.ObjectsAreEqual(c.want, states(ready))
			})
			for request, made := range map[string]struct {
				answer answer
				fails  bool
			}{
				"GET list":         {s.call(http.MethodGet, config.PathUsers, nil), c.want["dynamodb"] != "ok"},
				"PATCH":            {s.call(http.MethodPatch, path, []byte(`{"name":"Grace"}`)), c.want["dynamodb"] != "ok"},
				"POST with avatar": {newAccount(newImage(imageBytes), "").create(s), true},
				"GET avatar":       {s.call(http.MethodGet, path+"/avatar", nil), true},
			} {
				if made.fails {
					assert.NoError(t, made.answer.unavailable(), "%s: %s", request, made.answer)
				} else {
					assert.Less(t, made.answer.status, 300, "%s: %s", request, made.answer)
				}
			}
			assert.Equal(t, http.StatusOK, s.call(http.MethodGet, config.PathHealth, nil).status)

			require.NoError(t, s.aws.Reset())
			s.awaitReady(t)
			again := s.create(t, newImage(imageBytes))
			assert.Equal(t, http.StatusOK, s.call(http.MethodGet, config.PathUsers+"/"+again+"/avatar", nil).status)
		})
	}
}

// states returns what an answer of /readyz says of each dependency.
func states(a answer) map[string]string {
	var report struct {
		Dependencies map[string]struct{ State string }
	}
	_ = json.Unmarshal(a.body, &report) // nothing, then
	states := map[string]string{}
	for name, d := range report.Dependencies {
		states[name] = d.State
	}
	return states
}

// Ensure that a replica which starts while its dependencies are away is alive, not ready and answers 503, whatever is wrong
// with them, and that it is ready when they are back.
func TestStartsInAnOutage(t *testing.T) {
	t.Parallel()
	for name, strike := range map[string]func(*testing.T, *system, place){
		"refused":    refused,
		"black hole": poisoned(blackHole...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := prepare(t, func(c *config.Config) { c.RequestTimeout = requestTimeout })
			strike(t, s, places[2])
			s.api = startProcess(t, s.config)
			s.url = s.api.url
			got := s.call(http.MethodGet, config.PathUsers, nil)
			assert.NoError(t, got.unavailable(), "%s", got)
			s.inTime(t, got, "the list")
			ready := s.call(http.MethodGet, config.PathReady, nil)
			assert.NoError(t, ready.unavailable(), "%s", ready)
			assert.Equal(t, map[string]string{"dynamodb": "pending", "s3": "pending"}, states(ready))
			assert.Equal(t, http.StatusOK, s.call(http.MethodGet, config.PathHealth, nil).status)

			s.heal(t)
			s.awaitReady(t)
			s.create(t, newImage(imageBytes))
		})
	}
}
