package chaos_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// A write is a request that writes to DynamoDB.
type write struct {
	name string
	call string // that decides
	do   func(w *worker, u *account) bool
}

var writes = []write{
	{opCreateForm, "DynamoDB.PutItem", (*worker).create},
	{opPatch, "DynamoDB.UpdateItem", (*worker).patch},
	{opPutAvatar, "DynamoDB.UpdateItem", (*worker).putAvatar},
	{opDelete, "DynamoDB.DeleteItem", (*worker).delete},
}

// prepare returns a client without a load, and a user to write to: one who exists, unless the write
// creates it.
func (c write) prepare(t *testing.T) (*system, *worker, *account) {
	t.Helper()
	s := start(t, func(c *config.Config) { c.RequestTimeout = 3 * time.Second })
	l := &load{t: t, system: s}
	w, u := &worker{load: l}, newAccount(newImage(imageBytes), "the key")
	l.workers = []*worker{w}
	if c.name != opCreateForm {
		require.True(t, w.create(u))
	}
	return s, w, u
}

// Ensure a write takes effect once if its client got a 503 because AWS's responses were lost. The
// user is whole, the same request succeeds afterwards, and concurrent repetitions of a create all
// get the first response.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	for name, toxics := range map[string][]string{
		"cut off": {`{"type":"limit_data","attributes":{"bytes":1}}`},
		"stalled": {`{"type":"timeout","attributes":{"timeout":0}}`},
	} {
		for _, c := range writes {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				s, w, u := c.prepare(t)
				var once sync.Once
				s.aws.Intercede(c.call, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					once.Do(func() { s.dynamodb.poison(t, toxics...) })
					next.ServeHTTP(w, r)
				})
				require.False(t, c.do(w, u), "the responses are lost")
				s.heal(t, both)
				if c.name == opCreateForm {
					var all sync.WaitGroup
					replies := make([]reply, 8)
					for i := range replies {
						all.Go(func() { replies[i] = u.create(s) })
					}
					all.Wait()
					for _, a := range replies {
						assert.Equal(t, http.StatusCreated, a.status, "%s", a)
						assert.Equal(t, string(replies[0].body), string(a.body))
					}
					assert.Len(t, s.aws.Objects(t), 1)
				}
				w.load.audit(t)
			})
		}
	}
}

// Ensure a write that arrives after its client got a 503 leaves the user that it created or changed
// with an image.
func TestLateWrite(t *testing.T) {
	t.Parallel()
	for _, c := range writes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, w, u := c.prepare(t)
			release := make(chan struct{})
			var held sync.WaitGroup
			s.aws.Intercede(c.call, func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				late := r.Clone(context.WithoutCancel(r.Context()))
				late.Body = io.NopCloser(bytes.NewReader(body))
				held.Go(func() {
					<-release
					next.ServeHTTP(httptest.NewRecorder(), late)
				})
				<-r.Context().Done()
			})
			require.False(t, c.do(w, u), "the write is held back")
			s.aws.Heal(c.call)
			close(release)
			held.Wait()
			w.load.audit(t)
		})
	}
}
