package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// A deployment is what the program registered.
type deployment struct {
	mu        sync.Mutex
	resources []pulumi.MockResourceArgs
	awaited   []string
	preview   bool
}

// NewResource implements [pulumi.MockResourceMonitor]: every resource has its inputs as outputs.
func (d *deployment) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resources = append(d.resources, args)
	outputs := args.Inputs.Copy()
	if args.TypeToken == roleType {
		outputs["arn"] = resource.NewStringProperty("arn:aws:iam::123456789012:role/" + args.Inputs["name"].StringValue())
	}
	if args.TypeToken == "kubernetes:helm.sh/v4:Chart" {
		outputs["resources"] = resource.NewArrayProperty(nil)
	}
	if d.preview {
		for name := range outputs {
			outputs[name] = resource.MakeComputed(resource.NewStringProperty(""))
		}
		return "", outputs, nil
	}
	return args.Name + "-id", outputs, nil
}

// Call implements [pulumi.MockResourceMonitor].
func (d *deployment) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return resource.PropertyMap{}, nil
}

// settings of the stack by their keys; values that are no strings are written as JSON.
type settings map[string]any

// local is Pulumi.local.yaml, as far as it is not a default.
func local() settings {
	return settings{
		"environment": "local",
		"localstack":  map[string]any{"deploy": true},
		"storage":     map[string]any{"billing": "provisioned"},
		"api":         map[string]any{"nodePort": 30000, "ingress": map[string]any{"host": "prima-api.localhost", "aliases": []any{"prima-api.local"}, "port": 8080}, "tag": "abc", "access": "open"},
	}
}

// plainly is the value of a setting that should be a secret of the stack, and is not.
type plainly struct{ value any }

func up(t *testing.T, s settings) (*deployment, error) {
	t.Helper()
	return run(t, new(deployment), s)
}

// preview is up before anything is there: what comes of a resource is not known, and what it was asked for is not taken for granted.
func preview(t *testing.T, s settings) (*deployment, error) {
	t.Helper()
	return run(t, &deployment{preview: true}, s)
}

func run(t *testing.T, d *deployment, s settings) (*deployment, error) {
	t.Helper()
	values := map[string]string{}
	var secrets []string
	for key, value := range s {
		unprotected, isPlain := value.(plainly)
		if isPlain {
			value = unprotected.value
		}
		text, ok := value.(string)
		if !ok {
			data, err := json.Marshal(value)
			require.NoError(t, err)
			text = string(data)
		}
		values["prima-api:"+key] = text
		if (key == "localstackAuthToken" || key == "tokens") && !isPlain {
			secrets = append(secrets, "prima-api:"+key)
		}
	}
	await := func(endpoint string) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.awaited = append(d.awaited, endpoint)
		return nil
	}
	err := pulumi.RunErr(func(ctx *pulumi.Context) error { return deploy(ctx, anyContext, await) },
		pulumi.WithMocks("prima-api", "local", d),
		func(info *pulumi.RunInfo) {
			info.Config, info.ConfigSecretKeys, info.DryRun = values, secrets, d.preview
		})
	return d, err
}

// find returns the one resource of a type, and of a name unless that is empty.
func (d *deployment) find(t *testing.T, token, name string) pulumi.MockResourceArgs {
	t.Helper()
	var found []pulumi.MockResourceArgs
	for _, r := range d.resources {
		if r.TypeToken == token && (name == "" || r.Name == name) {
			found = append(found, r)
		}
	}
	require.Len(t, found, 1, "%s %s among %v", token, name, d.resources)
	return found[0]
}

// inputs returns the inputs of a resource as plain values, secrets too.
func (d *deployment) inputs(t *testing.T, token, name string) map[string]any {
	t.Helper()
	return plain(resource.NewObjectProperty(d.find(t, token, name).Inputs)).(map[string]any)
}

func plain(v resource.PropertyValue) any {
	switch {
	case v.IsSecret():
		return plain(v.SecretValue().Element)
	case v.IsOutput():
		return plain(v.OutputValue().Element)
	case v.IsObject():
		m := map[string]any{}
		for k, e := range v.ObjectValue() {
			m[string(k)] = plain(e)
		}
		return m
	case v.IsArray():
		var a []any
		for _, e := range v.ArrayValue() {
			a = append(a, plain(e))
		}
		return a
	}
	return v.V
}

