package localaws_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/localaws"
)

// Ensure a listener on every interface gives a URL that this machine reaches, and a taken port is told.
func TestListen(t *testing.T) {
	t.Parallel()
	a, err := localaws.New(localaws.Options{})
	require.NoError(t, err)
	server, err := a.Listen(":0")
	require.NoError(t, err)
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+$`, server.URL())
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL(), "http://"))
	require.NoError(t, err)
	require.NoError(t, conn.Close())

	_, err = a.Listen(strings.TrimPrefix(server.URL(), "http://"))
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.NoError(t, server.Close())
	require.NoError(t, server.Close())
	_, err = net.Dial("tcp", strings.TrimPrefix(server.URL(), "http://"))
	require.Error(t, err)
}

// Ensure Shutdown lets a running request finish, and gives up when told to.
func TestServer_Shutdown(t *testing.T) {
	t.Parallel()
	a, err := localaws.New(localaws.Options{})
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, finish := range []bool{true, false} {
		server, err := a.Listen("127.0.0.1:0")
		require.NoError(t, err)
		began, release := make(chan struct{}), make(chan struct{})
		a.Intercept(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(began)
				select {
				case <-release:
				case <-r.Context().Done():
				}
				next.ServeHTTP(w, r)
			})
		})
		answered := make(chan error)
		go func() {
			r, _ := http.NewRequest(http.MethodGet, server.URL(), nil)
			resp, err := client.Do(r)
			if err == nil {
				err = resp.Body.Close()
			}
			answered <- err
		}()
		<-began
		if finish {
			close(release)
			require.NoError(t, server.Shutdown(t.Context()))
			require.NoError(t, <-answered)
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		require.ErrorIs(t, server.Shutdown(ctx), context.DeadlineExceeded)
		cancel()
		require.NoError(t, server.Close())
		require.Error(t, <-answered)
	}
}
