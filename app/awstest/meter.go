package awstest

import (
	"maps"
	"net/http"
	"sync"
)

// A Meter counts the calls that requests cause, by operation such as DynamoDB.PutItem.
type Meter struct {
	running sync.RWMutex // read-locked by each call
	mu      sync.Mutex
	calls   map[string]int
}

// free are the operations that no request causes: readiness asks them at its own pace.
var free = map[string]bool{"DynamoDB.DescribeTable": true, "S3.HeadBucket": true}

// Meter counts the calls from now on, except for those of readiness.
func (a *AWS) Meter() *Meter {
	m := &Meter{calls: map[string]int{}}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.meter = m
	return m
}

// Take returns what was called since the last time. It waits for the calls that are running.
func (m *Meter) Take() map[string]int {
	m.running.Lock()
	defer m.running.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := maps.Clone(m.calls)
	clear(m.calls)
	return calls
}

func (m *Meter) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if operation := operationOf(r); !free[operation] {
			m.running.RLock()
			defer m.running.RUnlock()
			m.mu.Lock()
			m.calls[operation]++
			m.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}