// values returns the values of a chart.
func (d *deployment) values(t *testing.T, chart string) map[string]any {
	t.Helper()
	return d.inputs(t, "kubernetes:helm.sh/v4:Chart", chart)["values"].(map[string]any)
}

const (
	awsProvider = "pulumi:providers:aws"
	tableToken  = "aws:dynamodb/table:Table"
	bucketToken = "aws:s3/bucketV2:BucketV2"
)

// Ensure the table has the key of the contract, its name and its capacity.
func TestTable(t *testing.T) {
	t.Parallel()
	d, err := up(t, local())
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"name": "users", "hashKey": config.KeyAttribute,
		"attributes":  []any{map[string]any{"name": config.KeyAttribute, "type": config.KeyType}},
		"billingMode": "PROVISIONED", "readCapacity": 1.0, "writeCapacity": 1.0,
	}, d.inputs(t, tableToken, "users"))

	s := local()
	s["storage"] = map[string]any{"table": "people", "pointInTimeRecovery": true, "deletionProtection": true}
	d, err = up(t, s)
	require.NoError(t, err)
	table := d.inputs(t, tableToken, "users")
	assert.Equal(t, "people", table["name"])
	assert.Equal(t, "PAY_PER_REQUEST", table["billingMode"])
	assert.NotContains(t, table, "readCapacity")
	assert.Equal(t, map[string]any{"enabled": true}, table["pointInTimeRecovery"])
	assert.Equal(t, true, table["deletionProtectionEnabled"])
	assert.Equal(t, "people", d.values(t, "prima-api")["config"].(map[string]any)["DYNAMODB_TABLE"], "the API is told of it")
}

// Ensure nobody outside reads the bucket, that it is encrypted, and that no half of an upload stays in it.
func TestBucket(t *testing.T) {
	t.Parallel()
	d, err := up(t, local())
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"bucket": "prima-tech-challenge", "forceDestroy": true}, d.inputs(t, bucketToken, "avatars"))
	assert.Equal(t, map[string]any{"bucket": "avatars-id", "blockPublicAcls": true, "blockPublicPolicy": true, "ignorePublicAcls": true, "restrictPublicBuckets": true},
		d.inputs(t, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "avatars"))
	encryption := d.inputs(t, "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2", "avatars")
	assert.Equal(t, []any{map[string]any{"applyServerSideEncryptionByDefault": map[string]any{"sseAlgorithm": "AES256"}}}, encryption["rules"])
	lifecycle := d.inputs(t, "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2", "avatars")
	rule := lifecycle["rules"].([]any)[0].(map[string]any)
	assert.Equal(t, map[string]any{"daysAfterInitiation": 1.0}, rule["abortIncompleteMultipartUpload"])
	assert.Equal(t, "Enabled", rule["status"])
}

// Ensure the AWS provider of the local stack calls LocalStack and nobody else, and gives up soon.
func TestProviderOfAnEmulator(t *testing.T) {
	t.Parallel()
	d, err := up(t, local())
	require.NoError(t, err)
	provider := d.inputs(t, awsProvider, "storage")
	const endpoint = "http://127.0.0.1:31566"
	assert.Equal(t, []any{map[string]any{"dynamodb": endpoint, "s3": endpoint, "sts": endpoint, "iam": endpoint}}, provider["endpoints"])
	assert.Equal(t, map[string]any{"tags": map[string]any{"Environment": "local"}}, provider["defaultTags"])
	assert.Equal(t, "us-east-1", provider["region"])
	assert.Equal(t, true, provider["s3UsePathStyle"])
	assert.EqualValues(t, 3, provider["maxRetries"])
	for _, skip := range []string{"skipCredentialsValidation", "skipRequestingAccountId", "skipMetadataApiCheck"} {
		assert.Equal(t, true, provider[skip], skip)
	}
	assert.Equal(t, []string{endpoint}, d.awaited)
}

