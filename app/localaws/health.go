package localaws

import (
	"io"
	"net/http"
)

// health is what LocalStack 4.14 answers for the services that are here. Scripts and charts wait
// for it; who wants to know whether this is LocalStack finds the emulator's name in the Server
// header.
const health = `{"services": {"dynamodb": "running", "s3": "running", "sts": "running"}, "edition": "community", "version": "4.14.0"}`

func serveHealth(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/_localstack/health":
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Server", "localaws")
		_, _ = io.WriteString(w, health)
	}
}
