package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// Ensure a wrong setting is refused with its key, its value and what is allowed.
func TestRefusedSettings(t *testing.T) {
	t.Parallel()
	for _, r := range []struct {
		path  string
		value any
		says  string
	}{
		{"kubernetes.context", "", `is "", must be the name of a context`},
		{"kubernetes.host", "prima..local", `is "prima..local", must be a host name`},
		{"kubernetes.contxt", "x", `is no setting: there are context, host, ingressPort`},
		{"kubernetes.ingressPort", 70000, `is 70000, must be at most 65535`},
		{"api.values.service.nodePort", 80, `is 80, must be at least 30000`},
		{"localstack.deploy", "yes", `is of the type string, must be boolean`},
		{"localstack", "yes", `is of the type string, must be object`},
		{"localstack.image", "Local Stack", `is "Local Stack", must be the name of an image`},
		{"localstack.endpoint", "localhost:4566", `is "localhost:4566", must be an http or https`},
		{"localstack.endpoint", "http://a:b", `is "http://a:b", must be an http or https`},
		{"localstack.podEndpoint", "http://a", `is "http://a", must be set together with`},
		{"storage.billing", "free", `is "free", must be one of "provisioned" "onDemand"`},
		{"storage.noncurrentDays", 1.5, `is of the type number, must be integer`},
		{"storage.table", "x", `: DYNAMODB_TABLE="x" must be 3 to 255`},
		{"storage.bucket", "No_Bucket", `: S3_BUCKET="No_Bucket" must be 3 to 63`},
		{"storage.region", "Mars", `: AWS_REGION="Mars" must be`},
		{"storage.table", "", `is "", must be a name`},
		{"api.image", "prima-api:1", `is "prima-api:1", must be the name of an image without`},
		{"api.tag", "a b", `is "a b", must be the tag of an image`},
		{"api.digest", "latest", `is "latest", must be`},
		{"api.config.PAGES", []any{}, `: PAGES="[]" must be`},
		{"api.config.MAX_CONNECTIONS", 1, `: MAX_CONNECTIONS="1" must be`},
		{"api.config.TIMER_SLACK", "1ms", `: TIMER_SLACK was removed: it has no effect`},
		{"api.config.ACCESS_TOKENS", "", `is no setting: there are ADMIN_ADDRESS, `}, // a secret
		{"api.config.S3_BUCKET", "other", `is no setting`},                           // storage.bucket sets it
		{"api.values.config", map[string]any{"PAGES": "true"}, `is "map[PAGES:true]", must be set by api.config`},
		{"api.values.servce", map[string]any{}, `is no setting: there are access, affinity, auto`},
		{"api.values.ingress.host", "a/b", `is "a/b", must be like`},
		{"api.values.tracing.endpoint", "http://c/v1/traces", `is "http://c/v1/traces", must be with`},
		{"api.values.tracing", []any(nil), `is of the type null, must be object`},
		{"storge", "{}", "is no setting: there are api, aws, environment, kubernetes, localstack, storage, tokens, local"},
	} {
		assertRefused(t, settings{}.set(r.path, r.value).set("aws:region", "of another project"), r.path, r.says)
	}
	assertRefused(t, settings{}.set("api.image", "example.com/prima-api"), "api.tag",
		`is "", must be the tag of the image, unless api.image is `)
	assertRefused(t, local(t).set("api.values.service.nodePort", localStackPort), "api.values.service.nodePort",
		`is "31566", must be another`)

	_, err := up(t, settings{}.set("storage.billing", "free").set("storage.table", "x"))
	for _, want := range []string{"wrong settings in Pulumi.local.yaml", "storage.billing", "storage.table"} {
		assert.ErrorContains(t, err, want)
	}
}

// assertRefused asserts that the error has the setting and what is said of it, and nothing is made.
func assertRefused(t *testing.T, s settings, path, says string) {
	t.Helper()
	d, err := up(t, s)
	if !strings.HasPrefix(says, ":") {
		says = " " + says
	}
	require.ErrorContains(t, err, "prima-api:"+path+says)
	assert.Empty(t, d.resources, path)
}

