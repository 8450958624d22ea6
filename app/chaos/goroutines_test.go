package chaos_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"prima.internal/app/api"
	"prima.internal/app/awsclient"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/user"
)

// Ensure that no goroutine outlives the faults that it met: an API in the test's own process, which has had black holes,
// resets and answers that are cut off, late or slow under load, leaves none behind when it has been shut down.
func TestGoroutines(t *testing.T) { //nolint:paralleltest // it counts the goroutines of the whole process
	// What Fiber, fasthttp and net/http start once and keep is there after this.
	t.Run("without faults", func(t *testing.T) { inProcess(t) }) //nolint:paralleltest // see above
	kept := goleak.IgnoreCurrent()
	t.Run("with faults", func(t *testing.T) { //nolint:paralleltest // see above
		inProcess(t,
			poisoned(blackHole...), poisoned(blackHole...),
			poisoned(`{"type":"limit_data","attributes":{"bytes":1000}}`), refused,
			poisoned(`{"type":"bandwidth","attributes":{"rate":1}}`),
		)
	})
	leaked := func() error {
		return goleak.Find(kept,
			// Of which some wait for ever on a connection that was cut.
			goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
			goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
			// fasthttp v1.77.0 has each server's look for idle workers every ten seconds, and end when it next does.
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		)
	}
	err := leaked()
	for began := time.Now(); err != nil && time.Since(began) < 20*time.Second; err = leaked() {
		time.Sleep(100 * time.Millisecond)
	}
	assert.NoError(t, err)
}

// inProcess runs the API in this process under a load, and each fault for a moment.
func inProcess(t *testing.T, strikes ...func(*testing.T, *system, place)) {
	t.Helper()
	s := prepare(t, func(c *config.Config) { c.RequestTimeout, c.WriteTimeout = 200*time.Millisecond, time.Second })
	log := slog.New(slog.DiscardHandler)
	cfg, err := awsclient.Load(t.Context(), s.config, log)
	require.NoError(t, err)
	cfg.Credentials = s.aws.SDK.Credentials
	users, avatars := dynamo.New(cfg, s.config), bucket.New(cfg, s.config)
	server := api.New(s.config, &user.Service{Users: users, Avatars: avatars, Log: log},
		[]api.Dependency{{Name: "dynamodb", Check: users.Check}, {Name: "s3", Check: avatars.Check}}, log)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		s.http.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		assert.NoError(t, server.Shutdown(ctx))
		assert.NoError(t, <-served)
	})
	s.url = "http://" + listener.Addr().String()
	s.awaitReady(t)

	l := startLoad(t, s, clients, 20*time.Millisecond)
	l.mark()(t, 10)
	before := l.refused.Load()
	for i, strike := range strikes {
		strike(t, s, places[1+i%2]) // without DynamoDB, no request gets as far as S3
		time.Sleep(500 * time.Millisecond)
		s.heal(t)
		l.mark()(t, 1)
	}
	l.end()
	assert.True(t, l.refused.Load() > before || len(strikes) == 0, "calls that the faults hit")
	l.audit(t)
}
