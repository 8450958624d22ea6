//go:build e2e

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"prima.internal/app/apitest"
	"prima.internal/app/client"
	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

const (
	// replicas is how many pods there are while nothing else is said. The autoscaler is held to them: under
	// the load it would add some, and no test could tell which pods are there for what reason.
	replicas = 2
	// leastRequests is how many requests the loads must have made together for the test to say anything.
	leastRequests = 20_000
	// lead is how long a load runs before and after what is done to the system.
	lead = 4 * time.Second
)

// chaos is the system and what is asked of it while things happen to it.
type chaos struct {
	*workload
	out outputs
}

// Ensure nothing that happens to a cluster on an ordinary day fails a request, that what does is over soon and
// loses no user that a client was told of, and that load does not get a pod killed.
//
//nolint:paralleltest // there is one system
func TestChaos(t *testing.T) {
	if os.Getenv("CHAOS") == "" {
		t.Skip("task chaos runs this")
	}
	out := stackOutputs(t)
	require.NotEmpty(t, out.URL, "the stack has no NodePort")
	require.NotEmpty(t, out.LocalstackEndpoint, "the stack has no LocalStack to take away")
	c := &chaos{newWorkload(t, out.URL), out}
	c.scale(t, replicas, replicas)
	defer c.scale(t, charts.DefaultPrimaAPI().Autoscaling.MinReplicas, charts.DefaultPrimaAPI().Autoscaling.MaxReplicas)
	settled(t, out, replicas)
	defer c.remove(t)
	c.seed(t)
	c.calibrate(t)

	for _, scenario := range []struct {
		name string
		test func(*testing.T)
	}{
		{"a rolling restart", c.rollingRestart},
		{"a changed setting and back", c.changedSetting},
		{"five pods and two again", c.scaling},
		{"a deleted pod", c.deletedPod},
		{"evicted pods", c.evictedPods},
		{"a pod without its grace period", c.killedPod},
		{"a container out of memory", c.outOfMemory},
		{"idle connections", c.idleConnections},
		{"enough requests", c.enoughRequests},
		{"uploads at once", c.uploadsAtOnce},
		{"uploads that come back", c.uploadsThatComeBack},
		{"long lists", c.longLists},
		{"who may call is changed", c.changedAccess},
		{"LocalStack away", c.localStackAway},
	} {
		t.Run(scenario.name, scenario.test)
	}
}

// scale sets the bounds of the autoscaler.
func (c *chaos) scale(t *testing.T, least, most int) {
	t.Helper()
	kubectl(t, "patch", "hpa", "prima-api", "-n", c.out.Namespace, "--type", "merge", "-p", fmt.Sprintf(`{"spec":{"minReplicas":%d,"maxReplicas":%d}}`, least, most))
}

// calibrate finds a rate that leaves the machine, which runs the whole cluster, time for what is done to it.
func (c *chaos) calibrate(t *testing.T) {
	t.Helper()
	const least, most = 100, 300
	l := c.start(t, "calibration")
	time.Sleep(lead)
	l.stop()
	l.assertUnharmed(t)
	c.requests = 0 // nothing happened to the system
	c.rate = min(max(int(float64(l.metrics.Requests)/time.Since(l.began).Seconds())/5, least), most)
	t.Logf("figure: calibration: %s; the loads are %d/s", l, c.rate)
}

// during runs what is done to the system under a load, and then holds the list to what the load was told.
func (c *chaos) during(t *testing.T, scenario string, do func(*load)) *load {
	t.Helper()
	settled(t, c.out, replicas)
	l := c.start(t, scenario)
	time.Sleep(lead)
	do(l)
	time.Sleep(lead)
	l.stop()
	c.verify(t)
	return l
}

// Ensure a rolling restart fails no request, and tells clients to leave the connections that end.
func (c *chaos) rollingRestart(t *testing.T) {
	before := podNames(t, c.out)
	l := c.during(t, "rolling restart", func(*load) {
		kubectl(t, "rollout", "restart", "deployment", "prima-api", "-n", c.out.Namespace)
		settled(t, c.out, replicas)
		requireGone(t, c.out, before)
	})
	l.assertUnharmed(t)
	assert.GreaterOrEqual(t, int(l.clients.closing.Load()), keeping, "every connection has met a pod that ended")
	t.Logf("figure: rolling restart of %d pods in %s: %s", replicas, l.metrics.Duration.Round(time.Second), l)
}