// Ensure without an emulator AWS itself is called, with whatever credentials there are, and no bucket is emptied.
func TestProviderOfAWS(t *testing.T) {
	t.Parallel()
	d, err := up(t, settings{"api": map[string]any{"tag": "abc", "access": "open"}, "storage": map[string]any{"region": "eu-central-1"}})
	require.NoError(t, err)
	provider := d.inputs(t, awsProvider, "storage")
	for _, absent := range []string{"endpoints", "accessKey", "secretKey", "s3UsePathStyle", "maxRetries"} {
		assert.NotContains(t, provider, absent)
	}
	assert.Equal(t, "eu-central-1", provider["region"])
	assert.Equal(t, false, d.inputs(t, bucketToken, "avatars")["forceDestroy"])
	assert.Empty(t, d.awaited)
	values := d.values(t, "prima-api")
	assert.Equal(t, map[string]any{"accessKeyID": "", "secretAccessKey": "", "existingSecret": ""}, values["credentials"])
	assert.NotContains(t, values["config"], "AWS_ENDPOINT_URL")
	for _, r := range d.resources {
		assert.NotEqual(t, "localstack", r.Inputs["name"].V, "nothing is deployed that nobody asked for")
	}
}

// Ensure the API is given what was made, by the contract's own names.
func TestAPI(t *testing.T) {
	t.Parallel()
	d, err := up(t, local())
	require.NoError(t, err)
	chart := d.inputs(t, "kubernetes:helm.sh/v4:Chart", "prima-api")
	assert.Equal(t, charts.PrimaAPIChart, chart["chart"])
	assert.Equal(t, "prima", chart["namespace"])
	values := d.values(t, "prima-api")

	want := config.Default()
	want.Endpoint = "http://localstack.localstack.svc:4566"
	want.AllowedHosts = []string{"prima-api.local", "prima-api.localhost", "prima-api", "prima-api.prima", "prima-api.prima.svc", "prima-api.prima.svc.cluster.local"}
	var environ []string
	for variable, value := range values["config"].(map[string]any) {
		environ = append(environ, variable+"="+value.(string))
	}
	got, _, err := config.Load(environ)
	require.NoError(t, err)
	assert.Equal(t, want, got)

	service := values["service"].(map[string]any)
	assert.Equal(t, "NodePort", service["type"])
	assert.EqualValues(t, 30000, service["nodePort"])
	ingress := values["ingress"].(map[string]any)
	assert.Equal(t, true, ingress["enabled"])
	assert.Equal(t, "prima-api.localhost", ingress["host"])
	assert.Equal(t, []any{"prima-api.local"}, ingress["aliases"])
	assert.Equal(t, "abc", values["image"].(map[string]any)["tag"])
	assert.Equal(t, "test", values["credentials"].(map[string]any)["accessKeyID"])
}

// Ensure an API beside an emulator, which may let everybody in, is called by its own names alone, unless the stack says otherwise: a web
// page whose name was made to resolve to its address is refused.
func TestAllowedHosts(t *testing.T) {
	t.Parallel()
	hosts := func(change func(s settings, api map[string]any)) any {
		s := local()
		change(s, s["api"].(map[string]any))
		d, err := up(t, s)
		require.NoError(t, err)
		values := d.values(t, "prima-api")
		assertCalledByOwnNames(t, values)
		return values["config"].(map[string]any)["ALLOWED_HOSTS"]
	}
	const service = "prima-api,prima-api.prima,prima-api.prima.svc,prima-api.prima.svc.cluster.local"
	assert.Equal(t, "prima-api.local,"+service, hosts(func(_ settings, api map[string]any) { delete(api, "ingress") }))
	assert.Equal(t, "prima-api.local,users.test,node.test,links.test,"+service, hosts(func(s settings, api map[string]any) {
		api["ingress"] = map[string]any{"host": "users.test"}
		api["config"] = map[string]any{"PUBLIC_BASE_URL": "http://links.test:8080/v1"}
		s["kubernetes"] = map[string]any{"host": "node.test"}
	}))
	assert.Equal(t, "prima-api.local,prima-api.localhost,"+service, hosts(func(s settings, api map[string]any) {
		api["config"] = map[string]any{"PUBLIC_BASE_URL": "http://[::1]:30000"}
		s["kubernetes"] = map[string]any{"host": "192.0.2.7"}
	}))
	assert.Equal(t, "*.test,prima-api", hosts(func(_ settings, api map[string]any) {
		api["config"] = map[string]any{"ALLOWED_HOSTS": "*.test, Prima-API"}
	}))
	assert.Nil(t, hosts(func(_ settings, api map[string]any) { api["config"] = map[string]any{"ALLOWED_HOSTS": ""} }))
}

