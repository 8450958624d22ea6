// Package charts holds the Helm charts of the system and, as Go structs, the values of two: [PrimaAPI]
// and [Namespaces].
//
// The Pulumi program imports this package, so that it imports next to nothing itself.
package charts

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

// Folders of the charts, relative to the folder of the Pulumi program.
const (
	PrimaAPIChart   = "charts/prima-api"
	LocalStackChart = "charts/localstack"
	NamespacesChart = "charts/namespaces"
)

// PrimaAPISchema is the JSON schema of the values of the chart prima-api.
//
//go:embed prima-api/values.schema.json
var PrimaAPISchema []byte

// Map returns the values of a chart in the form that Helm and Pulumi take: maps, slices, strings,
// booleans and float64 numbers. A list or map that is nil is left out, so that the chart's own
// default holds; one that is empty but not nil takes the place of the default.
func Map(values any) (map[string]any, error) {
	data, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("values of a chart: %w", err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("values of a chart: %w", err)
	}
	return m, nil
}

// ServiceHosts returns the names of a Service inside the cluster. The first is the shortest, which
// pods of its own namespace use.
func ServiceHosts(name, namespace string) []string {
	short := name + "." + namespace
	return []string{name, short, short + ".svc", short + ".svc.cluster.local"}
}

// ServiceURL returns the address of a Service inside the cluster, such as
// http://localstack.localstack.svc:4566.
func ServiceURL(name, namespace string, port int) string {
	return fmt.Sprintf("http://%s.%s.svc:%d", name, namespace, port)
}