// Ensure a setting that changes, and changes back, fails no request.
func (c *chaos) changedSetting(t *testing.T) {
	before := podNames(t, c.out)
	l := c.during(t, "changed setting", func(*load) {
		pulumi(t, "up", "--yes", "--skip-preview", "--config-file", settings(t, "LOG_LEVEL", "debug"))
		settled(t, c.out, replicas)
		requireGone(t, c.out, before)
		pulumi(t, "up", "--yes", "--skip-preview")
		settled(t, c.out, replicas)
	})
	l.assertUnharmed(t)
	t.Logf("figure: LOG_LEVEL changed and back by pulumi up in %s: %s", l.metrics.Duration.Round(time.Second), l)
}

// Ensure pods that are added and taken away fail no request. The autoscaler takes them away at once where its
// most is below their number; its five quiet minutes are for a load that falls.
func (c *chaos) scaling(t *testing.T) {
	const many = 5
	var up, down time.Duration
	l := c.during(t, "scaling", func(l *load) {
		began := time.Now()
		c.scale(t, many, many)
		await(t, time.Minute, "the autoscaler acts", func() bool { return len(podNames(t, c.out)) > replicas })
		settled(t, c.out, many)
		up = time.Since(began)
		l.clients.renew() // a connection that is kept stays with its pod, and the new ones have none
		time.Sleep(lead)
		began = time.Now()
		c.scale(t, replicas, replicas)
		await(t, time.Minute, "the autoscaler acts", func() bool {
			return slices.ContainsFunc(pods(t, c.out), func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
		})
		settled(t, c.out, replicas)
		down = time.Since(began)
	})
	l.assertUnharmed(t)
	assert.Positive(t, l.clients.closing.Load(), "connections have met pods that ended")
	t.Logf("figure: %d to %d pods in %s and back in %s: %s", replicas, many, up.Round(time.Second), down.Round(time.Second), l)
}

// Ensure a pod that is deleted fails no request.
func (c *chaos) deletedPod(t *testing.T) {
	var took time.Duration
	l := c.during(t, "deleted pod", func(*load) {
		began := time.Now()
		kubectl(t, "delete", "pod", "-n", c.out.Namespace, podNames(t, c.out)[0][len("pod/"):], "--wait")
		took = time.Since(began)
		settled(t, c.out, replicas)
	})
	l.assertUnharmed(t)
	t.Logf("figure: a pod deleted, gone after %s: %s", took.Round(100*time.Millisecond), l)
}

// Ensure the eviction of every pod, as a drain of its node evicts it, fails no request, and that the second is
// refused until there is one in place of the first. Whether the node's drain as a whole does takes a second
// node for the pods to go to.
func (c *chaos) evictedPods(t *testing.T) {
	evict := func(name string) (refused bool) {
		eviction := fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, name, c.out.Namespace)
		path := fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/eviction", c.out.Namespace, name)
		_, err := output(t.Context(), eviction, "kubectl", "--context", kubeContext, "create", "--raw", path, "-f", "-")
		if err != nil {
			require.ErrorContains(t, err, "(TooManyRequests)") // 429
		}
		return err != nil
	}
	refusals := 0
	var took time.Duration
	l := c.during(t, "evicted pods", func(*load) {
		all := pods(t, c.out)
		require.Len(t, all, replicas)
		require.False(t, evict(all[0].Name), "the first is evicted")
		began := time.Now()
		await(t, 2*time.Minute, "the second is evicted", func() bool {
			if !evict(all[1].Name) {
				return true
			}
			refusals++
			time.Sleep(time.Second)
			return false
		})
		took = time.Since(began)
		settled(t, c.out, replicas)
	})
	l.assertUnharmed(t)
	assert.Positive(t, refusals, "the disruption budget has held the second")
	t.Logf("figure: %d pods evicted, the second refused with 429 %d times in %s: %s", replicas, refusals, took.Round(100*time.Millisecond), l)
}

