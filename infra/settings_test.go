package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// A refused setting has a path, a value and what its error says after the path.
type refused struct {
	path  string
	value any
	says  string
}

// Ensure a wrong setting is refused with its key, its value and what is allowed.
func TestRefusedSettings(t *testing.T) {
	t.Parallel()
	for _, r := range []refused{
		{"kubernetes.context", "", `is "", must be the name of a context`},
		{"kubernetes.host", "a b", `is "a b", must be a host name`},
		{"kubernetes.host", "prima..local", `is "prima..local", must be a host name`},
		{"kubernetes.contxt", "x", `is no setting: there are context, host, ingressPort`},
		{"kubernetes.Host", "a", `is no setting`},
		{"kubernetes.ingressPort", 70000, `is 70000, must be at least 0 and at most 65535`},
		{"api.imag", "a", `is no setting: there are access, config, digest, image, `},
		{"localstack.deploy", "yes", `is "yes", must be true or false`},
		{"localstack", "yes", `is "yes", must be an object`},
		{"localstack.image", "Local Stack", `is "Local Stack", must be the name of an image`},
		{"localstack.endpoint", "localhost:4566", `is "localhost:4566", must be an http or https`},
		{"localstack.endpoint", "http://a:b", `is "http://a:b", must be an http or https`},
		{"localstack.podEndpoint", "http://a", `is "http://a", must be set together with`},
		{"storage.billing", "free", `is "free", must be one of "provisioned" "onDemand"`},
		{"storage.noncurrentDays", 1.5, `is 1.5, must be a whole number`},
		{"storage.noncurrentDays", 0, `is 0, must be`},
		{"storage.table", "x", `: DYNAMODB_TABLE="x" must be 3 to 255`},
		{"storage.bucket", "No_Bucket", `: S3_BUCKET="No_Bucket" must be 3 to 63`},
		{"storage.region", "Mars", `: AWS_REGION="Mars" must be`},
		{"storage.table", "", `is "", must be a name`},
		{"api.image", "prima-api:1", `is "prima-api:1", must be the name of an image without`},
		{"api.image", "prima-api:", `is "prima-api:", must be the name of an image`},
		{"api.tag", "a b", `is "a b", must be the tag of an image`},
		{"api.digest", "latest", `is "latest", must be`},
		{"api.access", "none", `is "none", must be one of "token" "open"`},
		{"api.config.PAGES", []any{}, `must be a text`},
		{"api.config.MAX_CONNECTIONS", 1, `: MAX_CONNECTIONS="1" must be`},
		{"api.config.LOG_LEVEL", "loud", `: LOG_LEVEL="loud" must be debug`},
		{"api.config.TIMER_SLACK", "1ms", `was removed: it has no effect`},
		{"api.config.ACCESS_TOKENS", "", `is a secret`},
		{"api.config.S3_BUCKET", "other", `is set by storage.bucket`},
		{"api.config.AWS_ENDPOINT_URL", "http://a", `is set by localstack.podEndpoint`},
		{"api.config.LOG_LEVL", "info", `is "info", must be a setting of the API`},
		{"api.values.config", map[string]any{"PAGES": "true"}, `is "map[PAGES:true]", must be set by api.config`},
		{"api.values.servce", map[string]any{}, `is no setting: there are access, affinity, auto`},
		{"api.values.service.nodePort", 80, `is 80, must be at least 30000 and at most`},
		{"api.values.service.nodePort", "30000", `is "30000", must be a whole number`},
		{"api.values.service.type", "Node", `is "Node", must be one of "ClusterIP" "No`},
		{"api.values.ingress.host", "a/b", `is "a/b", must be like`},
		{"api.values.tracing.share", 5, `is 5, must be at least 0 and at most 1`},
		{"api.values.tracing.endpoint", "http://c/v1/traces", `is "http://c/v1/traces", must be with`},
		{"api.values.tracing", []any(nil), `is null, must be an object`},
		{"api.nodePort", 30000, `is now api.values.service.nodePort`},
		{"api.ingress", map[string]any{"host": "a"}, `is now api.values.ingress`},
		{"storge", "{}", "is no setting: there are api, aws, environment, kubernetes, localstack, storage, tokens, local"},
	} {
		assertRefused(t, settings{}.set(r.path, r.value).set("aws:region", "of another project"), r)
	}
	assertRefused(t, settings{}.set("api.image", "example.com/prima-api"),
		refused{path: "api.tag", says: `is "", must be the tag of the image, unless api.image is `})
	assertRefused(t, local(t).set("api.values.service.nodePort", localStackPort),
		refused{path: "api.values.service.nodePort", says: `is "31566", must be another`})

	_, err := up(t, settings{}.set("storage", map[string]any{"billing": "free", "table": "x"}).set("api.nodePort", 1))
	for _, want := range []string{"wrong settings in Pulumi.local.yaml", "storage.billing", "storage.table", "nodePort"} {
		assert.ErrorContains(t, err, want)
	}
}

