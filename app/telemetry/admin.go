package telemetry

import (
	"encoding/json"
	"log/slog"
	"net/http"
	_ "net/http/pprof" //nolint:gosec // its handlers are served to operators only
	"net/url"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"prima.internal/app/config"
)

const adminIndex = `prima-api, for operators

` + config.PathHealth + `          whether the process runs, for the kubelet
` + config.PathReady + `          whether this replica should get requests, for the kubelet
` + config.PathMetrics + `         metrics, for Prometheus
/buildinfo       version, settings of the build and dependencies, as JSON
/debug/pprof/    profiles, such as: go tool pprof http://…/debug/pprof/profile?seconds=10
`

// Probes handles the paths of the kubelet.
type Probes interface {
	Health() http.Handler
	Ready() http.Handler
}

// NewAdmin returns the server for operators and the kubelet, on a port that clients do not reach.
// It serves the hosts that c allows.
func NewAdmin(c config.Config, m prometheus.Gatherer, b Build, probes Probes, log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	serve := func(path, contentType string, body []byte) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write(body)
		})
	}
	serve("/{$}", "text/plain; charset=utf-8", []byte(adminIndex))
	serve("/buildinfo", "application/json", buildInfo(b))
	mux.Handle("GET "+config.PathHealth, probes.Health())
	mux.Handle("GET "+config.PathReady, probes.Ready())
	mux.Handle("GET "+config.PathMetrics, promhttp.HandlerFor(m, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError, // the other metrics are still of use
		MaxRequestsInFlight: 4,
		EnableOpenMetrics:   true, // the format with exemplars: the trace of a slow request
	}))
	mux.Handle("/debug/pprof/", http.DefaultServeMux) // where package pprof registers itself
	return &http.Server{
		Handler:        onAllowedHost(c, mux),
		ReadTimeout:    10 * time.Second,
		WriteTimeout:   5 * time.Minute, // a profile takes as long as its request says
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 8 << 10,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// onAllowedHost refuses the requests of pages whose name was made to resolve to this address.
func onAllowedHost(c config.Config, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.HostAllowed((&url.URL{Host: r.Host}).Hostname()) {
			http.Error(w, "ALLOWED_HOSTS does not name the host of the request", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// buildInfo returns what the binary was built from, as JSON.
func buildInfo(build Build) []byte {
	settings, dependencies := map[string]string{}, map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			settings[setting.Key] = setting.Value
		}
		for _, module := range info.Deps {
			if module.Replace != nil {
				module = module.Replace
			}
			dependencies[module.Path] = module.Version
		}
	}
	body, _ := json.Marshal(map[string]any{ // text does not fail
		"version": build.Version, "revision": build.Revision,
		"go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
		"settings": settings, "dependencies": dependencies,
	})
	return body
}

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