// Ensure a pod that is deleted without its grace period costs no more than it was holding, and no user that a
// client was told of. Kubernetes then forgets the pod at once; its container gets SIGTERM when the preStop
// hook is cut short, and SIGKILL within seconds, in the middle of the drain. A container that gets nothing but
// SIGKILL is in outOfMemory.
func (c *chaos) killedPod(t *testing.T) {
	var killed, whole time.Time
	l := c.during(t, "killed pod", func(*load) {
		killed = time.Now()
		kubectl(t, "delete", "pod", "-n", c.out.Namespace, podNames(t, c.out)[0][len("pod/"):], "--grace-period=0", "--force")
		settled(t, c.out, replicas)
		whole = time.Now()
		time.Sleep(10 * time.Second) // for the container, which may be there longer than its pod
	})
	assert.LessOrEqual(t, len(l.failures)+int(l.clients.resent.Load()), connections, l.first())
	assert.Empty(t, l.after(killed.Add(10*time.Second)), "failures when it was over")
	t.Logf("figure: a pod deleted with --grace-period=0 --force, replaced after %s: %s; failures: %s", whole.Sub(killed).Round(100*time.Millisecond), l, l.kinds())
}

// Ensure a container that the kernel kills, by SIGKILL and without a warning, costs requests for as long as
// Kubernetes takes to see it, none after that, and no user that a client was told of. It is killed for a
// memory limit that it is given while it runs.
func (c *chaos) outOfMemory(t *testing.T) {
	const room = 4 << 20 // less than an upload takes
	all := settled(t, c.out, replicas)
	if _, err := workingSets(t.Context(), c.out, nodes(all)); err != nil {
		t.Skipf("the node does not tell what its pods use: %v", err)
	}
	victim := all[0]
	// Its successor has the limit of the chart, and no back-off.
	defer kubectl(t, "delete", "pod", "-n", c.out.Namespace, victim.Name, "--ignore-not-found", "--wait")
	original := victim.Spec.Containers[0].Resources
	resize := func(request, limit int64) error {
		_, err := output(t.Context(), "", "kubectl", "--context", kubeContext, "patch", "pod", victim.Name, "-n", c.out.Namespace, "--subresource", "resize", "-p",
			fmt.Sprintf(`{"spec":{"containers":[{"name":"api","resources":{"requests":{"memory":"%d"},"limits":{"memory":"%d"}}}]}}`, request, limit))
		return err
	}
	now := func() corev1.ContainerStatus {
		for _, p := range pods(t, c.out) {
			if p.Name == victim.Name {
				require.Len(t, p.Status.ContainerStatuses, 1)
				return p.Status.ContainerStatuses[0]
			}
		}
		require.Fail(t, "the pod has been replaced", victim.Name)
		return corev1.ContainerStatus{}
	}
	var small int64
	var killed, whole time.Time
	l := c.during(t, "out of memory", func(*load) {
		// A limit below what the container uses at the time is not put in force.
		await(t, time.Minute, "the limit is in force", func() bool {
			sets, err := workingSets(t.Context(), c.out, []string{victim.Spec.NodeName})
			require.NoError(t, err)
			small = sets[victim.Name] + room
			if err := resize(small, small); err != nil {
				t.Skipf("this Kubernetes does not lower the limit of a container that runs: %v", err)
			}
			for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
				if status := now(); status.Resources != nil && status.Resources.Limits.Memory().Value() == small {
					return true
				}
			}
			return false
		})
		// Uploads are what takes memory. They go to either pod; what becomes of them does not matter here.
		await(t, time.Minute, "the container is killed", func() bool {
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() { _, _ = c.upload(t) })
			}
			all.Wait()
			return int(now().RestartCount) > restarts(victim)
		})
		require.NoError(t, resize(original.Requests.Memory().Value(), original.Limits.Memory().Value()))
		ended := now().LastTerminationState.Terminated
		require.NotNil(t, ended)
		assert.Equal(t, "OOMKilled", ended.Reason)
		killed = ended.FinishedAt.Time
		settled(t, c.out, replicas)
		whole = time.Now()
		assert.Equal(t, restarts(victim)+1, int(now().RestartCount), "killed once")
		time.Sleep(10 * time.Second)
	})
	window := l.window()
	assert.Less(t, window, 10*time.Second, l.first())
	assert.Empty(t, l.after(whole), "failures when it was over")
	t.Logf("figure: a container killed by SIGKILL (OOMKilled at %.0f MiB), ready again after %s, failures within %s: %s; failures: %s",
		mebibytes(small), whole.Sub(killed).Round(time.Second), window.Round(10*time.Millisecond), l, l.kinds())
}

