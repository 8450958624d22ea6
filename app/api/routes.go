package api

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/config"
	"prima.internal/app/pages"
)

// unmatched is the route of every path that nothing is served under: clients must not choose the
// values of a label.
const unmatched = "unmatched"

// routes are the templates of paths, as they are documented, for metrics and traces. A request has
// one whether or not it reaches a handler.
type routes map[string]bool

func newRoutes(app *fiber.App) routes {
	r := routes{}
	for _, served := range app.GetRoutes(true) {
		r[template(served.Path)] = true
	}
	return r
}

// of returns the route of a path.
func (r routes) of(path string) string {
	if t := template(path); r[t] {
		return t
	}
	return unmatched
}

// template replaces what varies in a path, or in a path of Fiber: the id of a user, the name of a file.
func template(path string) string {
	if strings.HasPrefix(path, pages.PathAssets) { // one series for all of them
		return pages.PathAssets + "*"
	}
	rest, ok := strings.CutPrefix(path, config.PathUsers+"/")
	if id, _, _ := strings.Cut(rest, "/"); ok && id != "" {
		return config.PathUsers + "/{id}" + rest[len(id):]
	}
	return path
}
