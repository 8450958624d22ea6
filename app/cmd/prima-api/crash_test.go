package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
)

// shown is a user as the list shows it.
type shown struct {
	ID, Name, Email string
	AvatarURL       string `json:"avatar_url"`
}

// Ensure that a process killed at any point of a write leaves nothing that a user can see but the
// state before or after that write, and that what it leaves in the bucket is swept.
func TestCrash(t *testing.T) {
	t.Parallel()
	first, second := apitest.PNG(2, 2), apitest.PNG(3, 3)
	type users = []shown
	for name, write := range map[string]struct {
		method, path string // of Ada, who has the old image
		body         func() (contentType string, body []byte)
		calls        []string // that the write makes, in their order
		committed    string   // the call that decides
		before       func(t *testing.T, now users, image []byte)
		after        func(t *testing.T, now users, image []byte)
	}{
		"creating a user": {
			http.MethodPost, "/users", func() (string, []byte) {
				return apitest.Form(apitest.Field("name", "Grace"), apitest.Field("email", "g@example.com"), apitest.File("avatar", "a.png", second))
			},
			[]string{"S3.PutObject", "DynamoDB.PutItem"},
			"DynamoDB.PutItem",
			func(t *testing.T, now users, _ []byte) { assert.Len(t, now, 1) },
			func(t *testing.T, now users, _ []byte) { assert.Len(t, now, 2) },
		},
		"replacing an avatar": {
			http.MethodPut, "/avatar", func() (string, []byte) { return "image/png", second },
			[]string{"DynamoDB.GetItem", "S3.PutObject", "DynamoDB.UpdateItem", "S3.DeleteObject"},
			"DynamoDB.UpdateItem",
			func(t *testing.T, _ users, image []byte) { assert.Equal(t, first, image) },
			func(t *testing.T, _ users, image []byte) { assert.Equal(t, second, image) },
		},
		"removing an avatar": {
			http.MethodDelete, "/avatar", func() (string, []byte) { return "", nil },
			[]string{"DynamoDB.GetItem", "DynamoDB.UpdateItem", "S3.DeleteObject"},
			"DynamoDB.UpdateItem",
			func(t *testing.T, _ users, image []byte) { assert.Equal(t, first, image) },
			func(t *testing.T, now users, image []byte) { assert.Len(t, now, 1); assert.Nil(t, image) },
		},
		"deleting a user": {
			http.MethodDelete, "", func() (string, []byte) { return "", nil },
			[]string{"DynamoDB.GetItem", "DynamoDB.DeleteItem", "S3.DeleteObject"},
			"DynamoDB.DeleteItem",
			func(t *testing.T, now users, image []byte) { assert.Len(t, now, 1); assert.Equal(t, first, image) },
			func(t *testing.T, now users, _ []byte) { assert.Empty(t, now) },
		},
	} {
		done := false
		for _, call := range write.calls {
			for _, carriedOut := range []bool{false, true} {
				done = done || call == write.committed && carriedOut
				want := write.before
				if done {
					want = write.after
				}
				when := " before "
				if carriedOut {
					when = " after "
				}
				t.Run(name+when+call, func(t *testing.T) {
					t.Parallel()
					a := awstest.Start(t)
					a.Pass(-2 * time.Hour) // of the bucket's clock, so that to the sweep everything is old
					p := start(t, a.Environ()...)
					contentType, body := apitest.Form(apitest.Field("name", "Ada"), apitest.Field("email", "ada@example.com"), apitest.File("avatar", "a.png", first))
					status, _ := p.send(t, http.MethodPost, "/users", contentType, body)
					require.Equal(t, http.StatusCreated, status)
					path := write.path
					if path != "/users" {
						path = "/users/" + p.users(t)[0].ID + path
					}

					reached := make(chan struct{}, 1)
					a.Intercede(call, func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
						if carriedOut {
							next.ServeHTTP(httptest.NewRecorder(), r)
						}
						_, _ = io.Copy(io.Discard, r.Body)
						select {
						case reached <- struct{}{}:
						default:
						}
						<-r.Context().Done()
					})
					failed := make(chan error, 1)
					go func() {
						contentType, body := write.body()
						request, err := http.NewRequest(write.method, p.url+path, bytes.NewReader(body))
						if err == nil {
							request.Header.Set("Content-Type", contentType)
							_, err = http.DefaultClient.Do(request)
						}
						failed <- err
					}()
					<-reached
					p.signal(t, os.Kill)
					assert.Error(t, <-failed)
					p.wait(t)
					a.Heal(call)

					p = start(t, a.Environ()...)
					now := p.users(t)
					var image []byte
					named := []string{}
					for _, u := range now {
						if u.AvatarURL == "" {
							continue
						}
						status, data := p.send(t, http.MethodGet, strings.TrimPrefix(u.AvatarURL, p.url), "", nil)
						assert.Equal(t, http.StatusOK, status, "the image that a user names is there")
						_, id, _ := strings.Cut(u.AvatarURL, "?v=")
						named = append(named, bucket.Prefix+u.ID+"/"+id)
						if u.Name == "Ada" {
							image = data
						}
					}
					want(t, now, image)
					assert.Subset(t, a.Objects(t), named)

					status, stdout, stderr := command(t, []string{"sweep"}, a.Environ()...)
					assert.Equal(t, 0, status, stderr)
					assert.Contains(t, stdout, " removed")
					assert.ElementsMatch(t, named, a.Objects(t))
				})
			}
		}
	}
}

// send makes a request and returns the answer's status and body.
func (p *process) send(t *testing.T, method, path, contentType string, body []byte) (int, []byte) {
	t.Helper()
	request, err := http.NewRequest(method, p.url+path, bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, answer
}

// users returns the list.
func (p *process) users(t *testing.T) []shown {
	t.Helper()
	status, body := p.send(t, http.MethodGet, config.PathUsers, "", nil)
	require.Equal(t, http.StatusOK, status)
	var list []shown
	require.NoError(t, json.Unmarshal(body, &list))
	return list
}

// command runs the program to its end.
func command(t *testing.T, args []string, environ ...string) (status int, stdout, stderr string) {
	t.Helper()
	executable, err := os.Executable()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), executable, args...)
	c.Env = append([]string{asProgram + "=1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true"}, environ...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	_ = c.Run()
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}