// assertCalledByOwnNames holds the API to being called by those whom the chart makes to call it: helm test.
func assertCalledByOwnNames(t *testing.T, values map[string]any) {
	t.Helper()
	text, _ := values["config"].(map[string]any)["ALLOWED_HOSTS"].(string)
	c, _, err := config.Load([]string{"ALLOWED_HOSTS=" + text})
	require.NoError(t, err)
	called := regexp.MustCompile(`args: \[check, 'http://([^:']+):`).FindStringSubmatch(renderAPI(t, values))
	require.Len(t, called, 2)
	assert.True(t, c.HostAllowed(called[1]), "%q of %q", called[1], text)
}

// Ensure a stack that is to be watched is, by what its Prometheus selects, and that no other asks for an operator that is not there.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	kinds := []string{"kind: ServiceMonitor\n", "kind: PrometheusRule\n", "grafana_dashboard: \"1\""}
	d, err := up(t, local())
	require.NoError(t, err)
	for _, kind := range kinds {
		assert.NotContains(t, renderAPI(t, d.values(t, "prima-api")), kind)
	}

	s := local()
	api := s["api"].(map[string]any)
	api["monitoring"] = map[string]any{
		"enabled": true, "namespace": "observability", "labels": map[string]string{"release": "prometheus"}, "kubeStateMetrics": true,
		"runbookURL": "https://example.com/operations",
	}
	d, err = up(t, s)
	require.NoError(t, err)
	text := renderAPI(t, d.values(t, "prima-api"))
	for _, present := range append(kinds, `kubernetes.io/metadata.name: "observability"`+"\n", "release: prometheus\n", "PrimaAPIRestarts", "https://example.com/operations#primaapirestarts") {
		assert.Contains(t, text, present)
	}
}

// Ensure traces go where the stack says, all of them unless it says otherwise.
func TestTracing(t *testing.T) {
	t.Parallel()
	const endpoint = "http://collector.observability.svc:4318"
	for want, tracing := range map[string]map[string]any{
		`OTEL_TRACES_SAMPLER_ARG: "1"`:    {"endpoint": endpoint},
		`OTEL_TRACES_SAMPLER_ARG: "0"`:    {"endpoint": endpoint, "share": 0},
		`OTEL_TRACES_SAMPLER_ARG: "0.05"`: {"endpoint": endpoint, "share": 0.05, "headersSecret": "traces"},
	} {
		s := local()
		s["api"].(map[string]any)["tracing"] = tracing
		d, err := up(t, s)
		require.NoError(t, err)
		text := renderAPI(t, d.values(t, "prima-api"))
		assert.Contains(t, text, want+"\n")
		assert.Contains(t, text, `OTEL_EXPORTER_OTLP_ENDPOINT: "`+endpoint+`"`)
		assert.Equal(t, tracing["headersSecret"] != nil, strings.Contains(text, `name: "traces"`+"\n"))
	}
	d, err := up(t, local())
	require.NoError(t, err)
	assert.NotContains(t, renderAPI(t, d.values(t, "prima-api")), "OTEL_")
}

// Ensure the namespaces enforce their Pod Security Standards, and are there before anything is put into them.
func TestNamespaces(t *testing.T) {
	t.Parallel()
	d, err := up(t, local())
	require.NoError(t, err)
	assert.Equal(t, []any{
		map[string]any{"name": "prima", "podSecurity": "restricted"},
		map[string]any{"name": "localstack", "podSecurity": "baseline"},
	}, d.values(t, "namespaces")["namespaces"])
	for _, chart := range []string{"localstack", "prima-api"} {
		depends := d.find(t, "kubernetes:helm.sh/v4:Chart", chart).RegisterRPC.GetDependencies()
		assert.True(t, slices.ContainsFunc(depends, func(urn string) bool { return strings.HasSuffix(urn, "::namespaces") }), "%s depends on %v", chart, depends)
	}
}

