// Package charts holds the Helm charts of the system and, as a Go struct, the values of the API's
// chart: [PrimaAPI]. It imports little, because the Pulumi program compiles all of that.
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

// LocalStackPort is the port of LocalStack's pod and Service.
const LocalStackPort = 4566

// PrimaAPISchema is the JSON schema of the values of the chart prima-api.
//
//go:embed prima-api/values.schema.json
var PrimaAPISchema []byte

// Map returns the values of a chart as Helm and Pulumi take them. It leaves out a list or map that
// is nil, so that the chart's default holds. An empty one that is not nil replaces the default.
func Map(values any) (m map[string]any, err error) {
	data, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("values of a chart: %w", err)
	}
	err = json.Unmarshal(data, &m)
	return m, err
}

// ServiceHosts returns the names of a Service inside the cluster, the shortest first.
func ServiceHosts(name, namespace string) []string {
	short := name + "." + namespace
	return []string{name, short, short + ".svc", short + ".svc.cluster.local"}
}

// ServiceURL returns the URL of a Service inside the cluster, such as
// http://localstack.localstack.svc:4566.
func ServiceURL(name, namespace string, port int) string {
	return fmt.Sprintf("http://%s.%s.svc:%d", name, namespace, port)
}
