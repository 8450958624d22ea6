package api

import (
	"net/http"

	"github.com/valyala/fasthttp"
)

// hasBody reports whether a request has a body, in chunks or with a length.
func hasBody(header *fasthttp.RequestHeader) bool {
	const chunked = -1
	return header.ContentLength() > 0 || header.ContentLength() == chunked
}

// expect is called for a client that waits for 100 Continue before it sends the body of a request.
// It runs the handlers without the body. What they decide from the header is the response; if they
// ask for the body, they run again once the client sends it.
//
// fasthttp asks an ExpectHandler to leave the response alone, but would send a refusal without a
// body. It sends the response as it finds it; func expect of package apitest fails if that changes.
func (s *Server) expect(fctx *fasthttp.RequestCtx) (status int) {
	if !hasBody(&fctx.Request.Header) {
		return http.StatusContinue
	}
	s.app.Server().Handler(fctx)
	if r, ok := fctx.UserValue(requestKey).(*request); ok && !r.expects {
		fctx.Response.Reset()
		return http.StatusContinue
	}
	return fctx.Response.StatusCode()
}
