package api

import (
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"

	"prima.internal/app/config"
	"prima.internal/app/pages"
)

// addRoutes adds the handlers of every path. Those behind guard need a token if ACCESS_TOKENS is
// set.
func (s *Server) addRoutes() {
	const id = config.PathUsers + "/:id"
	s.app.Use(s.observe)
	if len(s.config.CORSOrigins) > 0 {
		s.app.Use(preflight)
	}
	s.app.Get(config.PathHealth, adaptor.HTTPHandler(s.Health()))
	s.app.Get(config.PathReady, adaptor.HTTPHandler(s.Ready()))
	s.app.Get(config.PathDescription, s.describe)
	s.app.Get(id+"/avatar", s.getAvatar) // checks the token itself
	if s.config.Pages {
		s.servePages()
	}
	s.app.Use(s.checkOrigin, s.guard)
	s.app.Post(config.PathUser, unversioned, s.createUser)
	s.app.Post(config.PathUsers, unversioned, s.createUser)
	s.app.Get(config.PathUsers, s.listUsers)
	s.app.Get(id, checkID, s.getUser)
	s.app.Patch(id, checkID, unversioned, s.updateUser)
	s.app.Delete(id, unversioned, checkID, s.deleteUser)
	s.app.Put(id+"/avatar", checkID, s.putAvatar)
	s.app.Delete(id+"/avatar", checkID, s.deleteAvatar)
}

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

// template replaces what varies in a path, or in a path of Fiber: the id of a user, the name of a
// file.
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