// Ensure the provider of the storage, and so the storage, comes after LocalStack.
func TestStorageAfterLocalStack(t *testing.T) {
	t.Parallel()
	d, err := up(t, local())
	require.NoError(t, err)
	depends := d.find(t, awsProvider, "storage").RegisterRPC.GetDependencies()
	assert.True(t, slices.ContainsFunc(depends, func(urn string) bool { return strings.HasSuffix(urn, "::localstack") }), "it depends on %v", depends)
}

// Ensure a LocalStack that does not answer fails the update before anything is asked of it.
func TestLocalStackDoesNotAnswer(t *testing.T) {
	t.Parallel()
	d := new(deployment)
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		return deploy(ctx, anyContext, func(string) error { return errors.New("nobody there") })
	}, pulumi.WithMocks("prima-api", "local", d), func(info *pulumi.RunInfo) {
		info.Config = map[string]string{"prima-api:localstack": `{"deploy":true}`, "prima-api:api": `{"tag":"abc","access":"open"}`}
	})
	require.ErrorContains(t, err, "nobody there")
	for _, r := range d.resources {
		assert.NotContains(t, []string{tableToken, bucketToken, awsProvider}, r.TypeToken)
	}
}

// Ensure another image, an existing LocalStack and a token are used as the settings say, and that the token stays a secret.
func TestLocalStackSettings(t *testing.T) {
	t.Parallel()
	s := local()
	s["localstack"] = map[string]any{"deploy": true, "image": "registry.example.com:5000/floci/floci:1.7.0@sha256:" + strings.Repeat("a", 64)}
	s["localstackAuthToken"] = "ls-token"
	d, err := up(t, s)
	require.NoError(t, err)
	values := d.values(t, "localstack")
	assert.Equal(t, map[string]any{"repository": "registry.example.com:5000/floci/floci", "tag": "1.7.0", "digest": "sha256:" + strings.Repeat("a", 64), "pullPolicy": "IfNotPresent"}, values["image"])
	assert.Equal(t, "ls-token", values["authToken"])
	raw := d.find(t, "kubernetes:helm.sh/v4:Chart", "localstack").Inputs["values"]
	assert.True(t, raw.ContainsSecrets(), "%v", raw)

	s = local()
	s["localstack"] = map[string]any{"endpoint": "http://192.0.2.1:4566", "podEndpoint": "http://localstack.tools:4566"}
	d, err = up(t, s)
	require.NoError(t, err)
	assert.Equal(t, []string{"http://192.0.2.1:4566"}, d.awaited)
	assert.Equal(t, "http://localstack.tools:4566", d.values(t, "prima-api")["config"].(map[string]any)["AWS_ENDPOINT_URL"])
	for _, r := range d.resources {
		assert.False(t, r.TypeToken == "kubernetes:helm.sh/v4:Chart" && r.Name == "localstack")
	}
}

// Ensure what exists is adopted and survives a destroy, and is not made to look like our own.
func TestAdopt(t *testing.T) {
	t.Parallel()
	s := local()
	s["storage"] = map[string]any{"adopt": map[string]any{"table": true, "bucket": true}}
	d, err := up(t, s)
	require.NoError(t, err)
	for token, id := range map[string]string{tableToken: "users", bucketToken: "prima-tech-challenge"} {
		rpc := d.find(t, token, "").RegisterRPC
		assert.Equal(t, id, rpc.GetImportId())
		assert.True(t, rpc.GetRetainOnDelete())
		assert.Contains(t, rpc.GetIgnoreChanges(), "tags")
	}
	for _, r := range d.resources {
		assert.NotContains(t, r.TypeToken, "BucketPublicAccessBlock")
	}
}

// The types of what is registered for the roles.
const (
	roleType        = "aws:iam/role:Role"
	rolePolicyType  = "aws:iam/rolePolicy:RolePolicy"
	associationType = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
)

// anyContext takes the place of requireContext.
func anyContext(string) error { return nil }

