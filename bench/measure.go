package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"prima.internal/app/apitest"
)

// A task makes one measurement.
type task struct {
	name  string
	title string // under which the results are listed
	flag  string // that asks for it, for those that take long; else empty
	apart bool   // a server has cores of its own, which neither the load nor the backend has
	run   func(ctx context.Context, s *suite, m *measurement) error
}

const (
	newName  = "Ada"
	newEmail = "ada@example.com"
	bareLoop = "bare SDK loop"
	unhashed = "bare SDK loop, contents not hashed"

	// scanTime is how long DynamoDB takes for a page of the list of taskListWait.
	scanTime = 20 * time.Millisecond

	taskList         = "list-100-8"
	taskListMany     = "list-100-64"
	taskListOne      = "list-100-1"
	taskListFar      = "list-100-far"
	taskListTogether = "list-100-together"
	taskListPage     = "list-3000-8"
	taskCreate       = "create-8"
	taskAvatar       = "avatar-4"
	taskListWait     = "list-200000-wait"
	taskLengths      = "lengths"
	taskStart        = "start"
	taskGoBench      = "go-bench"
	taskImage        = "image"
	taskCompile      = "compile"
	taskPulumi       = "pulumi"
)

func tasks() []task {
	return []task{
		{taskList, "GET /users, 100 users, 8 connections", "", true, listTask(100, 8, primaAPI, idiomatic, flask, gunicorn)},
		{taskListMany, "GET /users, 100 users, 64 connections", "", true, listTask(100, 64, primaAPI, idiomatic)},
		{taskListOne, "GET /users, 100 users, 1 connection", "", true, listTask(100, 1, primaAPI, idiomatic)},
		{taskListFar, "GET /users, 100 users, 8 connections, DynamoDB responding after 5 ms", "", true, tableTask(tableOf(100)+"-wait5ms", 100, 8, primaAPI, idiomatic)},
		{taskListTogether, "GET /users, 100 users, 8 connections, where server, load and backend share all cores", "", false, listTask(100, 8, primaAPI, idiomatic, flask, gunicorn)},
		{taskListPage, "GET /users, 3,000 users in one page, 8 connections", "", true, listTask(3000, 8, primaAPI, idiomatic)},
		{taskCreate, "POST /user, JSON, 8 connections", "", true, runCreate},
		{taskAvatar, "POST /user, multipart with a PNG of 1 MiB, 4 connections", "", true, runAvatar},
		{taskListWait, "GET /users, 200,000 users, DynamoDB responding after 20 ms", "", false, runWait},
		{taskLengths, "GET /users by the number of users, in a process that has served nothing before", "", false, runLengths},
		{taskStart, "Start, and memory at rest", "", false, runStart},
		{taskGoBench, "Go benchmarks beside the code", "", false, runGoBench},
		{taskImage, "Image", "", false, runImage},
		{taskCompile, "Compiling the Pulumi program from an empty cache", "compile", false, runCompile},
		{taskPulumi, "Pulumi on a stack that runs", "pulumi", false, runPulumi},
	}
}

// A contender does a round of a comparison.
type contender interface {
	round(ctx context.Context, s *suite, duration time.Duration) (map[string]float64, error)
}

// loaded is a server under a load.
type loaded struct {
	server *server
	load   load
}

func (l loaded) round(ctx context.Context, s *suite, duration time.Duration) (map[string]float64, error) {
	l.load.duration = duration
	if _, err := s.calls(ctx); err != nil { // which begins to count anew
		return nil, err
	}
	before, err := l.server.cpu()
	if err != nil {
		return nil, err
	}
	result, err := l.load.run(ctx, s)
	if err != nil {
		return nil, err
	}
	after, err := l.server.cpu()
	if err != nil {
		return nil, err
	}
	calls, err := s.calls(ctx)
	if err != nil {
		return nil, err
	}
	requests := float64(result.Answers + 1) // and the first, which is not timed
	return map[string]float64{
		requestRate:   result.rate(),
		latencyMedian: milliseconds(result.P50),
		latencyP99:    milliseconds(result.P99),
		cpuPerRequest: float64((after - before).Microseconds()) / requests,
		callsEach:     float64(calls) / requests,
		answers:       requests,
	}, nil
}

// bare is the SDK without a server.
type bare struct {
	call    string
	callers int
}

func (b bare) round(ctx context.Context, s *suite, duration time.Duration) (map[string]float64, error) {
	cmd, err := s.role(ctx, "loop", "-call", b.call, "-callers", strconv.Itoa(b.callers), "-duration", duration.String())
	if err != nil {
		return nil, err
	}
	cmd.Env = s.environ("users-100")
	var out, failure strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err = s.asServer(cmd.Start); err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", bareLoop, err, failure.String())
	}
	var r loadResult
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
		return nil, fmt.Errorf("%s: %w", bareLoop, err)
	}
	return map[string]float64{
		requestRate:   r.rate(),
		latencyMedian: milliseconds(r.P50),
		latencyP99:    milliseconds(r.P99),
		callsEach:     1,
		answers:       float64(r.Answers),
	}, nil
}

// compare lets contenders do the rounds in turn, after a warm-up that does not count.
func (s *suite) compare(ctx context.Context, m *measurement, names []string, contenders []contender) error {
	for i, c := range contenders {
		if _, err := c.round(ctx, s, s.duration/3); err != nil {
			return fmt.Errorf("%s: %w", names[i], err)
		}
	}
	return s.takeTurns(ctx, m, names, contenders, s.rounds)
}

