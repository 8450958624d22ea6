package charts_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chartutil"
	"sigs.k8s.io/yaml"
)

// Ensure a wrong value is refused before anything reaches a cluster, in words that say where and why.
func TestWrongValues(t *testing.T) {
	t.Parallel()
	const (
		pattern = "does not match pattern"
		removed = " was removed: it has no effect; delete it from your values"
		open    = "access.mode open lets everybody in, whatever access.tokens"
	)
	us, again := strings.Replace(ciEntry, "ci", "us", 1), strings.Replace(adminEntry, "admin", "us", 1)
	for _, test := range []struct{ values, where, why string }{
		{`colour: red`, "", "additional properties 'colour' not allowed"},
		{`image: {tga: "1"}`, "/image", "'tga' not allowed"},
		{`image: {tag: 1}`, "/image/tag", "got number, want string"},
		{`image: {tag: "a b"}`, "/image/tag", pattern},
		{`image: {digest: "sha256:12"}`, "/image/digest", pattern},
		{`image: {pullPolicy: Sometimes}`, "/image/pullPolicy", "'Always', 'IfNotPresent', 'Never'"},
		{`imagePullSecrets: [{}]`, "/imagePullSecrets/0", "missing property 'name'"},
		{`service: {nodePort: 80}`, "/service/nodePort", "minimum: got 80, want 30,000"},
		{`service: {type: Nodeport}`, "/service/type", "'ClusterIP', 'NodePort', 'LoadBalancer'"},
		{`config: {LOGLEVEL: info}`, "/config", "'LOGLEVEL' not allowed"},
		{`config: {ACCESS_TOKENS: ""}`, "/config", "'ACCESS_TOKENS' not allowed"},
		{`config: {LIST_SEGMENTS: "4"}`, "/config/LIST_SEGMENTS", "LIST_SEGMENTS" + removed},
		{`config: {LOG_LEVEL: loud}`, "/config/LOG_LEVEL", "'debug', 'info', 'warn', 'error'"},
		{`config: {MAX_AVATAR_PIXELS: 1}`, "/config/MAX_AVATAR_PIXELS", "got number, want string"},
		{`config: {PORT: "0"}`, "/config/PORT", pattern},
		{`config: {DRAIN_TIME: soon}`, "/config/DRAIN_TIME", pattern},
		{`runtime: {AWS_SECRET_ACCESS_KEY: hunter2}`, "/runtime", "'AWS_SECRET_ACCESS_KEY' not allowed"},
		{`runtime: {ACCESS_TOKENS: ""}`, "/runtime", "'ACCESS_TOKENS' not allowed"},
		{`credentials: {accessKeyID: a}`, "", "credentials.secretAccessKey is missing"},
		{`access: {tokens: []}`, "", `make one by "prima-api token NAME SCOPE"`},
		{`access: {mode: none}`, "/access/mode", "'token', 'open'"},
		{`access: {mode: open}`, "", open},
		{`access: {mode: open, tokens: [], checkSecret: a}`, "", open},
		{`access: {existingSecret: a}`, "", "access.tokens and access.existingSecret are both set"},
		{`access: {tokens: [prima_a]}`, "/access/tokens/0", pattern},
		{`access: {tokens: [` + strings.Replace(ciEntry, "read", "admin", 1) + `]}`, "/access/tokens/0", pattern},
		{`access: {tokens: [` + ciEntry + `, ` + ciEntry + `]}`, "/access/tokens", "items at 0 and 1 are equal"},
		{`access: {tokens: [` + ciEntry + `, ` + us + `]}`, "", "ci and us have one name or one token"},
		{`access: {tokens: [` + us + `, ` + again + `]}`, "", "us and us have one name or one token"},
		{`sweep: {schedule: daily}`, "/sweep/schedule", pattern},
		{`sweep: {olderThan: "1h -force"}`, "/sweep/olderThan", pattern},
		{`sweep: {timeoutSeconds: 1}`, "/sweep/timeoutSeconds", "minimum: got 1, want 60"},
		{`resources: {requests: {memory: lots}}`, "/resources/requests/memory", pattern},
		{`resources: {requests: {disk: 1Gi}}`, "/resources/requests", "'disk' not allowed"},
		{`goMemoryPercent: 80`, "", "goMemoryPercent 80 must be below autoscaling.memoryPercent 80"},
		{`autoscaling: {minReplicas: 6}`, "", "autoscaling.minReplicas 6 must not be above autoscaling.maxReplicas 5"},
		{`httpRoute: {enabled: true}`, "", "httpRoute.parentRefs must name the Gateway"},
		{`ingress: {host: "http://a"}`, "/ingress/host", pattern},
		{`ingress: {aliases: ["http://a"]}`, "/ingress/aliases/0", pattern},
		{`tracing: {endpoint: "collector:4318"}`, "/tracing/endpoint", pattern},
		{`tracing: {share: 1.5}`, "/tracing/share", "maximum: got 1.5, want 1"},
		{`replicas: -1`, "/replicas", "minimum: got -1, want 0"},
	} {
		var values map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(test.values), &values))
		_, err := renderAs(load(t, "prima-api"), "prima-api", chartutil.CoalesceTables(values, valuesOf(t, tokenAPI())))
		assert.ErrorContains(t, err, test.where, test.values)
		assert.ErrorContains(t, err, test.why, test.values)
	}
}
