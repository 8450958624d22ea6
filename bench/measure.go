package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

const (
	primaAPI    = "prima-api"
	idiomaticGo = "idiomatic Go"
	flask       = "Flask"
	bareLoop    = "bare SDK loop"
)

// The figures of a server.
const (
	requestCount  = "requests"
	requestRate   = "requests/s"
	latencyP50    = "p50, ms"
	latencyP99    = "p99, ms"
	firstByte     = "first byte, ms" // of the first response
	cpuPerRequest = "CPU, µs/request"
	callsEach     = "calls/request" // of DynamoDB
	readyTime     = "until ready, ms"
	restMemory    = "memory at rest, MiB"
	peakMemory    = "peak memory, MiB"
)

// A work is what each side does in each round, with a new server.
type work struct {
	name    string
	load    load          // the table has its users
	delay   time.Duration // before each response of DynamoDB
	figures []string      // in the table; the progress shows the first
}

var lengths = []int{100, 2_000, 20_000, 200_000} // users

func lengthName(users int) string { return fmt.Sprintf("List of %d users", users) }

// works returns what is measured, with loads of a duration.
func works(duration time.Duration) []work {
	header := http.Header{"Host": {host}, "Content-Type": {"application/json"}}
	get := vegeta.Target{Method: http.MethodGet, URL: "/users", Header: header}
	body := []byte(`{"name":"Ada","email":"ada@example.com"}`)
	post := vegeta.Target{Method: http.MethodPost, URL: "/user", Header: header, Body: body}
	list := load{Target: get, Status: http.StatusOK, Users: 100, Connections: 8, Duration: duration}
	single, create := list, load{Target: post, Status: http.StatusCreated, Connections: 8, Duration: duration}
	single.Connections = 1
	all := []work{
		{"`GET /users`", list, 0, []string{requestRate, cpuPerRequest}},
		{"`GET /users`, 1 connection", single, 0, []string{requestRate, cpuPerRequest}},
		{"`POST /user`", create, 0, []string{requestRate, cpuPerRequest}},
		{"DynamoDB takes 5 ms", list, 5 * time.Millisecond, []string{latencyP50, latencyP99, cpuPerRequest, callsEach}},
	}
	single.Duration, list.Duration = 0, 0
	for _, single.Users = range lengths {
		all = append(all, work{lengthName(single.Users), single, 0, []string{peakMemory}})
	}
	return append(all,
		work{"The same, DynamoDB takes 20 ms", single, 20 * time.Millisecond, []string{firstByte}},
		work{"Start", list, 0, []string{readyTime, restMemory}})
}

// A bench is one run of the benchmark.
type bench struct {
	dir      string // of the servers and their files
	rounds   int
	duration time.Duration // of a load
	sides    []side

	serverCore, restCore string
	backend              *backend          // of the work that is measured
	measured             map[key][]float64 // one for each round
}

// A key says what a figure is.
type key struct{ work, side, figure string }

// measure lets the servers take turns at a work. Each round begins with another one.
func (b *bench) measure(ctx context.Context, w work) error {
	b.backend = startBackend(w.load.Users, w.delay)
	defer b.backend.Close()
	for round := range b.rounds {
		fmt.Printf("%s, round %d of %d, %s:", w.name, round+1, b.rounds, w.figures[0])
		for turn := range b.sides {
			s := b.sides[(round+turn)%len(b.sides)]
			if s.command == nil && w.load.Status != http.StatusCreated {
				continue // the loop creates users
			}
			figures, err := b.turn(ctx, w.load, s)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", w.name, s.name, err)
			}
			for figure, value := range figures {
				k := key{w.name, s.name, figure}
				b.measured[k] = append(b.measured[k], value)
			}
			fmt.Printf(" %s %s;", s.name, number(figures[w.figures[0]]))
		}
		fmt.Println()
	}
	return nil
}

// turn measures a side once. A shorter load, which does not count, goes before a load.
func (b *bench) turn(ctx context.Context, l load, s side) (map[string]float64, error) {
	if s.command == nil {
		l.Target.URL = ""
		return b.child(ctx, b.serverCore, l)
	}
	v, err := b.start(ctx, s)
	if err != nil {
		return nil, err
	}
	defer v.end()
	l.Target.URL = v.url + l.Target.URL
	_, atRest, atRestErr := usage(v.pid)
	if warmUp := l; l.Duration > 0 {
		warmUp.Duration /= 3
		if _, err := b.child(ctx, b.restCore, warmUp); err != nil {
			return nil, err
		}
	}
	calls := b.backend.calls.Load()
	before, _, beforeErr := usage(v.pid)
	figures, err := b.child(ctx, b.restCore, l)
	after, status, afterErr := usage(v.pid)
	if err := errors.Join(err, atRestErr, beforeErr, afterErr); err != nil {
		return nil, err
	}
	figures[cpuPerRequest] = 1e6 * (after - before) / figures[requestCount]
	figures[callsEach] = float64(b.backend.calls.Load()-calls) / figures[requestCount]
	figures[readyTime] = milliseconds(v.ready)
	figures[restMemory], figures[peakMemory] = float64(atRest.VmRSS)/(1<<20), float64(status.VmHWM)/(1<<20)
	return figures, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
