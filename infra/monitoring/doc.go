// Package monitoring tests what the chart prima-api gives Prometheus and Grafana, by Prometheus' own parser and promtool. It is a module
// of its own, outside of the workspace: what Prometheus links would otherwise choose the versions of what the API links.
package monitoring