func assertRefused(t *testing.T, s settings, r refused) {
	t.Helper()
	d, err := up(t, s)
	separator := " "
	if strings.HasPrefix(r.says, ":") {
		separator = ""
	}
	require.ErrorContains(t, err, "prima-api:"+r.path+separator+r.says)
	assert.Empty(t, d.resources, r.path)
}

// Ensure a stack on AWS that cannot work, or would let others read along, is refused with the
// setting that is wrong.
func TestRefusedOnAWS(t *testing.T) {
	t.Parallel()
	for _, r := range []refused{
		{"aws.account", "1", `is "1", must be the 12 digits`},
		{"aws.account", "", `is "", must be the 12 digits`},
		{"aws.identity", "keys", `is "keys", must be one of`},
		{"aws.cluster", "", `is "", must be the name`},
		{"aws.oidcIssuer", "https://a", `is "https://a", must be empty`},
		{"aws.permissionsBoundary", "all", `is "all", must be`},
		{"kubernetes.context", "prima", `is "prima", must be`},
		{"api.values.service.type", "NodePort", `is "NodePort", must be ClusterIP`},
		{"api.values.ingress.tlsSecretName", "tls", `is "tls", must be empty`},
	} {
		assertRefused(t, onAWS(t).set(r.path, r.value), r)
	}
	assertRefused(t, onAWS(t).set("aws.identity", "none"),
		refused{path: "aws.cluster", says: `is "prima-production", must be empty`})
	assertRefused(t, onAWS(t).set("localstack.deploy", true),
		refused{path: "aws.identity", says: `is "podIdentity", must be none`})
	for value, says := range map[string]string{"http://a": "the https", "": "the https"} {
		assertRefused(t, onAWS(t).withIRSA().set("aws.oidcIssuer", value),
			refused{path: "aws.oidcIssuer", says: `is "` + value + `", must be ` + says})
	}
	assertRefused(t, onAWS(t).set("storage.region", "us-"+strings.Repeat("isolated-", 5)+"east-1"),
		refused{path: "aws.identity", says: ": the role would be called prima-api-local-us-isolated-"})
	assertRefused(t, onAWS(t).set("api.values.networkPolicy", nil),
		refused{path: "api.values.networkPolicy.ingress", says: `is "", must be the rules`})
	assertRefused(t, onAWS(t).set("api.values.ingress.annotations", nil),
		refused{path: "api.values.ingress", says: `is "api.example.com", must be served by TLS`})
	assertRefused(t, onAWS(t).withGateway().set("api.values.ingress.enabled", true),
		refused{path: "api.values.httpRoute.enabled", says: `is "true", must be false beside`})
	assertRefused(t, onAWS(t).withGateway().set("api.values.httpRoute.hostnames", nil),
		refused{path: "api.values.httpRoute.hostnames", says: `is "[]", must be the hosts`})
	parents := []any{map[string]any{"name": "public"}}
	assertRefused(t, onAWS(t).withGateway().set("api.values.httpRoute.parentRefs", parents),
		refused{path: "api.values.httpRoute.parentRefs", says: `is "map[name:public]", must be with a sectionName`})
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
	text := d.render(t)
	for _, present := range []string{"example.com/a: b\n", "GOGC", "AWS_EC2_METADATA_DISABLED"} {
		assert.Contains(t, text, present)
	}
}

// Ensure an API beside an emulator is called by its own names alone, unless the stack says
// otherwise: it refuses a web page whose name was made to resolve to its address. helm test calls
// it by an allowed name.
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
		called := regexp.MustCompile(`args: \[check, 'http://([^:']+):`).FindStringSubmatch(d.render(t))
		require.Len(t, called, 2)
		assert.True(t, c.HostAllowed(called[1]), "%q is not in %q", called[1], text)
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
