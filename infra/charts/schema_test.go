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
	for _, test := range []struct {
		chart, values string
		words         []string
	}{
		{"prima-api", `colour: red`, []string{"additional properties 'colour' not allowed"}},
		{"prima-api", `image: {tga: "1"}`, []string{"/image", "'tga' not allowed"}},
		{"prima-api", `image: {tag: 1}`, []string{"/image/tag", "got number, want string"}},
		{"prima-api", `image: {tag: "a b"}`, []string{"/image/tag", "does not match pattern"}},
		{"prima-api", `image: {digest: "sha256:12"}`, []string{"/image/digest", "does not match pattern"}},
		{"prima-api", `image: {pullPolicy: Sometimes}`, []string{"/image/pullPolicy", "'Always', 'IfNotPresent', 'Never'"}},
		{"prima-api", `service: {nodePort: 80}`, []string{"/service/nodePort", "minimum: got 80, want 30,000"}},
		{"prima-api", `service: {nodePort: 32768}`, []string{"/service/nodePort", "maximum: got 32,768, want 32,767"}},
		{"prima-api", `service: {type: Nodeport}`, []string{"/service/type", "'ClusterIP', 'NodePort', 'LoadBalancer'"}},
		{"prima-api", `config: {LOGLEVEL: info}`, []string{"/config", "'LOGLEVEL' not allowed"}},
		{"prima-api", `config: {LOCALSTACK_URL: "http://a"}`, []string{"/config", "'LOCALSTACK_URL' not allowed"}},
		{"prima-api", `config: {LIST_SEGMENTS: "4"}`, []string{"/config/LIST_SEGMENTS", "LIST_SEGMENTS was removed: it has no effect; delete it from your values"}},
		{"prima-api", `config: {LIST_SHARING: "true"}`, []string{"LIST_SHARING was removed: it has no effect; delete it from your values"}},
		{"prima-api", `config: {TIMER_SLACK: 1}`, []string{"TIMER_SLACK was removed: it has no effect; delete it from your values"}},
		{"prima-api", `config: {LOG_LEVEL: loud}`, []string{"/config/LOG_LEVEL", "'debug', 'info', 'warn', 'error'"}},
		{"prima-api", `config: {MAX_AVATAR_PIXELS: 1}`, []string{"/config/MAX_AVATAR_PIXELS", "got number, want string"}},
		{"prima-api", `config: {PORT: "0"}`, []string{"/config/PORT", "does not match pattern"}},
		{"prima-api", `config: {PORT: null}`, []string{"/config", "missing property 'PORT'"}},
		{"prima-api", `config: {DRAIN_TIME: soon}`, []string{"/config/DRAIN_TIME", "does not match pattern"}},
		{"prima-api", `config: {AWS_ENDPOINT_URL: "localstack:4566"}`, []string{"/config/AWS_ENDPOINT_URL", "does not match pattern"}},
		{"prima-api", `config: {MAX_AVATAR_BYTES: 5MB}`, []string{"/config/MAX_AVATAR_BYTES", "does not match pattern"}},
		{"prima-api", `config: {MAX_CONNECTIONS: "-1"}`, []string{"/config/MAX_CONNECTIONS", "does not match pattern"}},
		{"prima-api", `config: {ADMIN_ADDRESS: localhost}`, []string{"/config/ADMIN_ADDRESS", "does not match pattern"}},
		{"prima-api", `config: {ALLOWED_HOSTS: "https://a"}`, []string{"/config/ALLOWED_HOSTS", "does not match pattern"}},
		{"prima-api", `runtime: {PATH: /}`, []string{"/runtime", "'PATH' not allowed"}},
		{"prima-api", `runtime: {AWS_SECRET_ACCESS_KEY: hunter2}`, []string{"/runtime", "'AWS_SECRET_ACCESS_KEY' not allowed"}},
		{"prima-api", `credentials: {accessKeyID: a}`, []string{"credentials.secretAccessKey is missing"}},
		{"prima-api", `credentials: {secretAccessKey: a}`, []string{"credentials.accessKeyID is missing"}},
		{"prima-api", `config: {ACCESS_TOKENS: ""}`, []string{"/config", "'ACCESS_TOKENS' not allowed"}},
		{"prima-api", `runtime: {ACCESS_TOKENS: ""}`, []string{"/runtime", "'ACCESS_TOKENS' not allowed"}},
		{"prima-api", `access: {tokens: []}`, []string{"prima-api token NAME SCOPE", "access.tokens", "access.existingSecret", "access.mode=open lets everybody in"}},
		{"prima-api", `access: {mode: none}`, []string{"/access/mode", "'token', 'open'"}},
		{"prima-api", `access: {mode: open}`, []string{"access.mode open lets everybody in, whatever access.tokens", "set access.mode=token"}},
		{"prima-api", `access: {mode: open, tokens: [], existingSecret: a}`, []string{"access.mode open lets everybody in"}},
		{"prima-api", `access: {mode: open, tokens: [], checkSecret: a}`, []string{"access.mode open lets everybody in"}},
		{"prima-api", `access: {existingSecret: a}`, []string{"access.tokens and access.existingSecret are both set"}},
		{"prima-api", `access: {tokens: [prima_a]}`, []string{"/access/tokens/0", "does not match pattern"}},
		{"prima-api", `access: {tokens: ["` + strings.Replace(ciEntry, "ci", "CI", 1) + `"]}`, []string{"/access/tokens/0", "does not match pattern"}},
		{"prima-api", `access: {tokens: ["` + strings.Replace(ciEntry, "read", "admin", 1) + `"]}`, []string{"/access/tokens/0", "does not match pattern"}},
		{"prima-api", `access: {tokens: ["` + ciEntry + `0"]}`, []string{"/access/tokens/0", "does not match pattern"}},
		{"prima-api", `access: {tokens: ["` + ciEntry + `", "` + ciEntry + `"]}`, []string{"/access/tokens", "items at 0 and 1 are equal"}},
		{"prima-api", `access: {tokens: ["` + ciEntry + `", "` + strings.Replace(adminEntry, "admin", "ci", 1) + `"]}`, []string{"ci and ci have one name or one token"}},
		{"prima-api", `access: {tokens: ["` + ciEntry + `", "` + strings.Replace(ciEntry, "ci", "us", 1) + `"]}`, []string{"ci and us have one name or one token"}},
		{"prima-api", `sweep: {schedule: daily}`, []string{"/sweep/schedule", "does not match pattern"}},
		{"prima-api", `sweep: {schedule: "17 3 * *"}`, []string{"/sweep/schedule", "does not match pattern"}},
		{"prima-api", `sweep: {olderThan: 1d}`, []string{"/sweep/olderThan", "does not match pattern"}},
		{"prima-api", `sweep: {olderThan: "1h -force"}`, []string{"/sweep/olderThan", "does not match pattern"}},
		{"prima-api", `sweep: {timeoutSeconds: 1}`, []string{"/sweep/timeoutSeconds", "minimum: got 1, want 60"}},
		{"prima-api", `resources: {requests: {memory: lots}}`, []string{"/resources/requests/memory", "does not match pattern"}},
		{"prima-api", `resources: {requests: {disk: 1Gi}}`, []string{"/resources/requests", "'disk' not allowed"}},
		{"prima-api", `goMemoryPercent: 80`, []string{"goMemoryPercent 80 must be below autoscaling.memoryPercent 80"}},
		{"prima-api", `autoscaling: {minReplicas: 6}`, []string{"autoscaling.minReplicas 6 must not be above autoscaling.maxReplicas 5"}},
		{"prima-api", `autoscaling: {enabled: "yes"}`, []string{"/autoscaling/enabled", "got string, want boolean"}},
		{"prima-api", `httpRoute: {enabled: true}`, []string{"httpRoute.parentRefs must name the Gateway"}},
		{"prima-api", `ingress: {host: "http://a"}`, []string{"/ingress/host", "does not match pattern"}},
		{"prima-api", `replicas: -1`, []string{"/replicas", "minimum: got -1, want 0"}},
		{"localstack", `services: []`, []string{"/services", "minItems: got 0, want 1"}},
		{"localstack", `services: dynamodb`, []string{"/services", "got string, want array"}},
		{"localstack", `env: {DEBUG: 1}`, []string{"/env/DEBUG", "got number, want string"}},
		{"localstack", `service: {nodePort: 4566}`, []string{"/service/nodePort", "minimum: got 4,566, want 30,000"}},
		{"localstack", `persistence: true`, []string{"'persistence' not allowed"}},
		{"namespaces", `namespaces: [{name: Prima, podSecurity: restricted}]`, []string{"/namespaces/0/name", "does not match pattern"}},
		{"namespaces", `namespaces: [{name: prima, podSecurity: strict}]`, []string{"/namespaces/0/podSecurity", "'privileged', 'baseline', 'restricted'"}},
		{"namespaces", `namespaces: [{name: prima}]`, []string{"/namespaces/0", "missing property 'podSecurity'"}},
	} {
		var values map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(test.values), &values))
		_, err := render(t, test.chart, chartutil.CoalesceTables(values, least(test.chart)))
		for _, word := range test.words {
			assert.ErrorContains(t, err, word, test.values)
		}
	}
}

// Ensure the charts can be part of another, which hands them its global values.
func TestGlobalValues(t *testing.T) {
	t.Parallel()
	for chart := range deployments() {
		values := least(chart)
		values["global"] = map[string]any{"imageRegistry": "registry.example.com"}
		_, err := render(t, chart, values)
		assert.NoError(t, err, chart)
	}
}
