package charts_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chartutil"
	"sigs.k8s.io/yaml"
)

// Ensure a wrong value is refused when the chart is rendered, and the error says where and why.
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
		{`image: {tag: "a b"}`, "/image/tag", pattern},
		{`imagePullSecrets: [{}]`, "/imagePullSecrets/0", "missing property 'name'"},
		{`config: {LOGLEVEL: info}`, "/config", "'LOGLEVEL' not allowed"},
		{`config: {LIST_SEGMENTS: "4"}`, "/config/LIST_SEGMENTS", "LIST_SEGMENTS" + removed},
		{`config: {MAX_AVATAR_PIXELS: 1}`, "/config/MAX_AVATAR_PIXELS", "got number, want string"},
		{`config: {PORT: "0"}`, "/config/PORT", pattern},
		{`runtime: {AWS_SECRET_ACCESS_KEY: hunter2}`, "/runtime", "'AWS_SECRET_ACCESS_KEY' not allowed"},
		{`credentials: {accessKeyID: a}`, "", "credentials.secretAccessKey is missing"},
		{`access: {tokens: []}`, "", `make one by "prima-api token NAME SCOPE"`},
		{`access: {mode: open}`, "", open},
		{`access: {mode: open, tokens: [], checkSecret: a}`, "", open},
		{`access: {existingSecret: a}`, "", "access.tokens and access.existingSecret are both set"},
		{`access: {tokens: [` + strings.Replace(ciEntry, "read", "admin", 1) + `]}`, "/access/tokens/0", pattern},
		{`access: {tokens: [` + ciEntry + `, ` + ciEntry + `]}`, "/access/tokens", "items at 0 and 1 are equal"},
		{`access: {tokens: [` + ciEntry + `, ` + us + `]}`, "", "ci and us have one name or one token"},
		{`access: {tokens: [` + us + `, ` + again + `]}`, "", "us and us have one name or one token"},
		{`podLabels: {app.kubernetes.io/instance: a}`, "", "selects its pods by app.kubernetes.io/instance"},
		{`sweep: {olderThan: "1h -force"}`, "/sweep/olderThan", pattern},
		{`sweep: {timeoutSeconds: 1}`, "/sweep/timeoutSeconds", "minimum: got 1, want 60"},
		{`goMemoryPercent: 80`, "", "goMemoryPercent 80 must be below autoscaling.memoryPercent 80"},
		{`autoscaling: {minReplicas: 6}`, "", "autoscaling.minReplicas 6 must not be above autoscaling.maxReplicas 5"},
		{`httpRoute: {enabled: true}`, "", "httpRoute.parentRefs must name the Gateway"},
		{`ingress: {aliases: ["http://a"]}`, "/ingress/aliases/0", pattern},
	} {
		var values map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(test.values), &values))
		_, err := renderAs(load(t, "prima-api"), "prima-api", chartutil.CoalesceTables(values, valuesOf(t, tokenAPI())))
		assert.ErrorContains(t, err, test.where, test.values)
		assert.ErrorContains(t, err, test.why, test.values)
	}
}
