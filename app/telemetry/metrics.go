package telemetry

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Build identifies the binary.
type Build struct {
	Version  string
	Revision string // of the sources
}

// NewRegistry returns a registry of some collectors and those of the process, the Go runtime and
// the build.
func NewRegistry(build Build, of ...prometheus.Collector) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(
			collectors.MetricsScheduler, collectors.MetricsMemory)),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "prima_build_info",
			Help: "1, with the build as labels.",
			ConstLabels: prometheus.Labels{
				"version": build.Version, "revision": build.Revision, "goversion": runtime.Version(),
			},
		}, func() float64 { return 1 }),
	)
	r.MustRegister(of...)
	return r
}
