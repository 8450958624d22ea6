package chaos_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// recoverWithin is how soon the API must have noticed that what was missing is there. It asks twice a second.
const recoverWithin = 10 * time.Second

// Ensure that a replica whose table or bucket is gone, as after LocalStack was restarted and has forgotten them, says on
// /readyz which is missing, answers requests that need it 503 and others as ever, stays alive, and is ready again within
// seconds after it was made anew, without a restart.
func TestResourcesLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lose          func(t *testing.T, s *system)
		table, bucket bool
	}{
		"table": {func(t *testing.T, s *system) {
			t.Helper()
			_, err := s.aws.DynamoDB.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: aws.String(s.config.Table)})
			require.NoError(t, err)
		}, true, false},
		"bucket": {func(t *testing.T, s *system) {
			t.Helper()
			for _, key := range s.aws.Objects(t) {
				_, err := s.aws.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(s.config.Bucket), Key: aws.String(key)})
				require.NoError(t, err)
			}
			_, err := s.aws.S3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String(s.config.Bucket)})
			require.NoError(t, err)
		}, false, true},
		"both": {func(_ *testing.T, s *system) { s.aws.Wipe() }, true, true},
		"both, after a restart": {func(t *testing.T, s *system) {
			t.Helper()
			refused(t, s, places[2])
			s.aws.Wipe()
			// For a moment, and for as long as it takes until a request has met that.
			got := s.call(http.MethodGet, config.PathUsers, nil)
			assert.NoError(t, got.unavailable(), "%s", got)
			s.heal(t)
		}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *config.Config) { c.RequestTimeout = 5 * time.Second })
			id := s.create(t, newImage(imageBytes))
			path := config.PathUsers + "/" + id
			c.lose(t, s)

			want := map[string]string{"dynamodb": "ok", "s3": "ok"}
			if c.table {
				want["dynamodb"] = "missing"
			}
			if c.bucket {
				want["s3"] = "missing"
			}
			lost := time.Now()
			var ready answer
			await(t, "/readyz says what is missing", func() bool {
				ready = s.call(http.MethodGet, config.PathReady, nil)
				return assert.ObjectsAreEqual(want, states(ready))
			})
			noticed := time.Since(lost)
			assert.NoError(t, ready.unavailable(), "%s", ready)

			for request, need := range map[string]struct {
				answer answer
				lost   bool
			}{
				"POST":             {newAccount(nil, "").create(s), c.table},
				"POST with avatar": {newAccount(newImage(imageBytes), "").create(s), true},
				"GET list":         {s.call(http.MethodGet, config.PathUsers, nil), c.table},
				"GET one":          {s.call(http.MethodGet, path, nil), c.table},
				"PATCH":            {s.call(http.MethodPatch, path, []byte(`{"name":"Grace"}`)), c.table},
				"PUT avatar":       {s.call(http.MethodPut, path+"/avatar", newImage(imageBytes)), true},
				"GET avatar":       {s.call(http.MethodGet, path+"/avatar", nil), true},
			} {
				if need.lost {
					assert.NoError(t, need.answer.unavailable(), "%s: %s", request, need.answer)
				} else {
					assert.Less(t, need.answer.status, 300, "%s: %s", request, need.answer)
				}
			}
			assert.Equal(t, http.StatusOK, s.call(http.MethodGet, config.PathHealth, nil).status)
			assert.Equal(t, http.StatusBadRequest, s.call(http.MethodPost, config.PathUsers, []byte(`{}`)).status)

			require.NoError(t, s.aws.Reset())
			made := time.Now()
			s.awaitReady(t)
			recovered := time.Since(made)
			assert.Less(t, recovered, recoverWithin)
			again := s.create(t, newImage(imageBytes))
			assert.Equal(t, http.StatusOK, s.call(http.MethodGet, config.PathUsers+"/"+again+"/avatar", nil).status)
			t.Logf("figure: %s noticed after %s, ready %s after it was made again", name, noticed.Round(time.Millisecond), recovered.Round(time.Millisecond))
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
// with them, and that it is ready within seconds after they are back.
func TestStartsInAnOutage(t *testing.T) {
	t.Parallel()
	for name, strike := range map[string]func(*testing.T, *system, place){
		"refused":    refused,
		"black hole": poisoned(blackHole...),
		"throttled":  throttled(1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const timeout = 3 * time.Second
			s := prepare(t, func(c *config.Config) { c.RequestTimeout = timeout })
			strike(t, s, places[2])
			s.api = startProcess(t, s.config)
			s.url = s.api.url
			got := s.call(http.MethodGet, config.PathUsers, nil)
			assert.NoError(t, got.unavailable(), "%s", got)
			inTime(t, timeout+margin, got, "the list")
			ready := s.call(http.MethodGet, config.PathReady, nil)
			assert.NoError(t, ready.unavailable(), "%s", ready)
			assert.Equal(t, map[string]string{"dynamodb": "pending", "s3": "pending"}, states(ready))
			assert.Equal(t, http.StatusOK, s.call(http.MethodGet, config.PathHealth, nil).status)

			s.heal(t)
			healed := time.Now()
			s.awaitReady(t)
			assert.Less(t, time.Since(healed), recoverWithin)
			s.create(t, newImage(imageBytes))
			t.Logf("figure: ready %s after the outage", time.Since(healed).Round(time.Millisecond))
		})
	}
}