// Ensure connections that nobody uses, and those that nobody has used yet, do not hold up the end of a pod.
func (c *chaos) idleConnections(t *testing.T) {
	const each, margin = 100, 10 * time.Second
	settled(t, c.out, replicas)
	address := strings.TrimPrefix(c.out.URL, "http://")
	ask := func(conn net.Conn) error {
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		if _, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: "+address+"\r\n\r\n"); err != nil {
			return err
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	var conns []net.Conn
	for i := range 2 * each {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		defer conn.Close()
		if i < each { // the others have sent nothing
			require.NoError(t, ask(conn))
		}
		conns = append(conns, conn)
	}
	victim := pods(t, c.out)[0]
	require.NotNil(t, victim.Spec.TerminationGracePeriodSeconds)
	grace := time.Duration(*victim.Spec.TerminationGracePeriodSeconds) * time.Second
	began := time.Now()
	kubectl(t, "delete", "pod", "-n", c.out.Namespace, victim.Name, "--wait")
	took := time.Since(began)
	var ended, kept int
	for i, conn := range conns {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		var timeout net.Error
		_, err := conn.Read(make([]byte, 1))
		if errors.As(err, &timeout) && timeout.Timeout() {
			kept++
			assert.NoError(t, ask(conn), "connection %d is to the other pod", i)
			continue
		}
		ended++
		assert.Equal(t, io.EOF, err, "connection %d is closed in order", i)
	}
	assert.Positive(t, ended)
	assert.Positive(t, kept)
	assert.Less(t, took, grace-margin)
	settled(t, c.out, replicas)
	t.Logf("figure: %d idle connections, %d of them without a request: a deleted pod was gone after %s of its %s; %d were closed in order, %d to the other pod still answered",
		2*each, each, took.Round(100*time.Millisecond), grace, ended, kept)
}

// Ensure that what the loads say rests on enough requests.
func (c *chaos) enoughRequests(t *testing.T) {
	assert.GreaterOrEqual(t, c.requests, leastRequests)
	t.Logf("figure: %d requests under the scenarios so far; %d users created, each there once", c.requests, len(c.created))
}

const (
	uploads    = 200
	uploadSize = 5 << 20
)

// form is the body of an upload, in the parts before and after the email.
var form = sync.OnceValue(func() (f struct {
	contentType string
	parts       [][]byte
},
) {
	var body []byte
	f.contentType, body = apitest.Form(apitest.Field("name", "Chaos"), apitest.Field("email", "@"), apitest.File("avatar", "a.png", apitest.PaddedPNG(uploadSize)))
	f.parts = bytes.SplitN(body, []byte("@"), 2)
	return f
})

// upload creates a user with an avatar of 5 MiB on a connection of its own, and deletes a user that was created
// at once: LocalStack keeps avatars in memory.
func (c *chaos) upload(t *testing.T) (*http.Response, error) {
	t.Helper()
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	email := c.email("upload", c.number.Add(1))
	c.mu.Lock()
	c.sent[email] = true
	c.mu.Unlock()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.base+"/users",
		io.MultiReader(bytes.NewReader(form().parts[0]), strings.NewReader(email), bytes.NewReader(form().parts[1])))
	if err != nil {
		return nil, err
	}
	request.ContentLength = int64(len(form().parts[0]) + len(email) + len(form().parts[1]))
	request.Header.Set("Content-Type", form().contentType)
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusCreated {
		return response, err
	}
	var created client.CreatedUser
	if err := json.Unmarshal(data, &created); err != nil {
		return nil, fmt.Errorf("%s: %w", data, err)
	}
	if location := response.Header.Get("Location"); !strings.HasSuffix(location, "/users/"+created.ID) {
		return nil, fmt.Errorf("%s is not the user of %s", location, data)
	}
	image, err := c.api.GetAvatarWithResponse(t.Context(), created.ID, nil, func(_ context.Context, r *http.Request) error {
		r.Method = http.MethodHead
		return nil
	})
	if err != nil {
		return nil, err
	}
	if length := image.HTTPResponse.ContentLength; length != uploadSize {
		return nil, fmt.Errorf("the avatar of %s has %d bytes", created.ID, length)
	}
	if _, err := c.api.DeleteUserWithResponse(t.Context(), created.ID); err != nil {
		return nil, err
	}
	return response, nil
}