// Ensure a context that no kubeconfig has is refused before anything is registered, with the names of those that there are.
func TestContext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(file, []byte("contexts:\n- name: prima\n- name: other\n"), 0o600))
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "nothing")+string(filepath.ListSeparator)+file)
	require.NoError(t, requireContext("prima"))
	err := requireContext("prina")
	require.ErrorContains(t, err, `kubernetes.context is "prina"`)
	require.ErrorContains(t, err, `["prima" "other"]`)
	require.NoError(t, os.WriteFile(file, []byte("contexts: {"), 0o600))
	require.ErrorContains(t, requireContext("prima"), file)
}

// Ensure no name that a user may change makes Pulumi take the cluster for another one, whose objects it would replace.
func TestClusterIdentifier(t *testing.T) {
	t.Parallel()
	var identifiers []any
	for _, context := range []string{"prima", "renamed"} {
		s := local()
		s["kubernetes"] = map[string]any{"context": context}
		d, err := up(t, s)
		require.NoError(t, err)
		provider := d.find(t, "pulumi:providers:kubernetes", "").Inputs.Mappable()
		assert.Equal(t, context, provider["context"])
		assert.Equal(t, "true", fmt.Sprint(provider["enableConfigMapMutable"]))
		assert.Equal(t, "true", fmt.Sprint(provider["enableSecretMutable"]))
		identifiers = append(identifiers, provider["clusterIdentifier"])
	}
	assert.Equal(t, []any{"prima-api/local", "prima-api/local"}, identifiers)
	eks := Stack{AWS: AWSSettings{Account: "123456789012", Cluster: "production"}}
	assert.Equal(t, "123456789012/production", eks.clusterIdentifier("prima-api", "production"))
}

// Ensure links and the output lead to the port at which clients reach the controller.
func TestPublicURL(t *testing.T) {
	t.Parallel()
	for want, in := range map[string]IngressSettings{
		"":                                {},
		"http://prima-api.localhost:8080": {Host: "prima-api.localhost", Port: 8080},
		"http://prima-api.localhost":      {Host: "prima-api.localhost"},
		"https://users.example.com":       {Host: "users.example.com", TLSSecret: "tls"},
		"https://users.example.com:8443":  {Host: "users.example.com", TLSSecret: "tls", Port: 8443},
	} {
		assert.Equal(t, want, APISettings{Ingress: in}.publicURL())
	}
}

