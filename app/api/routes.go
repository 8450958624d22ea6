package api

import (
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"prima.internal/app/pages"
)

// unmatched is the route of every path that nothing is served under: clients must not choose the
// values of a label.
const unmatched = "unmatched"

// routes name what is served, for metrics and traces, also of requests that never reach a handler.
type routes struct {
	known []*route // in Fiber's order, but for the files of the pages, which come last
	none  *route
}

// A route is a template of paths with its metrics.
type route struct {
	name     string // as it is documented: /users/{id}
	template string // as Fiber has it: /users/:id

	active         prometheus.Gauge
	received, sent prometheus.Counter
}

// newRoutes returns the routes of an app that has all of them.
func newRoutes(app *fiber.App, m *metrics) routes {
	named := func(name, template string) *route {
		return &route{
			name: name, template: template,
			active: m.active.WithLabelValues(name), received: m.received.WithLabelValues(name), sent: m.sent.WithLabelValues(name),
		}
	}
	r := routes{none: named(unmatched, "")}
	seen, files := map[string]bool{}, false
	for _, served := range app.GetRoutes(true) {
		switch {
		case strings.HasPrefix(served.Path, pages.PathAssets): // one series for all of them
			files = true
		case !seen[served.Path]:
			seen[served.Path] = true
			r.known = append(r.known, named(documented(served.Path), served.Path))
		}
	}
	if files {
		r.known = append(r.known, named(pages.PathAssets+"*", pages.PathAssets+"*"))
	}
	return r
}

// documented writes a template of Fiber's as the documentation does.
func documented(template string) string {
	segments := strings.Split(template, "/")
	for i, segment := range segments {
		if parameter, ok := strings.CutPrefix(segment, ":"); ok {
			segments[i] = "{" + parameter + "}"
		}
	}
	return strings.Join(segments, "/")
}

// of returns the route of a path.
func (r routes) of(path string) *route {
	for _, known := range r.known {
		if matchesTemplate(known.template, path) {
			return known
		}
	}
	return r.none
}

func matchesTemplate(template, path string) bool {
	for {
		want, templateRest, more := strings.Cut(template, "/")
		got, pathRest, moreOfPath := strings.Cut(path, "/")
		switch {
		case want == "*":
			return true
		case strings.HasPrefix(want, ":"):
			if got == "" {
				return false
			}
		case want != got:
			return false
		}
		if !more || !moreOfPath {
			return more == moreOfPath
		}
		template, path = templateRest, pathRest
	}
}