// Ensure as many uploads at once as no pod has the memory for are each answered, by a user or by a 503 that says
// when to come again, and get no container killed.
func (c *chaos) uploadsAtOnce(t *testing.T) {
	before := settled(t, c.out, replicas)
	memory := watchMemory(t, c.out, before)
	began := time.Now()
	var mu sync.Mutex
	statuses := map[string]int{}
	var all sync.WaitGroup
	for range uploads {
		all.Go(func() {
			response, err := c.upload(t)
			if !assert.NoError(t, err, "every client gets an answer") {
				return
			}
			if response.StatusCode != http.StatusCreated {
				assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
				assert.NotEmpty(t, response.Header.Get("Retry-After"))
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[strconv.Itoa(response.StatusCode)]++
		})
	}
	all.Wait()
	took := time.Since(began)
	peaks := memory.stop(t, memoryLimit(t, before[0]))
	assertUnharmed(t, c.out, before)
	t.Logf("figure: %d uploads of 5 MiB at once to %d pods, answered in %s: %s; %s; no restarts", uploads, replicas, took.Round(100*time.Millisecond), counted(statuses), peaks)
}

// Ensure uploads that come back when they are told to all succeed.
func (c *chaos) uploadsThatComeBack(t *testing.T) {
	before := settled(t, c.out, replicas)
	memory := watchMemory(t, c.out, before)
	began := time.Now()
	var created, refused, most atomic.Int64
	var all sync.WaitGroup
	for range uploads {
		all.Go(func() {
			for attempt := int64(1); time.Since(began) < 5*time.Minute; attempt++ {
				response, err := c.upload(t)
				if !assert.NoError(t, err, "every client gets an answer") {
					return
				}
				if response.StatusCode == http.StatusCreated {
					created.Add(1)
					for seen := most.Load(); attempt > seen && !most.CompareAndSwap(seen, attempt); seen = most.Load() {
					}
					return
				}
				wait, err := strconv.Atoi(response.Header.Get("Retry-After"))
				if !assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode) || !assert.NoError(t, err) {
					return
				}
				refused.Add(1)
				time.Sleep(time.Duration(wait) * time.Second)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	peaks := memory.stop(t, memoryLimit(t, before[0]))
	assert.EqualValues(t, uploads, created.Load())
	assertUnharmed(t, c.out, before)
	t.Logf("figure: %d uploads of 5 MiB whose clients come back after Retry-After: %d created in %s, %d answers were 503, at most %d attempts by one client; %s; no restarts",
		uploads, created.Load(), took.Round(100*time.Millisecond), refused.Load(), most.Load(), peaks)
}

// database is the DynamoDB of the stack, for more users than the API creates in a test's time.
func (c *chaos) database() *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region:       config.Default().Region,
		BaseEndpoint: aws.String(c.out.LocalstackEndpoint),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

// longListID is the id of a user of longLists, the same in each run, so that one takes away what another left.
const longListID = "c4a05000-0000-4000-8000-%012d"

// write writes n users into the table, or deletes them.
func (c *chaos) write(t *testing.T, n int, request func(id string, i int) types.WriteRequest) {
	t.Helper()
	const batch, writers = 25, 8
	table, client := c.out.Table, c.database()
	var next atomic.Int64
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for {
				end := int(next.Add(batch))
				if end-batch >= n {
					return
				}
				var requests []types.WriteRequest
				for i := end - batch; i < min(end, n); i++ {
					requests = append(requests, request(fmt.Sprintf(longListID, i), i))
				}
				for len(requests) > 0 {
					out, err := client.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: requests}})
					if !assert.NoError(t, err) {
						return
					}
					requests = out.UnprocessedItems[table]
				}
			}
		})
	}
	all.Wait()
	require.False(t, t.Failed(), "the table could not be written")
}

