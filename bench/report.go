package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// A requirement is what a figure must be.
type requirement struct {
	Work, Against string
	bound         float64
	atMost        bool // the bound is the most that the figure may be, rather than the least
	unit          string
	measured      func(results) (estimate, bool)
}

// The benchmarks of app/dynamo that read one page of 3,000 users.
const (
	pageOurs      = "app/dynamo Page/ours"
	pageIdiomatic = "app/dynamo Page/idiomatic"
	benchmarkCPU  = "cpu-ns/op"
	allocations   = "allocs/op"
)

func requirements() []requirement {
	quotient := func(a, b float64) float64 { return a / b }
	// times is how often as much a figure of one side is as that of another.
	times := func(task, figure, side, other string) func(results) (estimate, bool) {
		return func(r results) (estimate, bool) {
			return combine(r.figure(task, side, 0, figure), r.figure(task, other, 0, figure), quotient)
		}
	}
	plain := func(task, side, figure string) func(results) (estimate, bool) {
		return func(r results) (estimate, bool) { return estimateOf(r.figure(task, side, 0, figure)) }
	}
	const list, create = "`GET /users`, 100 users, 8 connections", "`POST /user`, JSON, 8 connections"
	return []requirement{
		{Work: list, Against: "idiomatic Go", bound: 4, unit: "×", measured: times(taskList, requestRate, primaAPI, idiomatic)},
		{Work: list, Against: "Flask, its own server", bound: 30, unit: "×", measured: times(taskList, requestRate, primaAPI, flask)},
		{Work: "the same, 1 connection", Against: "idiomatic Go", bound: 1.3, unit: "×", measured: times(taskListOne, requestRate, primaAPI, idiomatic)},
		{Work: create, Against: "idiomatic Go", bound: 0.95, unit: "×", measured: times(taskCreate, requestRate, primaAPI, idiomatic)},
		{Work: create, Against: "Flask, its own server", bound: 11, unit: "×", measured: times(taskCreate, requestRate, primaAPI, flask)},
		{Work: "a page of 3,000 users, less CPU", Against: "the idiomatic way in the same process", bound: 10, unit: "×", measured: times(taskGoBench, benchmarkCPU, pageIdiomatic, pageOurs)},
		{Work: "a page of 3,000 users, allocations", bound: 600, atMost: true, measured: plain(taskGoBench, pageOurs, allocations)},
		{Work: "`GET /users`, 200,000 users, more memory at the peak", Against: "2,000 users", bound: 8, atMost: true, unit: " MiB", measured: func(r results) (estimate, bool) {
			return combine(r.figure(taskLengths, primaAPI, longLength, peakMemory), r.figure(taskLengths, primaAPI, shortLength, peakMemory), func(a, b float64) float64 { return a - b })
		}},
		{Work: "the same, first byte if each page takes 20 ms", Against: "the time of two pages", bound: milliseconds(2 * scanTime), atMost: true, unit: " ms", measured: plain(taskListWait, primaAPI, firstByte)},
		{Work: "from exec to ready", bound: 30, atMost: true, unit: " ms", measured: plain(taskStart, primaAPI, readyTime)},
		{Work: "memory at rest", bound: 25, atMost: true, unit: " MiB", measured: plain(taskStart, primaAPI, idleMemory)},
		{Work: "image", bound: 20, atMost: true, unit: " MB", measured: plain(taskImage, primaAPI, imageSize)},
	}
}

func (q requirement) met(value float64) bool {
	if q.atMost {
		return value <= q.bound
	}
	return value >= q.bound
}

