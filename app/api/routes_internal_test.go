package api

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/config"
	"prima.internal/app/user"
)

// Ensure every path has the label of its route as the description names it, and that all unknown
// paths share one label.
func TestRoutes(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	s := New(config.Default(), &user.Service{Log: log}, nil, log)
	for path, want := range map[string]string{
		"/health": "/health", "/readyz": "/readyz", "/user": "/user", "/users": "/users",
		"/users/1": "/users/{id}", "/users/%2f": "/users/{id}", "/users/1/avatar": "/users/{id}/avatar",
		"/": "/", "/docs": "/docs", "/openapi.json": "/openapi.json", "/assets/users.js": "/assets/*",
		"/users/": unmatched, "/users//avatar": unmatched, "/users/1/": unmatched, "/users/1/avatar/": unmatched,
		"/users/1/2": unmatched, "/Users": unmatched, "": unmatched, "*": unmatched, "/users/{id}/x": unmatched,
		"/metrics": unmatched, "http://a/users": unmatched,
	} {
		assert.Equal(t, want, s.routes.of(path), path)
	}
}