// Ensure each setting that is wrong is refused with its key and what is allowed, all of them at once, before anything is registered.
func TestRefusedSettings(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]settings{
		`prima-api:kubernetes.context = "" must be`:                         {"kubernetes": map[string]any{"context": ""}},
		`prima-api:kubernetes.host = "a b" must be a host name`:             {"kubernetes": map[string]any{"host": "a b"}},
		`prima-api:kubernetes.contxt is no setting: there are context, ho`:  {"kubernetes": map[string]any{"contxt": "x"}},
		`prima-api:api.nodeport is no setting: there are access, config, `:  {"api": map[string]any{"nodeport": 30000}},
		`prima-api:api.ingress.Host is no setting`:                          {"api": map[string]any{"ingress": map[string]any{"Host": "a"}}},
		`prima-api:localstack: deploy must be true or false, and is a str`:  {"localstack": map[string]any{"deploy": "yes"}},
		`prima-api:api: tracing.share must be a number, and is a string`:    {"api": map[string]any{"tracing": map[string]any{"share": "1"}}},
		`prima-api:api: nodePort must be a whole number, and is a string`:   {"api": map[string]any{"nodePort": "30000"}},
		`prima-api:api: PAGES must be a text`:                               {"api": map[string]any{"config": map[string]any{"PAGES": []any{}}}},
		`prima-api:api.config.MAX_CONNECTIONS: MAX_CONNECTIONS="1" must be`: {"api": map[string]any{"config": map[string]any{"MAX_CONNECTIONS": 1}}},
		`prima-api:api.ingress.host = "prima..local" must be a host name`:   {"api": map[string]any{"ingress": map[string]any{"host": "prima..local"}}},
		`prima-api:api.letIn.namespaces = "a.b" must be names of namespac`:  {"api": map[string]any{"letIn": map[string]any{"namespaces": []any{"a.b"}}}},
		`prima-api:api.image = "prima-api:1" must be the name of an image`:  {"api": map[string]any{"image": "prima-api:1"}},
		`prima-api:api.tracing.endpoint = "http://c:99999" must be an htt`:  {"api": map[string]any{"tracing": map[string]any{"endpoint": "http://c:99999"}}},
		`prima-api:api.tracing.endpoint = "http://c/v1/traces" must be wi`:  {"api": map[string]any{"tracing": map[string]any{"endpoint": "http://c/v1/traces"}}},
		`prima-api:localstack.image = "Local Stack" must be`:                {"localstack": map[string]any{"image": "Local Stack"}},
		`prima-api:localstack.endpoint = "localhost:4566" must be an http`:  {"localstack": map[string]any{"endpoint": "localhost:4566", "podEndpoint": "http://a"}},
		`prima-api:localstack.podEndpoint = "" must be set together`:        {"localstack": map[string]any{"endpoint": "http://localhost:4566"}},
		`prima-api:storage.billing = "free" must be provisioned or`:         {"storage": map[string]any{"billing": "free"}},
		`prima-api:storage.table: DYNAMODB_TABLE="x" must be 3 to 255`:      {"storage": map[string]any{"table": "x"}},
		`prima-api:storage.bucket: S3_BUCKET="No_Bucket" must be 3 to 63`:   {"storage": map[string]any{"bucket": "No_Bucket"}},
		`prima-api:storage.region: AWS_REGION="Mars" must be`:               {"storage": map[string]any{"region": "Mars"}},
		`prima-api:api.image = "prima-api:" must be`:                        {"api": map[string]any{"image": "prima-api:"}},
		`prima-api:api.tag = "a b" must be`:                                 {"api": map[string]any{"tag": "a b"}},
		`prima-api:api.nodePort = "80" must be 0 or from 30000 to 32767`:    {"api": map[string]any{"nodePort": 80}},
		`prima-api:api.nodePort = "31566" must be another`:                  {"api": map[string]any{"nodePort": 31566}},
		`prima-api:api.ingress.host = "a/b" must be`:                        {"api": map[string]any{"ingress": map[string]any{"host": "a/b"}}},
		`prima-api:api.config.LOG_LEVEL: LOG_LEVEL="loud" must be debug`:    {"api": map[string]any{"config": map[string]any{"LOG_LEVEL": "loud"}}},
		`prima-api:api.config.TIMER_SLACK was removed: it has no effect`:    {"api": map[string]any{"config": map[string]any{"TIMER_SLACK": "1ms"}}},
		`prima-api:api.config.ACCESS_TOKENS is a secret`:                    {"api": map[string]any{"config": map[string]any{"ACCESS_TOKENS": ""}}},
		`prima-api:api.monitoring.namespace = "a b" must be`:                {"api": map[string]any{"monitoring": map[string]any{"enabled": true, "namespace": "a b"}}},
		`prima-api:api.monitoring.runbookURL = "wiki" must be an http`:      {"api": map[string]any{"monitoring": map[string]any{"enabled": true, "runbookURL": "wiki"}}},
		`prima-api:api.monitoring.enabled = "false" must be true`:           {"api": map[string]any{"monitoring": map[string]any{"kubeStateMetrics": true}}},
		`prima-api:api.tracing.endpoint = "collector:4318" must be an`:      {"api": map[string]any{"tracing": map[string]any{"endpoint": "collector:4318"}}},
		`prima-api:api.tracing.endpoint = "" must be the URL of a`:          {"api": map[string]any{"tracing": map[string]any{"share": 0.5}}},
		`prima-api:api.tracing.endpoint = "" must be the URL of`:            {"api": map[string]any{"tracing": map[string]any{"headersSecret": "traces"}}},
		`prima-api:api.tracing.endpoint = "http://a:b" must be an`:          {"api": map[string]any{"tracing": map[string]any{"endpoint": "http://a:b"}}},
		`prima-api:storage.table = "" must be a name`:                       {"storage": map[string]any{"table": ""}},
		`prima-api:api.tracing.share = "5" must be from 0 to 1`:             {"api": map[string]any{"tracing": map[string]any{"endpoint": "http://c", "share": 5}}},
		`prima-api:api.tracing.headersSecret = "a b" must be the name`:      {"api": map[string]any{"tracing": map[string]any{"endpoint": "http://c", "headersSecret": "a b"}}},
		`prima-api:api.access = "none" must be token or open`:               {"api": map[string]any{"access": "none"}},
		`prima-api:api.config.S3_BUCKET is for nothing: storage.bucket`:     {"api": map[string]any{"config": map[string]any{"S3_BUCKET": "other"}}},
		`prima-api:api.config.AWS_ENDPOINT_URL is for nothing: localsta`:    {"api": map[string]any{"config": map[string]any{"AWS_ENDPOINT_URL": "http://a"}}},
		`prima-api:api.config.LOG_LEVL = "info" must be a setting`:          {"api": map[string]any{"config": map[string]any{"LOG_LEVL": "info"}}},
	} {
		d, err := up(t, s)
		require.ErrorContains(t, err, want)
		assert.Empty(t, d.resources, want)
	}
	_, err := up(t, settings{"storage": map[string]any{"billing": "free", "table": "x"}, "api": map[string]any{"nodePort": 1}})
	for _, want := range []string{"wrong settings in Pulumi.local.yaml", "storage.billing", "storage.table", "api.nodePort"} {
		assert.ErrorContains(t, err, want)
	}
}