// Ensure a list of many users, to many clients at once of whom some read slowly, is sent to each of them whole and
// gets no container killed.
func (c *chaos) longLists(t *testing.T) {
	const clients, slow, slowness = 20, 8, 25 * time.Second
	users := 50_000
	if n, err := strconv.Atoi(os.Getenv("CHAOS_USERS")); err == nil {
		users = n
	}
	before := settled(t, c.out, replicas)
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	defer c.write(t, users, func(id string, _ int) types.WriteRequest {
		return types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: map[string]types.AttributeValue{config.KeyAttribute: text(id)}}}
	})
	began := time.Now()
	c.write(t, users, func(id string, i int) types.WriteRequest {
		return types.WriteRequest{PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{
			config.KeyAttribute: text(id), "name": text(strings.Repeat("n", 120)), "email": text(fmt.Sprintf("long-%d.%s@example.com", i, c.run)), "avatar_id": text(id),
		}}}
	})
	filled := time.Since(began)

	// list reads the list and returns its length in bytes. A slow client takes a time for it.
	named := regexp.MustCompile(`"id":"c4a05000-0000-4000-8000-([0-9]{12})"`)
	var refused atomic.Int64
	list := func(pause time.Duration) (read int, err error) {
		transport := new(http.Transport)
		defer transport.CloseIdleConnections()
		var response *http.Response
		for {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+"/users", nil)
			if err != nil {
				return 0, err
			}
			if response, err = transport.RoundTrip(request); err != nil {
				return 0, err
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
				break
			}
			refused.Add(1)
			time.Sleep(time.Second)
		}
		if response.StatusCode != http.StatusOK {
			return 0, errors.New(response.Status)
		}
		seen := make([]bool, users)
		count, rest := 0, 64<<10
		body := bufio.NewReaderSize(response.Body, 4<<10)
		for {
			part, err := body.ReadSlice('}')
			read += len(part)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return read, err
			}
			if id := named.FindSubmatch(part); id != nil {
				i, err := strconv.Atoi(string(id[1]))
				if err != nil || i >= users || seen[i] {
					return read, fmt.Errorf("unexpected: %s", part)
				}
				seen[i] = true
				count++
			}
			if rest -= len(part); rest < 0 {
				rest += 64 << 10
				time.Sleep(pause)
			}
		}
		if count != users {
			return read, fmt.Errorf("%d users of %d", count, users)
		}
		return read, nil
	}
	size, err := list(0)
	require.NoError(t, err)

	memory := watchMemory(t, c.out, before)
	began = time.Now()
	var all sync.WaitGroup
	var fastest, slowest atomic.Int64
	for i := range clients {
		all.Go(func() {
			var pause time.Duration
			if i < slow {
				pause = slowness / time.Duration(size/(64<<10)+1)
			}
			_, err := list(pause)
			assert.NoError(t, err, "the list is whole")
			if i < slow {
				slowest.Store(max(slowest.Load(), int64(time.Since(began))))
			} else {
				fastest.Store(max(fastest.Load(), int64(time.Since(began))))
			}
		})
	}
	all.Wait()
	peaks := memory.stop(t, memoryLimit(t, before[0]))
	assertUnharmed(t, c.out, before)
	t.Logf("figure: %d lists of %d users (%.1f MiB each) at once, %d of them read slowly: all whole, the fast ones within %s, the slow ones within %s, %d answers were 503; %s; no restarts (table filled in %s)",
		clients, users, mebibytes(int64(size)), slow, time.Duration(fastest.Load()).Round(100*time.Millisecond), time.Duration(slowest.Load()).Round(100*time.Millisecond),
		refused.Load(), peaks, filled.Round(time.Second))
}