// Ensure a stack on AWS that cannot work, or would send tokens unencrypted, is refused with the
// setting that is wrong.
func TestRefusedOnAWS(t *testing.T) {
	t.Parallel()
	for _, r := range []struct{ path, value, says string }{
		{"aws.account", "", `is "", must be the 12 digits`},
		{"aws.identity", "keys", `is "keys", must be one of`},
		{"aws.cluster", "", `is "", must be the name`},
		{"aws.oidcIssuer", "https://a", `is "https://a", must be the https URL of the cluster's issuer with aws.identity irsa`},
		{"aws.permissionsBoundary", "all", `is "all", must be`},
		{"kubernetes.context", "prima", `is "prima", must be`},
		{"api.values.service.type", "NodePort", `is "NodePort", must be ClusterIP`},
		{"api.values.ingress.tlsSecretName", "tls", `is "tls", must be empty`},
	} {
		assertRefused(t, onAWS(t).set(r.path, r.value), r.path, r.says)
	}
	far, parents := "us-"+strings.Repeat("isolated-", 5)+"east-1", []any{map[string]any{"name": "public"}}
	for _, r := range []struct {
		s          settings
		path, says string
	}{
		{onAWS(t).set("aws.identity", "none"), "aws.cluster", `is "prima-production", must be the name`},
		{onAWS(t).set("localstack.deploy", true), "aws.identity", `is "podIdentity", must be none`},
		{other(t).set("aws.oidcIssuer", ""), "aws.oidcIssuer", `is "", must be the https`},
		{onAWS(t).set("storage.region", far), "aws.identity", ": the role would be called prima-api-local-us-isolated-"},
		{onAWS(t).set("api.values.networkPolicy", nil), "api.values.networkPolicy.ingress", `is "", must be the rules`},
		{onAWS(t).set("api.values.ingress.annotations", nil), "api.values.ingress", `is "api.example.com", must be served by`},
		{other(t).set("api.values.ingress.enabled", true), "api.values.httpRoute.enabled", `is "true", must be false beside`},
		{other(t).set("api.values.httpRoute.hostnames", nil), "api.values.httpRoute.hostnames", `is "[]", must be the hosts`},
		{other(t).set("api.values.networkPolicy", nil), "api.values.networkPolicy.ingress", `is "", must be the rules`},
		{other(t).set("api.values.httpRoute.parentRefs", parents), "api.values.httpRoute.parentRefs", `is "map[name:public]", `},
	} {
		assertRefused(t, r.s, r.path, r.says)
	}
}

// Ensure api.config needs no quotes, as YAML and pulumi config set --path write it, and api.values
// is merged into the values of the chart.
func TestConfigAndValues(t *testing.T) {
	t.Parallel()
	s := local(t).set("api.config", map[string]any{"PAGES": false, "MAX_JSON_BYTES": 1000000})
	s.set("api.values.runtime.GOGC", "75").set("api.values.ingress.annotations", map[string]any{"example.com/a": "b"})
	d := mustUp(t, s)
	assert.Equal(t, "false", d.config(t)["PAGES"])
	assert.Equal(t, "1000000", d.config(t)["MAX_JSON_BYTES"])
	values := d.values(t, apiRelease)
	assert.Equal(t, map[string]any{"GOGC": "75", "AWS_EC2_METADATA_DISABLED": "true"}, values["runtime"])
	annotations := values["ingress"].(map[string]any)["annotations"]
	assert.Equal(t, map[string]any{"example.com/a": "b", "pulumi.com/skipAwait": "true"}, annotations)
}

// Ensure an API with an emulator has ALLOWED_HOSTS with its own names, unless the stack sets
// others, against DNS rebinding. `helm test` calls it by the name of its Service.
func TestAllowedHosts(t *testing.T) {
	t.Parallel()
	const service = "prima-api.prima,prima-api.prima.svc,prima-api.prima.svc.cluster.local"
	for want, s := range map[string]settings{
		"prima-api,prima-api.local," + service: local(t).set("api.values.ingress", nil),
		"links.test,node.test,prima-api," + service + ",users.test": local(t).set("kubernetes.host", "node.test").
			set("api.values.ingress", map[string]any{"enabled": true, "host": "users.test"}).
			set("api.config.PUBLIC_BASE_URL", "http://links.test:8080/v1"),
		"prima-api,prima-api.local,prima-api.localhost," + service: local(t).set("kubernetes.host", "192.0.2.7").
			set("api.config.PUBLIC_BASE_URL", "http://[::1]:30000"),
		"*.test,prima-api": local(t).set("api.config.ALLOWED_HOSTS", "*.test, Prima-API"),
		"":                 local(t).set("api.config.ALLOWED_HOSTS", ""),
	} {
		d := mustUp(t, s)
		text, _ := d.config(t)["ALLOWED_HOSTS"].(string)
		assert.Equal(t, want, text)
		c, _, err := config.Load([]string{"ALLOWED_HOSTS=" + text})
		require.NoError(t, err)
		assert.True(t, c.HostAllowed(apiRelease), text)
	}
}

// Ensure links and the output lead to the port at which clients reach the controller.
func TestPublicURL(t *testing.T) {
	t.Parallel()
	tls := map[string]string{albCertificate: "arn"}
	for _, test := range []struct {
		port int
		in   charts.Ingress
		want string
	}{
		{8080, charts.Ingress{Host: "users.test"}, ""},
		{8080, charts.Ingress{Enabled: true, Host: "users.test"}, "http://users.test:8080"},
		{0, charts.Ingress{Enabled: true, Host: "users.test"}, "http://users.test"},
		{0, charts.Ingress{Enabled: true, Host: "users.test", TLSSecretName: "tls"}, "https://users.test"},
		{8443, charts.Ingress{Enabled: true, Host: "users.test", Annotations: tls}, "https://users.test:8443"},
	} {
		s := Stack{Kubernetes: KubernetesSettings{IngressPort: test.port}, Values: charts.PrimaAPI{Ingress: test.in}}
		assert.Equal(t, test.want, s.publicURL())
	}
	var s Stack
	s.Values.HTTPRoute.Enabled, s.Values.HTTPRoute.Hostnames = true, []string{"users.test"}
	assert.Equal(t, "https://users.test", s.publicURL())
}