// takeTurns lets contenders do so many rounds in turn, beginning with another each time.
func (s *suite) takeTurns(ctx context.Context, m *measurement, names []string, contenders []contender, rounds int) error {
	m.Sides = make([]sideResult, len(contenders))
	for i := range contenders {
		m.Sides[i].Name = names[i]
	}
	for round := range rounds {
		for turn := range contenders {
			i := (turn + round) % len(contenders)
			figures, err := contenders[i].round(ctx, s, s.duration)
			if err != nil {
				return fmt.Errorf("%s: %w", names[i], err)
			}
			m.Sides[i].add(figures)
			s.say("  %d %-30s %s", round+1, names[i], line(figures))
		}
	}
	return nil
}

// line is figures for whoever watches.
func line(figures map[string]float64) string {
	var parts []string
	for _, name := range columns {
		if value, ok := figures[name]; ok {
			parts = append(parts, name+" "+number(value))
		}
	}
	return strings.Join(parts, ", ")
}

// compareSides puts the same load on each of the sides, beside what else takes part.
func (s *suite) compareSides(ctx context.Context, m *measurement, table string, l load, sides []string, others map[string]contender) error {
	var all []side
	for _, name := range sides {
		all = append(all, sideOf(name))
	}
	var (
		names      []string
		contenders []contender
	)
	path := l.url
	for _, side := range s.available(m, all...) {
		server, err := s.start(ctx, side, table)
		if err != nil {
			return err
		}
		defer server.end()
		l.url = server.url + path
		names, contenders = append(names, side.name), append(contenders, loaded{server, l})
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		names, contenders = append(names, name), append(contenders, others[name])
	}
	return s.compare(ctx, m, names, contenders)
}

func listTask(users, connections int, sides ...string) func(context.Context, *suite, *measurement) error {
	return tableTask(tableOf(users), users, connections, sides...)
}

func tableTask(table string, users, connections int, sides ...string) func(context.Context, *suite, *measurement) error {
	return func(ctx context.Context, s *suite, m *measurement) error {
		l := load{method: http.MethodGet, url: "/users", status: http.StatusOK, connections: connections, check: isList(users)}
		return s.compareSides(ctx, m, table, l, sides, nil)
	}
}

func tableOf(users int) string { return "users-" + strconv.Itoa(users) }

// isList checks that an answer is a list of so many different users.
func isList(users int) func([]byte) error {
	return func(body []byte) error {
		var list []struct{ ID, Name, Email, AvatarURL string }
		if err := json.Unmarshal(body, &list); err != nil {
			return fmt.Errorf("read the list: %w", err)
		}
		ids := map[string]bool{}
		for _, u := range list {
			if u.Name == "" || u.Email == "" {
				return fmt.Errorf("the user %s has no name or no email", u.ID)
			}
			ids[u.ID] = true
		}
		if len(ids) != users || len(list) != users {
			return fmt.Errorf("%w: %d users, %d different ones, of %d", errShort, len(list), len(ids), users)
		}
		return nil
	}
}

func isCreated(body []byte) error {
	var created struct{ ID string }
	if err := json.Unmarshal(body, &created); err != nil || created.ID == "" {
		return fmt.Errorf("the answer names no user: %.200q", body)
	}
	return nil
}

func runCreate(ctx context.Context, s *suite, m *measurement) error {
	const connections = 8
	l := load{
		method: http.MethodPost, url: "/user", header: map[string]string{"Content-Type": "application/json"},
		body:   fmt.Appendf(nil, `{"name":%q,"email":%q}`, newName, newEmail),
		status: http.StatusCreated, connections: connections, check: isCreated,
	}
	return s.compareSides(ctx, m, tableOf(100), l, []string{primaAPI, idiomatic, flask, gunicorn}, map[string]contender{bareLoop: bare{"PutItem", connections}})
}

func runAvatar(ctx context.Context, s *suite, m *measurement) error {
	const connections = 4
	// What compresses an image leaves bytes that look random; a run of zeros is what package multipart is slowest with.
	image := apitest.PaddedPNG(avatarBytes)
	_, _ = rand.NewChaCha8([32]byte{}).Read(image[avatarBytes/1024 : avatarBytes-1024])
	contentType, body := apitest.Form(apitest.Field("name", newName), apitest.Field("email", newEmail), apitest.File("avatar", "a.png", image))
	l := load{
		method: http.MethodPost, url: "/user", header: map[string]string{"Content-Type": contentType}, body: body,
		status: http.StatusCreated, connections: connections, check: isCreated,
	}
	return s.compareSides(ctx, m, tableOf(100), l, []string{primaAPI, idiomatic, flask},
		map[string]contender{bareLoop: bare{"PutObject", connections}, unhashed: bare{"PutObject-unhashed", connections}})
}

// runWait asks a fresh prima-api for a long list of a table whose pages take scanTime each.
func runWait(ctx context.Context, s *suite, m *measurement) error {
	users := longLength
	if s.quick {
		users = 10_000
	}
	for _, side := range s.available(m, sideOf(primaAPI)) {
		result := sideResult{Name: side.name}
		for range s.rounds {
			figures, err := s.fetchFresh(ctx, side, fmt.Sprintf("%s-wait%dms", tableOf(users), scanTime.Milliseconds()), users)
			if err != nil {
				return err
			}
			result.add(figures)
		}
		m.Sides = append(m.Sides, result)
		s.say("  %s", line(medians(result.Figures)))
	}
	return nil
}