// Ensure an API that lets everybody in, and from then on those with a token alone, and everybody again, fails no
// request of a client that has a token.
func (c *chaos) changedAccess(t *testing.T) {
	made := run(t, "go", "run", "./app/cmd/prima-api", "token", "chaos", "read+write")
	token := regexp.MustCompile(`prima_\S+`).FindString(made)
	require.NotEmpty(t, token)
	stack := strings.TrimSpace(pulumi(t, "stack", "--show-name"))
	data, err := os.ReadFile(fmt.Sprintf("%s/Pulumi.%s.yaml", root, stack))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "settings.yaml")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	set := func(value string, args ...string) {
		_, err := output(t.Context(), value, "pulumi", append([]string{"config", "set", "--config-file", file}, args...)...)
		require.NoError(t, err)
	}
	set(charts.AccessToken, "--path", "api.access")
	set(token, "--secret", "--path", "tokens.chaos.token")
	set("read+write", "--path", "tokens.chaos.scope")

	anyone, err := client.New(c.out.URL)
	require.NoError(t, err)
	anonymous := func() error {
		_, err := anyone.ListUsersWithResponse(t.Context(), &client.ListUsersParams{Limit: new(int32(1))})
		return err
	}
	c.token = token
	defer func() { c.token = "" }()
	l := c.during(t, "changed access", func(*load) {
		assert.NoError(t, anonymous())
		before := podNames(t, c.out)
		pulumi(t, "up", "--yes", "--skip-preview", "--config-file", file)
		settled(t, c.out, replicas)
		requireGone(t, c.out, before)
		assert.Equal(t, http.StatusUnauthorized, refusal(anonymous()))
		assert.Equal(t, http.StatusOK, status(c.out.URL+config.PathHealth))
		pulumi(t, "up", "--yes", "--skip-preview")
		settled(t, c.out, replicas)
		assert.NoError(t, anonymous())
	})
	l.assertUnharmed(t)
	t.Logf("figure: access open, by token and open again in %s: %s", l.metrics.Duration.Round(time.Second), l)
}

// refusal returns the status by which the API refused a request, 0 if it did not.
func refusal(err error) int {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return int(e.Status)
	}
	return 0
}

