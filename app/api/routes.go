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

// routes are the templates of paths, as they are documented, for metrics and traces. A request has a
// route before and whether or not it reaches a handler.
type routes map[string]bool

// newRoutes returns the routes of an app.
func newRoutes(app *fiber.App) routes {
	r := routes{}
	for _, served := range app.GetRoutes(true) {
		template := strings.ReplaceAll(served.Path, ":id", "{id}")
		if strings.HasPrefix(template, pages.PathAssets) { // one series for all of them
			template = pages.PathAssets + "*"
		}
		r[template] = true
	}
	return r
}

// of returns the route of a path.
func (r routes) of(path string) string {
	template := path
	if rest, ok := strings.CutPrefix(path, config.PathUsers+"/"); ok {
		if id, _, _ := strings.Cut(rest, "/"); id != "" {
			template = config.PathUsers + "/{id}" + rest[len(id):]
		}
	} else if strings.HasPrefix(path, pages.PathAssets) {
		template = pages.PathAssets + "*"
	}
	if r[template] {
		return template
	}
	return unmatched
}
