package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// The benchmark writes the document between these lines.
const begin, end = "<!-- written by task bench -->\n", "<!-- end -->\n"

// cells returns the table: medians, with the least and the most of the rounds.
func (b *bench) cells() [][]string {
	table := [][]string{{""}}
	for _, s := range b.sides {
		table[0] = append(table[0], s.name)
	}
	for _, w := range works(b.duration) {
		for _, figure := range w.figures {
			line := []string{w.name + ": " + figure}
			for _, s := range b.sides {
				line = append(line, cell(b.measured[key{w.name, s.name, figure}]))
			}
			table = append(table, line)
		}
	}
	return table
}

func cell(values []float64) string {
	if len(values) == 0 {
		return ""
	}
	least, most := number(slices.Min(values)), number(slices.Max(values))
	if least == most {
		return least
	}
	return fmt.Sprintf("%s (%s–%s)", number(median(values)), least, most)
}

// median returns the middle of an odd number of values.
func median(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }

// number writes a figure with three significant digits.
func number(x float64) string {
	short, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 3, 64), 64) // what was written can be read
	return strconv.FormatFloat(short, 'f', -1, 64)
}

// report prints the table, and writes it and the chart into a folder.
func (b *bench) report(folder string) error {
	file := filepath.Join(folder, "performance.md")
	document, err := os.ReadFile(file)
	chart, chartErr := b.chart()
	if err := errors.Join(err, chartErr); err != nil {
		return err
	}
	text := new(strings.Builder)
	terminal := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for i, line := range b.cells() {
		_, _ = fmt.Fprintln(terminal, strings.Join(line, "\t"))
		fmt.Fprintf(text, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			fmt.Fprintf(text, "|%s\n", strings.Repeat("---|", len(line)))
		}
	}
	flushErr := terminal.Flush()
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo") // the name is not there on every architecture
	_, cpu, _ := strings.Cut(string(cpuinfo), "model name\t: ")
	cpu, _, _ = strings.Cut(cpu, "\n")
	fmt.Fprintf(text, "\n%s, %d rounds, loads of %v, %d cores (%s), %s.\n",
		time.Now().Format(time.DateOnly), b.rounds, b.duration, runtime.NumCPU(), cpu, runtime.Version())
	part := regexp.MustCompile("(?s)" + begin + ".*" + end)
	if !part.Match(document) {
		return fmt.Errorf("%s has not the lines %q and %q", file, begin, end)
	}
	document = part.ReplaceAllLiteral(document, []byte(begin+text.String()+end))
	return errors.Join(flushErr, writeFile(file, document), writeFile(filepath.Join(folder, "performance.svg"), chart))
}

// writeFile replaces a file whole.
func writeFile(name string, data []byte) error {
	partial := name + ".partial"
	if err := os.WriteFile(partial, data, 0o644); err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	return os.Rename(partial, name)
}
