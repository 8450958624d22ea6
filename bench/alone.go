package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"sync"

	"github.com/valyala/fasthttp"
)

// httpAlone is a server that takes a request, whole, and answers it: that for a list with 100 users that it has in memory, one to create
// a user with a name. It does nothing between. With the bare loop of
// the call that it leaves out it says what the quickest of servers would come to.
const httpAlone = "HTTP alone"

// serveAlone serves until the listener is closed.
func serveAlone(l net.Listener) error {
	answer := fmt.Appendf(nil, `{"message":"User created successfully","id":%q,"avatar_url":""}`, "00000000-0000-4000-8000-000000000000")
	list := listOf(100)
	s := &fasthttp.Server{
		NoDefaultServerHeader: true,
		MaxRequestBodySize:    2 * avatarBytes,
		// Read where it arrives, and not kept: a body in memory costs several times that.
		StreamRequestBody: true, DisablePreParseMultipartForm: true,
		ReadBufferSize: 64 << 10,
		Handler: func(ctx *fasthttp.RequestCtx) {
			if ctx.IsGet() { // for the list, or whether it serves
				if string(ctx.Path()) == "/users" {
					ctx.SetContentType("application/json")
					ctx.Response.SetBodyRaw(list)
				}
				return
			}
			buffer, _ := buffers.Get().(*[64 << 10]byte)
			defer buffers.Put(buffer)
			if _, err := io.CopyBuffer(onlyWriter{io.Discard}, ctx.RequestBodyStream(), buffer[:]); err != nil {
				ctx.SetStatusCode(http.StatusBadRequest)
				return
			}
			ctx.SetStatusCode(http.StatusCreated)
			ctx.SetContentType("application/json")
			ctx.SetBody(answer)
		},
	}
	return s.Serve(l)
}

// listOf returns the list of so many users, as the API sends it.
func listOf(users int) []byte {
	list := []byte{'['}
	for i := range users {
		if i > 0 {
			list = append(list, ',')
		}
		id := userID(i)
		list = fmt.Appendf(list, `{"id":"%[1]s","name":"%[2]s","email":"%[3]s","avatar_url":"http://127.0.0.1:65535/users/%[1]s/avatar?v=%[4]s%[5]012d"}`,
			id, escapedName(i), emailOf(i), avatarPrefix, i)
	}
	return append(list, ']')
}

var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// onlyWriter hides the methods by which io.Discard brings a buffer of its own, which is small.
type onlyWriter struct{ io.Writer }

// startAlone starts it as a process of its own.
func (s *suite) startAlone(ctx context.Context) (*server, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	cmd, err := s.role(ctx, "alone", address)
	if err != nil {
		return nil, err
	}
	p, err := s.startServer(ctx, cmd)
	if err != nil {
		return nil, err
	}
	url := "http://" + address
	if err := p.awaitOK(ctx, url+"/health"); err != nil {
		p.end()
		return nil, err
	}
	return &server{process: p, url: url}, nil
}

// besideAlone is compareSides, with HTTP alone and others among the contenders.
func (s *suite) besideAlone(ctx context.Context, m *measurement, l load, others map[string]contender, sides ...string) error {
	alone, err := s.startAlone(ctx)
	if err != nil {
		return err
	}
	defer alone.end()
	there := l
	there.url = alone.url + l.url
	all := maps.Clone(others)
	all[httpAlone] = loaded{alone, there}
	return s.compareSides(ctx, m, tableOf(100), l, sides, all)
}

// A ceiling is what the quickest of servers would come to on the same cores: one request of it costs one of HTTP alone
// and the calls that it makes, each as much as in a bare loop.
type ceiling struct {
	Work                         string
	Alone, Loop, Ceiling, Actual string // requests/s, calls/s, and two shares of the latter
}

// ceilings returns those that can be told from the results.
func ceilings(r results) []ceiling {
	rate := func(task, side string) float64 {
		e, _ := estimateOf(r.figure(task, side, 0, requestRate))
		return e.median // 0 where it was not measured
	}
	putItem := rate(taskCreate, bareLoop)
	var all []ceiling
	for _, c := range []struct {
		task, work string
		also       float64 // calls/s of what is called beside the call of the loop; infinite if nothing is
	}{
		{taskCreate, "`POST /user`, JSON: PutItem", math.Inf(1)},
		{taskAvatar, "`POST /user` with an avatar of 1 MiB: PutObject, and a PutItem", putItem},
	} {
		alone, loop, actual := rate(c.task, httpAlone), rate(c.task, bareLoop), rate(c.task, primaAPI)
		if alone*loop*actual*c.also > 0 {
			quickest := 1 / (1/alone + 1/loop + 1/c.also)
			all = append(all, ceiling{c.work, number(alone), number(loop), number(quickest/loop) + "×", number(actual/loop) + "×"})
		}
	}
	return all
}