// Ensure a key of the project that is no setting is found, in what Pulumi hands to a program, and that those of others are not asked after.
func TestUnknownKeys(t *testing.T) {
	t.Parallel()
	s := defaultStack("local")
	faults := s.unknownKeys("prima-api", `{"prima-api:storge":"{}","prima-api:storage":"{}","prima-api:tokens":"{}","aws:region":"x"}`)
	require.Len(t, faults, 1)
	assert.ErrorContains(t, faults[0], "storge is no setting: there are api, aws, kubernetes, localstack, storage, environment, localstackAuthToken, tokens")
}

// Ensure such a key stops the program, which reads it from its environment.
func TestUnknownKeyIsRefused(t *testing.T) {
	t.Setenv(pulumi.EnvConfig, `{"prima-api:storge":"{}"}`)
	d, err := up(t, local())
	require.ErrorContains(t, err, "prima-api:storge is no setting")
	assert.Empty(t, d.resources)
}

// Ensure each rule refuses what nothing may be.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		if r.numbers != nil {
			assert.False(t, r.allows(r.numbers.least-1), r.key)
			assert.False(t, r.allows(r.numbers.most+1), r.key)
			continue
		}
		assert.False(t, r.allows("\n"), r.key)
		assert.Equal(t, r.optional, r.allows(""), r.key)
	}
}

// Ensure a setting of the API may be written without quotes, as YAML and pulumi config set --path have it.
func TestTexts(t *testing.T) {
	t.Parallel()
	s := local()
	s["api"].(map[string]any)["config"] = map[string]any{"PAGES": false, "MAX_CONNECTIONS": 100, "LOG_LEVEL": "debug"}
	d, err := up(t, s)
	require.NoError(t, err)
	text := renderAPI(t, d.values(t, "prima-api"))
	for _, present := range []string{`PAGES: "false"`, `MAX_CONNECTIONS: "100"`, `LOG_LEVEL: "debug"`} {
		assert.Contains(t, text, present+"\n")
	}
}

// Ensure LocalStack's health is understood, whatever answers.
func TestAwaitLocalStack(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"services":{"dynamodb":"running","s3":"available"}}`:  "",
		`{"services":{"dynamodb":"starting","s3":"available"}}`: `dynamodb is "starting"`,
		`{"services":{"dynamodb":"running"}}`:                   `s3 is ""`,
		`<html>`:                                                "not LocalStack",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		err := askHealth(t.Context(), server.URL)
		server.Close()
		if want == "" {
			assert.NoError(t, err)
		} else {
			assert.ErrorContains(t, err, want)
		}
	}
	err := awaitLocalStack("http://127.0.0.1:1")
	assert.ErrorContains(t, err, "connection refused")
	assert.ErrorContains(t, err, "task up")
}
