// Command dev-cluster develops in the cluster, for scripts/dev-cluster. MINIKUBE_PROFILE names the context of the kubeconfig.
//
//	dev-cluster start IMAGE     a pod for development takes the place of the API's
//	dev-cluster sync PROGRAM    the program runs in it; then follows its log, until a signal
//	dev-cluster stop            the API's own pods are back
package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"prima.internal/infra/dev"
)

const (
	namespace  = "prima"
	deployment = "prima-api"
	patience   = "--timeout=3m"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := cluster{context: cmp.Or(os.Getenv("MINIKUBE_PROFILE"), "minikube")}
	if err := c.run(ctx, os.Args[1:]); err != nil && ctx.Err() == nil {
		_, _ = fmt.Fprintln(os.Stderr, "dev-cluster:", err)
		os.Exit(1) //nolint:gocritic // the signals end with the process
	}
}

// A cluster is reached by kubectl.
type cluster struct{ context string }

func (c cluster) run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "start":
		return c.start(ctx, args[1])
	case len(args) == 2 && args[0] == "sync":
		return c.sync(ctx, args[1])
	case len(args) == 1 && args[0] == "stop":
		return c.stop(ctx)
	default:
		return errors.New("usage: dev-cluster start IMAGE | sync PROGRAM | stop")
	}
}

// kubectl runs kubectl in the API's namespace and returns what it prints; what it says on standard error is in the error.
func (c cluster) kubectl(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "kubectl", append([]string{"--context", c.context, "-n", namespace}, args...)...) //nolint:gosec // the developer's own kubectl
	var stderr bytes.Buffer
	command.Stdin, command.Stderr = stdin, &stderr
	out, err := command.Output()
	if err != nil {
		return out, fmt.Errorf("kubectl %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

func (c cluster) start(ctx context.Context, image string) error {
	out, err := c.kubectl(ctx, nil, "get", "deployment", deployment, "-o", "json")
	if err != nil {
		return fmt.Errorf("is the stack up? task up makes it: %w", err)
	}
	var live appsv1.Deployment
	if err := json.Unmarshal(out, &live); err != nil {
		return err
	}
	manifest, err := json.Marshal(dev.Deployment(&live, image))
	if err != nil {
		return err
	}
	// With none, the HorizontalPodAutoscaler rests. Pulumi does not see it: the number of replicas is the autoscaler's.
	steps := [][]string{
		{"apply", "-f", "-"},
		{"scale", "deployment", deployment, "--replicas=0"},
		{"wait", "pod", "-l", dev.Label + "=true", "--for=jsonpath={.status.phase}=Running", patience},
	}
	for _, step := range steps {
		if _, err := c.kubectl(ctx, bytes.NewReader(manifest), step...); err != nil {
			return err
		}
	}
	return nil
}

func (c cluster) sync(ctx context.Context, name string) error {
	program, err := os.ReadFile(name) //nolint:gosec // the program that was just built
	if err != nil {
		return err
	}
	began := time.Now()
	sum := sha256.Sum256(program)
	_, err = c.kubectl(ctx, bytes.NewReader(program), "exec", "-i", "deployment/"+deployment+dev.Suffix, "-c", dev.Container, "--",
		dev.Runner, "receive", strconv.Itoa(len(program)), hex.EncodeToString(sum[:]))
	if err != nil {
		fmt.Println(err)
	} else {
		fmt.Printf("▸ ready in the cluster after %.1f s\n", time.Since(began).Seconds())
	}
	args := []string{"--context", c.context, "-n", namespace, "logs", "deployment/" + deployment + dev.Suffix, "-c", dev.Container, "--follow", "--since-time=" + began.UTC().Format(time.RFC3339)}
	logs := exec.CommandContext(ctx, "kubectl", args...) //nolint:gosec // the developer's own kubectl
	logs.Stdout, logs.Stderr = os.Stdout, os.Stderr
	return logs.Run()
}

// stop brings back as many pods as the HorizontalPodAutoscaler has at least, and then takes the one for development away.
func (c cluster) stop(ctx context.Context) error {
	least := "1"
	out, err := c.kubectl(ctx, nil, "get", "horizontalpodautoscaler", deployment, "--ignore-not-found", "-o", "jsonpath={.spec.minReplicas}")
	if err != nil {
		return err
	}
	if len(out) > 0 {
		least = string(out)
	}
	steps := [][]string{
		{"scale", "deployment", deployment, "--replicas=" + least},
		{"rollout", "status", "deployment", deployment, patience},
		{"delete", "deployment", deployment + dev.Suffix, "--ignore-not-found"},
	}
	for _, step := range steps {
		if _, err := c.kubectl(ctx, nil, step...); err != nil {
			return err
		}
	}
	return nil
}
