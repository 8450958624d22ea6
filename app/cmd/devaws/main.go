// Command devaws serves DynamoDB and S3 for development, by kumo
// (https://github.com/sivchari/kumo).
//
//	devaws [flags]                      until a signal
//	devaws [flags] command [argument…]  while the command runs, with the endpoint in its environment
//
// It creates the resources of the contract, such as the table DYNAMODB_TABLE, and listens on
// 127.0.0.1:4566. With -empty it creates nothing and listens on every address. The folder
// KUMO_DATA_DIR keeps the data.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/sivchari/kumo"

	"prima.internal/app/config"
	"prima.internal/app/emulator"
)

func main() {
	log.SetFlags(0)
	empty := flag.Bool("empty", false, "create neither table nor bucket, and listen on every address")
	addr := flag.String("addr", os.Getenv("GATEWAY_LISTEN"),
		"`address` to listen on instead of port 4566; port 0 is any free port")
	flag.Parse()
	host, made := "127.0.0.1", ", empty"
	if *empty {
		host = "0.0.0.0"
	}
	l, err := net.Listen("tcp", cmp.Or(*addr, host+":4566")) //nolint:noctx // nothing cancels it
	if err != nil {
		log.Fatalf("devaws: %v; stop what has the port, or choose another address with -addr", err)
	}
	backend := kumo.NewServer().URL // on a port that it chooses itself
	if !*empty {
		made = create(backend)
	}
	go func() { _ = http.Serve(l, handler(backend)) }() //nolint:gosec // for development: no timeouts
	terminated, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	interrupted, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	fmt.Printf("devaws: DynamoDB and S3 (kumo) on http://%s%s\n", l.Addr(), made)
	status := 0
	if flag.NArg() > 0 {
		status = command(terminated, "http://"+l.Addr().String(), flag.Args())
	} else {
		select {
		case <-terminated.Done():
		case <-interrupted.Done():
		}
	}
	_ = l.Close()
	if os.Getenv("KUMO_DATA_DIR") != "" {
		time.Sleep(3 * time.Second) // many times KUMO_PERSIST_FLUSH_INTERVAL_MS, by default a second
	}
	if interrupted.Err() != nil {
		status = 0
	}
	os.Exit(status)
}

// command runs a command and returns its exit status. It passes SIGTERM on; a terminal interrupts
// the command as well.
func command(terminated context.Context, endpoint string, args []string) (status int) {
	c := exec.CommandContext(terminated, args[0], args[1:]...) //nolint:gosec // the command is the caller's own
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+endpoint, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := c.Run(); c.ProcessState == nil {
		log.Fatal(err)
	}
	return c.ProcessState.ExitCode()
}

// handler serves LocalStack's health and passes everything else to kumo.
func handler(backend string) http.Handler {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: strings.TrimPrefix(backend, "http://")})
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_localstack/health" {
			_, _ = w.Write([]byte(`{"services": {"dynamodb": "running", "s3": "running", "sts": "running"}}`))
			return
		}
		_ = http.NewResponseController(w).EnableFullDuplex() // otherwise a long response closes the request and is cut off
		proxy.ServeHTTP(w, r)
	})
}

// create makes the resources of the contract, which KUMO_DATA_DIR may already have, and names them.
func create(endpoint string) (made string) {
	c, _, err := config.Load(os.Environ())
	if err != nil {
		log.Fatal(err)
	}
	cfg := aws.Config{Region: c.Region, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	db, storage := emulator.Clients(cfg, endpoint)
	if err := emulator.Create(context.Background(), db, storage, c.Resources()); err != nil {
		log.Fatal(err)
	}
	for _, r := range c.Resources() {
		made += fmt.Sprintf(", %s %s", r.Kind, *r.Name)
	}
	return made
}
