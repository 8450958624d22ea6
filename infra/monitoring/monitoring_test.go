// Package monitoring tests the alerts and the dashboard of the chart prima-api. Task
// test:monitoring also runs promtool on alerts_test.yaml.
package monitoring_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const folder = "../charts/prima-api/monitoring/"

type alert struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

// alerts returns the alerts of the chart.
func alerts(t *testing.T) (all []alert) {
	t.Helper()
	for _, name := range []string{"alerts.yaml", "alerts-kubernetes.yaml"} {
		var groups []struct{ Rules []alert }
		require.NoError(t, yaml.Unmarshal(read(t, folder+name), &groups))
		for _, group := range groups {
			all = append(all, group.Rules...)
		}
	}
	return all
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return data
}

// exposed returns the labels of the series that exist, by their names: those of the program, which
// docs/metrics.md lists, and those of kube-state-metrics that alerts use.
//
// Source: https://github.com/kubernetes/kube-state-metrics/tree/v2.17.0/docs/metrics.
func exposed(t *testing.T) map[string]string {
	t.Helper()
	series := map[string]string{
		"kube_pod_container_status_restarts_total": "container",
		"kube_job_status_failed":                   "job_name reason",
		"kube_cronjob_status_last_successful_time": "cronjob",
	}
	row := regexp.MustCompile("`([a-z0-9_]+)`\\s\\(([a-z]+)(;[^)]*)?\\)")
	for _, found := range row.FindAllStringSubmatch(string(read(t, "../../docs/metrics.md")), -1) {
		name, kind, labels := found[1], found[2], found[3]
		switch kind {
		case "histogram":
			series[name+"_bucket"], series[name+"_sum"], series[name+"_count"] = labels+" le", labels, labels
		case "summary":
			series[name], series[name+"_sum"], series[name+"_count"] = labels+" quantile", labels, labels
		default:
			series[name] = labels
		}
	}
	return series
}

var (
	selector = regexp.MustCompile(`([a-z_]+)\{((?:[^"}]|"[^"]*")*)\}`)
	matcher  = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)
	grouping = regexp.MustCompile(`by \(([a-z_, ]*)\)`)
	word     = regexp.MustCompile(`[a-z_]+`)
)

// Ensure every series in an alert or a panel exists, with the labels of its selectors and groups,
// every metric of the project is on the dashboard, and every panel shows the chosen pods.
func TestQueries(t *testing.T) {
	t.Parallel()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(read(t, folder+"dashboard.json"), &dashboard))
	queries, shown, series := map[string]string{}, "", exposed(t)
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries[panel.Title] += target.Expr + "\n"
			for _, parts := range selector.FindAllStringSubmatch(target.Expr, -1) {
				assert.Contains(t, parts[2], `namespace=~"$namespace",job=~"$job",pod=~"$pod"`, panel.Title)
				shown += parts[1] + " "
			}
		}
	}
	own := regexp.MustCompile("(?m)^- `((?:prima|aws|http)_[a-z_]+)`")
	for _, row := range own.FindAllStringSubmatch(string(read(t, "../../docs/metrics.md")), -1) {
		assert.Regexp(t, `\b`+row[1]+`(_bucket|_sum|_count)?\b`, shown, "no panel shows it")
	}
	for _, a := range alerts(t) {
		queries[a.Alert] = a.Expr
	}
	const ofScrape = "namespace job pod instance " // labels that a scrape adds
	for name, query := range queries {
		labels := ofScrape
		found := selector.FindAllStringSubmatch(query, -1)
		assert.NotEmpty(t, found, name)
		for _, parts := range found {
			known, ok := series[parts[1]]
			assert.True(t, ok, "%s: nothing exposes %s", name, parts[1])
			for _, by := range matcher.FindAllStringSubmatch(parts[2], -1) {
				assert.Contains(t, word.FindAllString(ofScrape+known, -1), by[1], "%s: %s", name, parts[0])
			}
			labels += known + " "
		}
		for _, by := range grouping.FindAllStringSubmatch(query, -1) {
			assert.Subset(t, word.FindAllString(labels, -1), word.FindAllString(by[1], -1), "%s: %s", name, by[0])
		}
	}
}

// Ensure every alert has a severity, a summary, a section of docs/operations.md, and a test in
// which it fires and one in which it does not.
func TestAlerts(t *testing.T) {
	t.Parallel()
	var file struct {
		Tests []struct {
			Cases []struct {
				Alert  string `json:"alertname"`
				Expect []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	require.NoError(t, yaml.Unmarshal(read(t, "alerts_test.yaml"), &file))
	cases := map[bool][]string{} // the alerts that fire in a test, and those that do not
	for _, test := range file.Tests {
		for _, c := range test.Cases {
			cases[len(c.Expect) > 0] = append(cases[len(c.Expect) > 0], c.Alert)
		}
	}
	var documented, names []string
	for _, heading := range regexp.MustCompile("(?m)^ *### (.+)$").FindAllSubmatch(read(t, "../../docs/operations.md"), -1) {
		documented = append(documented, string(heading[1]))
	}
	for _, a := range alerts(t) {
		names = append(names, a.Alert)
		assert.Contains(t, cases[true], a.Alert, "no test in which it fires")
		assert.Contains(t, cases[false], a.Alert, "no test in which it does not fire")
		assert.Contains(t, []string{"critical", "warning", "info"}, a.Labels["severity"], a.Alert)
		assert.NotEmpty(t, a.Annotations["summary"], a.Alert)
		assert.NotEmpty(t, a.Annotations["description"], a.Alert)
		assert.Equal(t, "%runbook%#"+strings.ToLower(a.Alert), a.Annotations["runbook_url"])
	}
	assert.ElementsMatch(t, names, documented)
}
