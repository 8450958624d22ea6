package monitoring_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// rendered is the chart with everything on but the dashboard. Package charts keeps it as the chart renders it.
const rendered = "../charts/testdata/prima-api.full.golden.yaml"

type rule struct {
	Alert string `json:"alert"`
	Expr  string `json:"expr"`
}

// manifest returns the rules of the PrometheusRule, and the file of them that Prometheus reads.
func manifest(t *testing.T) (rules []rule, file []byte) {
	t.Helper()
	text, err := os.ReadFile(rendered)
	require.NoError(t, err)
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var m struct {
			Kind string          `json:"kind"`
			Spec json.RawMessage `json:"spec"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &m))
		if m.Kind != "PrometheusRule" {
			continue
		}
		file, err = yaml.JSONToYAML(m.Spec)
		require.NoError(t, err)
		var groups struct {
			Groups []struct {
				Rules []rule `json:"rules"`
			} `json:"groups"`
		}
		require.NoError(t, json.Unmarshal(m.Spec, &groups))
		for _, group := range groups.Groups {
			rules = append(rules, group.Rules...)
		}
	}
	require.NotEmpty(t, rules)
	return rules, file
}

// exposed returns the labels of the series that exist, by their names: those of the program, which docs/metrics.md lists, and those of
// kube-state-metrics that alerts use.
//
// Source: https://github.com/kubernetes/kube-state-metrics/tree/v2.17.0/docs/metrics.
func exposed(t *testing.T) map[string][]string {
	t.Helper()
	series := map[string][]string{
		"kube_pod_container_status_restarts_total": {"container", "pod", "uid"},
		"kube_job_status_failed":                   {"job_name", "reason"},
		"kube_cronjob_status_last_successful_time": {"cronjob"},
	}
	text, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	row := regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| ([a-z]+) \\| ([^|]*) \\|")
	quoted := regexp.MustCompile("[a-z_]+")
	for _, found := range row.FindAllStringSubmatch(string(text), -1) {
		name, kind, names := found[1], found[2], quoted.FindAllString(found[3], -1)
		switch kind {
		case "histogram":
			series[name+"_bucket"] = append(slices.Clone(names), "le")
			series[name+"_sum"], series[name+"_count"] = names, names
		case "summary":
			series[name+"_sum"], series[name+"_count"] = names, names
			series[name] = append(slices.Clone(names), "quantile")
		default:
			series[name] = names
		}
	}
	require.Greater(t, len(series), 50)
	return series
}

// ofScrape are the labels that a scrape by the ServiceMonitor adds.
var ofScrape = []string{"namespace", "job", "pod", "instance", "service", "container", "endpoint"}

// check parses an expression, and fails for a series that does not exist or does not have a label that is asked for.
func check(t *testing.T, series map[string][]string, where, expression string) {
	t.Helper()
	parsed, err := parser.ParseExpr(expression)
	require.NoError(t, err, "%s: %s", where, expression)
	var has []string // labels of what the expression is made of
	used := 0
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		used++
		names, known := series[selector.Name]
		assert.True(t, known, "%s: nothing exposes %s", where, selector.Name)
		has = append(append(has, names...), ofScrape...)
		for _, matcher := range selector.LabelMatchers {
			if matcher.Name != model.MetricNameLabel {
				assert.Contains(t, append(slices.Clone(names), ofScrape...), matcher.Name, "%s: a label of %s", where, selector.Name)
			}
		}
		return nil
	})
	assert.Positive(t, used, "%s: %s", where, expression)
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if aggregation, ok := node.(*parser.AggregateExpr); ok {
			for _, name := range aggregation.Grouping {
				assert.Contains(t, has, name, "%s: grouped by", where)
			}
		}
		return nil
	})
}

// Ensure every expression of an alert is of series and labels that exist.
func TestAlerts(t *testing.T) {
	t.Parallel()
	rules, _ := manifest(t)
	series := exposed(t)
	for _, r := range rules {
		check(t, series, r.Alert, r.Expr)
	}
}

// Ensure every expression of the dashboard is of series and labels that exist, and that every metric of our own is on it.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../charts/prima-api/monitoring/dashboard.json")
	require.NoError(t, err)
	series := exposed(t)
	var dashboard struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	fill := strings.NewReplacer("$__rate_interval", "1m", "$namespace", "prima", "$job", "prima-api-admin", "$pod", ".*")
	expressions, all := 0, ""
	for _, panel := range dashboard.Panels {
		assert.Equal(t, panel.Type == "row", len(panel.Targets) == 0, panel.Title)
		for _, target := range panel.Targets {
			check(t, series, panel.Title, fill.Replace(target.Expr))
			assert.Contains(t, target.Expr, `namespace=~"$namespace",job=~"$job",pod=~"$pod"`, panel.Title)
			all += target.Expr
			expressions++
		}
	}
	assert.Greater(t, expressions, 40)
	for _, variable := range dashboard.Templating.List {
		if query, ok := strings.CutPrefix(variable.Definition, "label_values("); ok {
			selector := query[:strings.LastIndex(query, ",")]
			check(t, series, variable.Name, fill.Replace(selector))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(series)) {
		if strings.HasPrefix(name, "prima_") || strings.HasPrefix(name, "aws_") || strings.HasPrefix(name, "http_") {
			name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_bucket"), "_count")
			assert.Contains(t, all, name, "no panel shows it")
		}
	}
}

// Ensure promtool takes the rules, that each alert fires when it should and not when it should not, and that no alert is without
// such a test.
func TestPromtool(t *testing.T) {
	t.Parallel()
	rules, file := manifest(t)
	folder := t.TempDir()
	promtool := filepath.Join(folder, "promtool")
	run(t, ".", "go", "build", "-o", promtool, "github.com/prometheus/prometheus/cmd/promtool")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "rules.yaml"), file, 0o600))
	tests, err := os.ReadFile("alerts_test.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "tests.yaml"), tests, 0o600))
	run(t, folder, promtool, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
	run(t, folder, promtool, "test", "rules", "tests.yaml")

	var unit struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string `json:"alertname"`
				ExpAlerts []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	require.NoError(t, yaml.Unmarshal(tests, &unit))
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range unit.Tests {
		for _, alert := range test.AlertRuleTest {
			if len(alert.ExpAlerts) > 0 {
				fires[alert.Alertname] = true
			} else {
				silent[alert.Alertname] = true
			}
		}
	}
	for _, r := range rules {
		assert.True(t, fires[r.Alert], "no test in which %s fires", r.Alert)
		assert.True(t, silent[r.Alert], "no test in which %s does not fire", r.Alert)
	}
	assert.Len(t, fires, len(rules))
}

func run(t *testing.T, folder, program string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, args...)
	command.Dir = folder
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s %s\n%s", filepath.Base(program), strings.Join(args, " "), out)
}
