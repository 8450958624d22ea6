package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otlpSettings are what the environment says about the export of traces.
//
// Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
type otlpSettings struct {
	endpoint    string // the whole URL; empty: no traces are exported
	headers     http.Header
	timeout     time.Duration // of an export, its repetitions included
	compress    bool
	certificate string // file of the authorities to trust instead of the system's; may be empty
}

const (
	defaultOTLPTimeout = 10 * time.Second
	tracesPath         = "v1/traces"
)

func readOTLP(environ []string) (otlpSettings, error) {
	var s otlpSettings
	if _, disabled := lookup(environ, "OTEL_SDK_DISABLED"); strings.EqualFold(disabled, "true") {
		return s, nil
	}
	switch name, exporter := lookup(environ, "OTEL_TRACES_EXPORTER"); exporter {
	case "", "otlp":
	case "none":
		return s, nil
	default:
		return s, fmt.Errorf("%s=%q must be otlp or none", name, exporter)
	}
	name, endpoint := lookup(environ, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	if endpoint == "" {
		return s, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return s, fmt.Errorf("%s=%q must be an http or https URL", name, endpoint)
	}
	if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
		u = u.JoinPath(tracesPath)
	}
	if name, protocol := lookup(environ, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		return s, fmt.Errorf("%s=%q must be http/protobuf, the only protocol that is linked in; collectors take it on port 4318", name, protocol)
	}
	if s.headers, err = readHeaders(environ); err != nil {
		return s, err
	}
	s.timeout = defaultOTLPTimeout
	if name, timeout := lookup(environ, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"); timeout != "" {
		ms, err := strconv.ParseUint(timeout, 10, 31)
		if err != nil || ms == 0 {
			return s, fmt.Errorf("%s=%q must be a whole number of milliseconds", name, timeout)
		}
		s.timeout = time.Duration(ms) * time.Millisecond
	}
	switch name, compression := lookup(environ, "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"); compression {
	case "", "none":
	case "gzip":
		s.compress = true
	default:
		return s, fmt.Errorf("%s=%q must be gzip or none", name, compression)
	}
	_, s.certificate = lookup(environ, "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE")
	s.endpoint = u.String()
	return s, nil
}

// readHeaders reads key=value,key=value, percent-encoded as W3C baggage is. Its error does not quote the value, which is a secret.
func readHeaders(environ []string) (http.Header, error) {
	headers := http.Header{}
	name, list := lookup(environ, "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
	for pair := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || key == "" || err != nil || strings.ContainsAny(key+value, "\r\n") {
			return nil, fmt.Errorf("%s must be a list key=value,key=value", name)
		}
		headers.Set(key, value)
	}
	return headers, nil
}

// An otlpClient sends spans by OTLP over HTTP. It is the transport that otlptracehttp (seen in v1.44.0) would be, which links gRPC too,
// for the type of one message, and with it 14 MB. The message in its place, TracesData, has the same form on the wire.
type otlpClient struct {
	settings         otlpSettings
	http             *http.Client
	log              *slog.Logger
	exported, failed atomic.Int64 // spans
	failing          atomic.Bool  // the last export failed
}

func newOTLPClient(s otlpSettings, log *slog.Logger) (*otlpClient, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is
	if s.certificate != "" {
		pem, err := os.ReadFile(s.certificate)
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE=%q has no certificate in PEM", s.certificate)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // headers are for one collector
	}
	return &otlpClient{settings: s, http: client, log: log}, nil
}

// Start implements [otlptrace.Client].
func (c *otlpClient) Start(context.Context) error { return nil }

// Stop implements [otlptrace.Client].
func (c *otlpClient) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements [otlptrace.Client]. The first of failures in a row is a line in the log, and so is the success after them.
func (c *otlpClient) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	n := int64(0)
	for _, resource := range spans {
		for _, scope := range resource.GetScopeSpans() {
			n += int64(len(scope.GetSpans()))
		}
	}
	err := c.upload(ctx, spans)
	if err != nil {
		c.failed.Add(n)
		if !c.failing.Swap(true) {
			c.log.Warn("traces are not exported", "endpoint", c.settings.endpoint, "error", err)
		}
		return err
	}
	c.exported.Add(n)
	if c.failing.Swap(false) {
		c.log.Info("traces are exported again", "endpoint", c.settings.endpoint)
	}
	return nil
}

// Waits between two attempts of an export: random, up to a bound that doubles, unless the collector says how long.
const (
	firstExportWait = 500 * time.Millisecond
	maxExportWait   = 5 * time.Second
)

func (c *otlpClient) upload(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	if c.settings.compress {
		var compressed bytes.Buffer
		w := gzip.NewWriter(&compressed)
		if _, err := w.Write(body); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		body = compressed.Bytes()
	}
	ctx, cancel := context.WithTimeout(ctx, c.settings.timeout)
	defer cancel()
	for wait := firstExportWait; ; wait = min(2*wait, maxExportWait) {
		after, err := c.post(ctx, body)
		if err == nil {
			return nil
		}
		if after < 0 {
			return err
		}
		if after == 0 {
			after = rand.N(wait) //nolint:gosec // nobody gains by guessing it
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(after):
		}
	}
}

// post makes an attempt. If it failed, retryAfter is how long to wait before the next one: 0 where that is not said, negative where
// there should be none.
func (c *otlpClient) post(ctx context.Context, body []byte) (retryAfter time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.settings.endpoint, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	maps.Copy(request.Header, c.settings.headers)
	request.Header.Set("Content-Type", "application/x-protobuf")
	if c.settings.compress {
		request.Header.Set("Content-Encoding", "gzip")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, errors.Unwrap(err) // without the URL, which is in the log already
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	switch response.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return 0, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if seconds, err := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 16); err == nil {
			retryAfter = time.Duration(seconds) * time.Second
		}
		return retryAfter, errors.New(response.Status)
	}
	return -1, errors.New(response.Status)
}
