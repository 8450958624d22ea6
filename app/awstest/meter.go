package awstest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"

	"prima.internal/app/localaws"
)

// A Meter counts what calls are billed as: those of S3 one by one, those of DynamoDB by the capacity that the embedded
// one says they consumed, which it works out as AWS documents it.
type Meter struct {
	calls sync.RWMutex // read-locked by each while it is answered
	mu    sync.Mutex
	spent Spent
}

// Spent is what a [Meter] has counted.
type Spent struct {
	Calls       map[string]int // by operation, such as DynamoDB.PutItem
	Read, Write float64        // units of DynamoDB
}

// free are the operations that nothing is billed for, or that no request causes: readiness asks them at its own pace.
var free = map[string]bool{"DynamoDB.DescribeTable": true, "S3.HeadBucket": true, "S3.ListBuckets": true}

// Meter measures the calls from now on, but for those of readiness.
func (a *AWS) Meter() *Meter {
	m := &Meter{spent: Spent{Calls: map[string]int{}}}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.meter = m
	return m
}

// Take returns what was spent since the last time. It waits for calls that are being answered, whose answers may have come.
func (m *Meter) Take() Spent {
	m.calls.Lock()
	defer m.calls.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	spent := m.spent
	m.spent = Spent{Calls: map[string]int{}}
	return spent
}

func (m *Meter) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		operation := localaws.Operation(r)
		if free[operation] {
			next.ServeHTTP(w, r)
			return
		}
		m.calls.RLock()
		defer m.calls.RUnlock()
		service, name, _ := strings.Cut(operation, ".")
		answer := &copied{ResponseWriter: w}
		if service == "DynamoDB" {
			askForCapacity(r)
			w = answer
		}
		next.ServeHTTP(w, r)
		units := capacity(answer.body.Bytes())
		m.mu.Lock()
		defer m.mu.Unlock()
		m.spent.Calls[operation]++
		switch name {
		case "PutItem", "UpdateItem", "DeleteItem":
			m.spent.Write += units
		default:
			m.spent.Read += units
		}
	})
}

// askForCapacity has a request ask for what it costs.
func askForCapacity(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	members := map[string]json.RawMessage{}
	if err == nil && json.Unmarshal(body, &members) == nil {
		members["ReturnConsumedCapacity"] = json.RawMessage(`"TOTAL"`)
		if with, err := json.Marshal(members); err == nil {
			body = with
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

// capacity returns the units that an answer names, of one table or of several.
func capacity(answer []byte) float64 {
	type consumed struct{ CapacityUnits float64 }
	var one struct{ ConsumedCapacity consumed }
	if json.Unmarshal(answer, &one) == nil {
		return one.ConsumedCapacity.CapacityUnits
	}
	var several struct{ ConsumedCapacity []consumed }
	sum := 0.0
	if json.Unmarshal(answer, &several) == nil {
		for _, c := range several.ConsumedCapacity {
			sum += c.CapacityUnits
		}
	}
	return sum
}

// copied keeps what is written.
type copied struct {
	http.ResponseWriter
	body bytes.Buffer
}

// Write implements [http.ResponseWriter].
func (c *copied) Write(p []byte) (int, error) {
	c.body.Write(p)
	return c.ResponseWriter.Write(p)
}