// row is the requirement as a row of a table in Markdown.
func (q requirement) row(r results) string {
	sign := "≥"
	if q.atMost {
		sign = "≤"
	}
	cells := []string{q.Work, q.Against, sign + " " + number(q.bound) + q.unit, "", "", "not measured"}
	if e, ok := q.measured(r); ok {
		cells[3], cells[4], cells[5] = number(e.median)+q.unit, number(e.low)+"–"+number(e.high), "**not met**"
		if q.met(e.median) {
			cells[5] = "met"
		}
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// number writes a figure with three digits that say something, or all of those before the point.
func number(x float64) string {
	magnitude := math.Abs(x)
	switch {
	case x == math.Trunc(x) || magnitude >= 100:
		return grouped(x)
	case magnitude >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case magnitude >= 1:
		return strconv.FormatFloat(x, 'f', 2, 64)
	default:
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
}

// grouped writes a whole number with a comma between thousands; a fraction as it is.
func grouped(x float64) string {
	if math.Abs(x) < 1 && x != 0 {
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
	digits := strconv.FormatFloat(math.Abs(x), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if x < 0 {
		return "-" + digits
	}
	return digits
}

// columns is the order in which figures are listed; others follow by name.
var columns = []string{
	requestRate, latencyMedian, latencyP99, cpuPerRequest, callsEach, firstByte, total, peakMemory, readyTime, idleMemory,
	wallSeconds, ownSeconds, cpuSeconds, largestMemory, "ns/op", benchmarkCPU, "B/op", allocations,
}

// table is the figures of a measurement as a table in Markdown: medians, and the spread where there is more than one round.
func (m *measurement) table() string {
	present := map[string]bool{}
	lengths := false
	for _, s := range m.Sides {
		for name := range s.Figures {
			present[name] = true
		}
		lengths = lengths || s.Users > 0
	}
	delete(present, answers) // summed up below the table
	var names []string
	for _, name := range append(slices.Clone(columns), slices.Sorted(maps.Keys(present))...) {
		if present[name] {
			names = append(names, name)
			delete(present, name)
		}
	}

	var b strings.Builder
	head := []string{""}
	if lengths {
		head = append(head, "users")
	}
	head = append(head, names...)
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, s := range m.Sides {
		cells := []string{s.Name}
		if lengths {
			cells = append(cells, grouped(float64(s.Users)))
		}
		for _, name := range names {
			cells = append(cells, cell(s.Figures[name]))
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func cell(values []float64) string {
	e, ok := estimateOf(values)
	switch {
	case !ok:
		return ""
	case e.low == e.high:
		return number(e.median)
	default:
		return fmt.Sprintf("%s (%s–%s)", number(e.median), number(e.low), number(e.high))
	}
}

//go:embed performance.md.tmpl
var documentTemplate string

// A section is a measurement as the document shows it.
type section struct {
	Name, Title string
	Measured    bool
	Table       string
	Notices     []string
	Rounds      int
	Answers     string // that were checked, in all
	Environment environment
}

// render writes the document.
func render(r results, chart string) ([]byte, error) {
	parsed, err := template.New("performance.md").Funcs(template.FuncMap{
		"date": func(t time.Time) string { return t.Format(time.DateOnly) },
	}).Parse(documentTemplate)
	if err != nil {
		return nil, fmt.Errorf("render the document: %w", err)
	}
	data := struct {
		Requirements []string
		Sections     map[string]section
		All          []section
		Chart        string
		Python       string
	}{Sections: map[string]section{}, Chart: chart}
	if m := r[taskList]; m != nil {
		data.Python = m.Environment.Python
	}
	for _, q := range requirements() {
		data.Requirements = append(data.Requirements, q.row(r))
	}
	for _, t := range tasks() {
		s := section{Name: t.name, Title: t.title}
		if m := r[t.name]; m != nil {
			s.Notices, s.Environment = m.Notices, m.Environment
			if s.Measured = len(m.Sides) > 0; s.Measured {
				s.Table = m.table()
			}
			sum := 0.
			for _, side := range m.Sides {
				for name, values := range side.Figures {
					s.Rounds = max(s.Rounds, len(values))
					if name == answers {
						for _, n := range values {
							sum += n
						}
					}
				}
			}
			if sum > 0 {
				s.Answers = grouped(sum)
			}
		}
		data.Sections[t.name] = s
		data.All = append(data.All, s)
	}
	var b bytes.Buffer
	if err := parsed.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("render the document: %w", err)
	}
	return b.Bytes(), nil
}

// The files of a report.
const (
	documentName = "performance.md"
	chartName    = "performance-list.svg"
)

// report writes the document, and the chart where its figures are known, into a folder.
func report(r results, dir string) error {
	chart := ""
	if m := r[taskLengths]; m != nil && len(m.Sides) > 0 {
		chart = chartName
		if err := saveChart(m, filepath.Join(dir, chartName)); err != nil {
			return err
		}
	}
	document, err := render(r, chart)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, documentName), document, 0o644) //nolint:gosec // part of the checkout
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