// Ensure that an API without its LocalStack lives on and says so in time, that it names what is missing when
// LocalStack is back empty, and that task up brings everything back, whatever is left of it.
func (c *chaos) localStackAway(t *testing.T) {
	const away = 45 * time.Second // longer than a liveness probe that fails is put up with
	c.remove(t)                   // what LocalStack forgets, no list can be held to
	before := settled(t, c.out, replicas)
	takeAway := func() {
		kubectl(t, "scale", "deployment", "localstack", "-n", "localstack", "--replicas=0")
		kubectl(t, "wait", "pod", "-n", "localstack", "--all", "--for=delete", "--timeout=2m")
	}
	takeAway()

	deadline := config.Default().RequestTimeout
	var mu sync.Mutex
	answers := map[string]int{}
	var slowest time.Duration
	var all sync.WaitGroup
	end := time.Now().Add(away)
	for i := range 4 {
		all.Go(func() {
			for time.Now().Before(end) {
				began := time.Now()
				var err error
				if i == 0 {
					_, err = c.api.CreateUserWithResponse(t.Context(), nil, user(c.email("away", int64(i))))
				} else {
					_, err = c.api.ListUsersWithResponse(t.Context(), &client.ListUsersParams{Limit: new(int32(5))})
				}
				took := time.Since(began)
				var e *client.Error
				if assert.ErrorAs(t, err, &e) && assert.EqualValues(t, http.StatusServiceUnavailable, e.Status, err) {
					assert.Positive(t, e.RetryAfter, err)
				}
				mu.Lock()
				answers[strconv.Itoa(refusal(err))]++
				slowest = max(slowest, took)
				mu.Unlock()
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
	probe := func(p corev1.Pod, path string) string {
		text, err := output(t.Context(), "", "kubectl", "--context", kubeContext, "get", "--raw",
			fmt.Sprintf("/api/v1/namespaces/%s/pods/%s:%d/proxy%s", c.out.Namespace, p.Name, config.Default().AdminPort, path))
		assert.NoError(t, err)
		return text
	}
	probes := 0
	for ; time.Now().Before(end); probes++ {
		for _, p := range before {
			assert.JSONEq(t, `{"status":"ok"}`, probe(p, config.PathHealth))
			assert.Contains(t, probe(p, config.PathReady), `"status":"ready"`)
		}
		time.Sleep(time.Second)
	}
	all.Wait()
	assert.Less(t, slowest, deadline+time.Second)
	for _, p := range pods(t, c.out) {
		assert.True(t, ready(p), p.Name)
	}
	assertUnharmed(t, c.out, before)
	t.Logf("figure: LocalStack away for %s: requests were answered %s, the slowest after %s of %s; %d times /health 200 and /readyz 200 in each of %d pods; no restarts",
		away, counted(answers), slowest.Round(10*time.Millisecond), deadline, probes, len(before))

	// Back, and empty.
	kubectl(t, "scale", "deployment", "localstack", "-n", "localstack", "--replicas=1")
	kubectl(t, "rollout", "status", "deployment", "localstack", "-n", "localstack", "--timeout=5m")
	back := time.Now()
	var said string
	await(t, time.Minute, "/readyz says what is missing", func() bool {
		_, err := c.api.GetReadinessWithResponse(t.Context())
		e, ok := errors.AsType[*client.Error](err)
		var is client.NotReady
		if !ok || json.Unmarshal(e.Body, &is) != nil {
			return false
		}
		said = string(e.Body)
		missing := client.Dependency{State: client.DependencyStateMissing}
		return is.Dependencies == client.Dependencies{Dynamodb: missing, S3: missing}
	})
	t.Logf("figure: LocalStack back and empty: /readyz names the table and the bucket after %s: %s", time.Since(back).Round(100*time.Millisecond), said)
	await(t, time.Minute, "the Service has no pod", func() bool { return !slices.ContainsFunc(pods(t, c.out), ready) })

	// The repair, and how long after the table and the bucket are there the first request succeeds.
	takeAway()
	repair := time.Now()
	// first returns when something was so for the first time. Each question has a time of its own: one that
	// finds no pod may find it long after there is one.
	first := func(at *time.Time, is func(ctx context.Context) bool) {
		all.Go(func() {
			for at.IsZero() && time.Since(repair) < 5*time.Minute {
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				if is(ctx) {
					*at = time.Now()
				}
				cancel()
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	var table, bucket, success time.Time
	database := c.database()
	first(&table, func(ctx context.Context) bool {
		_, err := database.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(c.out.Table)})
		return err == nil
	})
	first(&bucket, func(ctx context.Context) bool {
		request, err := http.NewRequestWithContext(ctx, http.MethodHead, c.out.LocalstackEndpoint+"/"+c.out.Bucket, nil)
		if err != nil {
			return false
		}
		response, err := c.client.Do(request)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	first(&success, func(ctx context.Context) bool {
		_, err := c.api.ListUsersWithResponse(ctx, &client.ListUsersParams{Limit: new(int32(1))})
		return err == nil
	})
	run(t, root+"/scripts/stack", "up")
	repaired := time.Since(repair)
	all.Wait()
	for what, at := range map[string]time.Time{"the table": table, "the bucket": bucket, "a success": success} {
		require.False(t, at.IsZero(), what)
	}
	there := table
	if bucket.After(there) {
		there = bucket
	}
	c.scale(t, replicas, replicas)
	c.seed(t)
	l := c.during(t, "after the repair", func(*load) {})
	l.assertUnharmed(t)
	t.Logf("figure: LocalStack, its table and its bucket brought back by task up in %s; the first request succeeded %s after they were there; then %s",
		repaired.Round(100*time.Millisecond), success.Sub(there).Round(10*time.Millisecond), l)
}
