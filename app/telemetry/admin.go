package telemetry

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"prima.internal/app/config"
)

// Bounds of a request of an operator. The longest are profiles, which take as long as they are asked to.
const (
	adminReadTimeout  = 10 * time.Second
	adminWriteTimeout = 5 * time.Minute
	adminIdleTimeout  = 2 * time.Minute
	adminHeaderBytes  = 8 << 10
	// maxScrapes is how many scrapes are answered at a time; one more is a 503.
	maxScrapes = 4
)

// An Admin serves operators, on a port that clients do not reach.
type Admin struct {
	server *http.Server
	log    *slog.Logger
}

const adminIndex = `prima-api, for operators

` + config.PathHealth + `          whether the process runs, for the kubelet
` + config.PathReady + `          whether this replica should get requests, for the kubelet
` + config.PathMetrics + `         metrics, for Prometheus
/buildinfo       what was built, as JSON
/debug/pprof/    profiles, such as: go tool pprof http://…/debug/pprof/profile?seconds=10
`

// NewAdmin returns a server of probes, metrics, profiles and the build, which is not listening yet.
// ready answers GET /readyz.
func NewAdmin(metrics prometheus.Gatherer, build Build, ready http.Handler, log *slog.Logger) *Admin {
	a := &Admin{log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+config.PathHealth, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"ok"}`)
	})
	mux.Handle("GET "+config.PathReady, ready)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, adminIndex)
	})
	mux.Handle("GET "+config.PathMetrics, promhttp.HandlerFor(metrics, promhttp.HandlerOpts{
		ErrorLog:            errorLog{log},
		ErrorHandling:       promhttp.ContinueOnError, // the rest is worth having
		MaxRequestsInFlight: maxScrapes,
		EnableOpenMetrics:   true, // the form that has exemplars: the trace of a slow request
	}))
	mux.HandleFunc("GET /buildinfo", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(readBuildInfo(build))
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	a.server = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: adminReadTimeout,
		ReadTimeout:       adminReadTimeout,
		WriteTimeout:      adminWriteTimeout,
		IdleTimeout:       adminIdleTimeout,
		MaxHeaderBytes:    adminHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return a
}

// Serve answers on the listener until Close.
func (a *Admin) Serve(l net.Listener) {
	if err := a.server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		a.log.Error("metrics and profiles are not served any more", "error", err)
	}
}

// Close ends it at once, with what is being answered.
func (a *Admin) Close() { _ = a.server.Close() }

type errorLog struct{ log *slog.Logger }

func (l errorLog) Println(v ...any) { l.log.Error("metrics could not be gathered", "error", v) }

type buildInfo struct {
	Version      string            `json:"version"`
	Revision     string            `json:"revision"`
	Go           string            `json:"go"`
	Platform     string            `json:"platform"`
	Settings     map[string]string `json:"settings"`     // of the build
	Dependencies map[string]string `json:"dependencies"` // versions of modules
}

func readBuildInfo(build Build) buildInfo {
	b := buildInfo{
		Version: build.Version, Revision: build.Revision, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Settings: map[string]string{}, Dependencies: map[string]string{},
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, setting := range info.Settings {
		b.Settings[setting.Key] = setting.Value
	}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		b.Dependencies[module.Path] = module.Version
	}
	return b
}
