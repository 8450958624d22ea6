package main

import (
	"context"
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
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
	"prima.internal/app/contract"
	"prima.internal/infra/charts"
	"prima.internal/infra/image"
)

// A deployment is what the program registered.
type deployment struct {
	mu        sync.Mutex
	resources []pulumi.MockResourceArgs
	awaited   []string
	loaded    []string // images, as profile/tag
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
		"kubernetes":  map[string]any{"ingressPort": 8080},
		"localstack":  map[string]any{"deploy": true},
		"storage":     map[string]any{"billing": "provisioned"},
		"api": map[string]any{"tag": "abc", "access": "open", "values": map[string]any{
			"service": map[string]any{"type": "NodePort", "nodePort": 30000},
			"ingress": map[string]any{"enabled": true, "host": "prima-api.localhost", "aliases": []any{"prima-api.local"}},
		}},
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
		if !strings.Contains(key, ":") {
			key = "prima-api:" + key
		}
		values[key] = text
		if (key == "prima-api:localstackAuthToken" || key == "prima-api:tokens") && !isPlain {
			secrets = append(secrets, key)
		}
	}
	await := func(endpoint string) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.awaited = append(d.awaited, endpoint)
		return nil
	}
	load := func(_ context.Context, _, profile, tag string, _ func(string)) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.loaded = append(d.loaded, profile+"/"+tag)
		return nil
	}
	err := pulumi.RunErr(func(ctx *pulumi.Context) error { return deploy(ctx, values, machine{anyContext, await, load}) },
		pulumi.WithMocks("prima-api", "local", d),
		func(info *pulumi.RunInfo) {
			info.Config, info.ConfigSecretKeys, info.DryRun, info.RootDirectory = values, secrets, d.preview, ".."
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

// Ensure every resource of the contract is made with its name, told to the API by its variable, and exported,
// and that a stack may name it and adopt it.
func TestResources(t *testing.T) {
	t.Parallel()
	tokens := map[contract.Kind]string{contract.TableKind: tableToken, contract.BucketKind: bucketToken}
	storage, adopt := map[string]any{}, map[string]any{}
	s := local()
	s["storage"] = storage
	resources := new(config.Config).Resources()
	for _, r := range resources {
		storage[storageKey(r)], adopt[storageKey(r)] = "name-of-"+strings.ToLower(r.ID), true
	}
	for _, adopted := range []bool{false, true} {
		if adopted {
			storage["adopt"] = adopt
		}
		d, err := up(t, s)
		require.NoError(t, err)
		for _, r := range resources {
			name := "name-of-" + strings.ToLower(r.ID)
			made, inputs := d.find(t, tokens[r.Kind], r.ID), d.inputs(t, tokens[r.Kind], r.ID)
			assert.Contains(t, []any{inputs["name"], inputs["bucket"]}, name)
			assert.Equal(t, name, d.values(t, "prima-api")["config"].(map[string]any)[r.Variable])
			// What was not made here is not taken away by a destroy, and not changed to look as if it had been.
			assert.Equal(t, adopted, made.RegisterRPC.GetImportId() == name)
			assert.Equal(t, adopted, made.RegisterRPC.GetRetainOnDelete())
			assert.Equal(t, adopted, slices.Contains(made.RegisterRPC.GetIgnoreChanges(), "tags"))
		}
		blocked := slices.ContainsFunc(d.resources, func(r pulumi.MockResourceArgs) bool {
			return strings.Contains(r.TypeToken, "BucketPublicAccessBlock")
		})
		assert.NotEqual(t, adopted, blocked)
	}
	assert.Len(t, tokens, len(contract.Kinds()), "infra must make each kind: see newResource in storage.go")
}

// Ensure the table has the key of the contract, its name and its capacity.
func TestTable(t *testing.T) {
	t.Parallel()
	d, err := up(t, local())
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"name": "users", "hashKey": config.KeyAttribute,
		"attributes":  []any{map[string]any{"name": config.KeyAttribute, "type": contract.KeyType}},
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

// Ensure the image of this checkout is built for the local stack alone, under the tag that is deployed, and never by a preview.
func TestImage(t *testing.T) {
	t.Parallel()
	tag, err := image.Tag("..")
	require.NoError(t, err)
	s := local()
	delete(s["api"].(map[string]any), "tag")
	d, err := up(t, s)
	require.NoError(t, err)
	assert.Equal(t, []string{"prima/" + tag}, d.loaded)
	assert.Equal(t, tag, d.values(t, "prima-api")["image"].(map[string]any)["tag"])
	d, err = preview(t, s)
	require.NoError(t, err)
	assert.Empty(t, d.loaded)
	for _, api := range []map[string]any{{"tag": "abc"}, {"digest": "sha256:" + strings.Repeat("a", 64)}} {
		api["access"] = "open"
		s["api"] = api
		d, err = up(t, s)
		require.NoError(t, err)
		assert.Empty(t, d.loaded, api)
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
	want.AllowedHosts = []string{"prima-api", "prima-api.local", "prima-api.localhost", "prima-api.prima", "prima-api.prima.svc", "prima-api.prima.svc.cluster.local"}
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
	const service = "prima-api.prima,prima-api.prima.svc,prima-api.prima.svc.cluster.local"
	assert.Equal(t, "prima-api,prima-api.local,"+service, hosts(func(_ settings, api map[string]any) { delete(api["values"].(map[string]any), "ingress") }))
	assert.Equal(t, "links.test,node.test,prima-api,"+service+",users.test", hosts(func(s settings, api map[string]any) {
		api["values"] = map[string]any{"ingress": map[string]any{"enabled": true, "host": "users.test"}}
		api["config"] = map[string]any{"PUBLIC_BASE_URL": "http://links.test:8080/v1"}
		s["kubernetes"] = map[string]any{"host": "node.test"}
	}))
	assert.Equal(t, "prima-api,prima-api.local,prima-api.localhost,"+service, hosts(func(s settings, api map[string]any) {
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

// Ensure api.values lies over the chart's defaults, key by key, and reaches what the chart renders.
func TestValuesOfTheChart(t *testing.T) {
	t.Parallel()
	s := local()
	values := s["api"].(map[string]any)["values"].(map[string]any)
	values["monitoring"] = map[string]any{
		"namespace":      "observability",
		"serviceMonitor": map[string]any{"enabled": true, "labels": map[string]any{"release": "prometheus"}},
	}
	values["tracing"] = map[string]any{"endpoint": "http://collector.observability.svc:4318", "share": 0.05}
	values["ingress"].(map[string]any)["annotations"] = map[string]any{"example.com/a": "b"}
	values["runtime"] = map[string]any{"GOGC": "75"}
	d, err := up(t, s)
	require.NoError(t, err)
	text := renderAPI(t, d.values(t, "prima-api"))
	for _, present := range []string{
		"kind: ServiceMonitor\n", "release: prometheus\n", `kubernetes.io/metadata.name: "observability"` + "\n",
		`OTEL_TRACES_SAMPLER_ARG: "0.05"`, `OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.observability.svc:4318"`,
		"example.com/a: b\n", "pulumi.com/skipAwait", "GOGC", "AWS_EC2_METADATA_DISABLED",
	} {
		assert.Contains(t, text, present)
	}
	d, err = up(t, local())
	require.NoError(t, err)
	text = renderAPI(t, d.values(t, "prima-api"))
	assert.NotContains(t, text, "kind: ServiceMonitor")
	assert.NotContains(t, text, "OTEL_")
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

// Ensure the storage comes after LocalStack, and goes with it.
func TestStorageAfterLocalStack(t *testing.T) {
	t.Parallel()
	d, err := up(t, local())
	require.NoError(t, err)
	depends := d.find(t, awsProvider, "storage").RegisterRPC.GetDependencies()
	assert.True(t, slices.ContainsFunc(depends, func(urn string) bool { return strings.HasSuffix(urn, "::localstack") }), "it depends on %v", depends)
	for _, r := range d.resources {
		if strings.HasPrefix(r.TypeToken, "aws:") {
			assert.True(t, strings.HasSuffix(r.RegisterRPC.GetDeletedWith(), "Chart::localstack"), "a destroy asks the emulator for %s", r.Name)
		}
	}
}

// Ensure a backend of another project is refused, which would make a second state of the same cluster.
func TestOtherBackend(t *testing.T) {
	t.Setenv("PULUMI_BACKEND_URL", "s3://states")
	d, err := up(t, local())
	require.ErrorContains(t, err, `PULUMI_BACKEND_URL is "s3://states"`)
	assert.Empty(t, d.resources)
	_, err = up(t, onAWS(t, nil))
	require.NoError(t, err)
}

// Ensure a LocalStack that does not answer fails the update before anything is asked of it.
func TestLocalStackDoesNotAnswer(t *testing.T) {
	t.Parallel()
	d := new(deployment)
	config := map[string]string{"prima-api:localstack": `{"deploy":true}`, "prima-api:api": `{"tag":"abc","access":"open"}`}
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		m := machine{requireCluster: anyContext, awaitEmulator: func(string) error { return errors.New("nobody there") }}
		return deploy(ctx, config, m)
	}, pulumi.WithMocks("prima-api", "local", d), func(info *pulumi.RunInfo) { info.Config = config })
	require.ErrorContains(t, err, "nobody there")
	for _, r := range d.resources {
		assert.NotContains(t, []string{tableToken, bucketToken, awsProvider}, r.TypeToken)
	}
}

// Ensure another image, an existing LocalStack and a token are used as the settings say, and that the token stays a secret.
func TestLocalStackSettings(t *testing.T) {
	t.Parallel()
	s := local()
	image := "registry.example.com:5000/floci/floci:1.7.0@sha256:" + strings.Repeat("a", 64)
	s["localstack"] = map[string]any{"deploy": true, "image": image}
	s["localstackAuthToken"] = "ls-token"
	d, err := up(t, s)
	require.NoError(t, err)
	values := d.values(t, "localstack")
	assert.Equal(t, image, values["image"])
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

// The types of what is registered for the roles.
const (
	roleType        = "aws:iam/role:Role"
	rolePolicyType  = "aws:iam/rolePolicy:RolePolicy"
	associationType = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
)

// anyContext takes the place of requireCluster.
func anyContext(string) error { return nil }

// Ensure a context that is missing and namespaces that are being deleted are refused. A script takes the place of kubectl.
func TestRequireCluster(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("PATH", folder+string(filepath.ListSeparator)+os.Getenv("PATH"))
	kubectl := func(script string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, "kubectl"), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
	kubectl(`[ "$2" = prima ]`)
	require.NoError(t, requireCluster("prima"))
	kubectl(`echo "error: context \"$2\" does not exist" >&2; exit 1`)
	require.ErrorContains(t, requireCluster("prina"), `context "prina" does not exist`)
	kubectl(`printf 'prima '`)
	require.ErrorContains(t, requireCluster("prima"), "namespaces are being deleted: prima")
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
	assert.Equal(t, "123456789012/production", eks.clusterIdentifier("prima-api"))
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

// Ensure each setting that is wrong is refused with its key and what is allowed, all of them at once, before anything is registered.
func TestRefusedSettings(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	values := func(values m) settings { return settings{"api": m{"values": values}} }
	for want, s := range map[string]settings{
		`kubernetes.context is "", must be the name of a context`:            {"kubernetes": m{"context": ""}},
		`kubernetes.host is "a b", must be a host name`:                      {"kubernetes": m{"host": "a b"}},
		`kubernetes.host is "prima..local", must be a host name`:             {"kubernetes": m{"host": "prima..local"}},
		`kubernetes.contxt is no setting: there are context, host, ingress`:  {"kubernetes": m{"contxt": "x"}},
		`kubernetes.Host is no setting`:                                      {"kubernetes": m{"Host": "a"}},
		`kubernetes.ingressPort is 70000, must be at least 0 and at most 6`:  {"kubernetes": m{"ingressPort": 70000}},
		`api.imag is no setting: there are access, config, digest, image, `:  {"api": m{"imag": "a"}},
		`localstack.deploy is "yes", must be true or false`:                  {"localstack": m{"deploy": "yes"}},
		`localstack is "yes", must be an object`:                             {"localstack": "yes"},
		`localstack.image is "Local Stack", must be the name of an image`:    {"localstack": m{"image": "Local Stack"}},
		`localstack.endpoint is "localhost:4566", must be an http or https`:  {"localstack": m{"endpoint": "localhost:4566", "podEndpoint": "http://a"}},
		`localstack.endpoint is "http://a:b", must be an http or https`:      {"localstack": m{"endpoint": "http://a:b", "podEndpoint": "http://a"}},
		`localstack.podEndpoint is "", must be set together with`:            {"localstack": m{"endpoint": "http://localhost:4566"}},
		`storage.billing is "free", must be one of "provisioned" "onDemand"`: {"storage": m{"billing": "free"}},
		`storage.noncurrentDays is 1.5, must be a whole number`:              {"storage": m{"noncurrentDays": 1.5}},
		`storage.table: DYNAMODB_TABLE="x" must be 3 to 255`:                 {"storage": m{"table": "x"}},
		`storage.bucket: S3_BUCKET="No_Bucket" must be 3 to 63`:              {"storage": m{"bucket": "No_Bucket"}},
		`storage.region: AWS_REGION="Mars" must be`:                          {"storage": m{"region": "Mars"}},
		`storage.table is "", must be a name`:                                {"storage": m{"table": ""}},
		`api.image is "prima-api:1", must be the name of an image without`:   {"api": m{"image": "prima-api:1"}},
		`api.image is "prima-api:", must be the name of an image`:            {"api": m{"image": "prima-api:"}},
		`api.tag is "a b", must be the tag of an image`:                      {"api": m{"tag": "a b"}},
		`api.tag is "", must be the tag of the image, unless api.image is `:  {"api": m{"image": "example.com/prima-api"}},
		`api.access is "none", must be one of "token" "open"`:                {"api": m{"access": "none"}},
		`api.config.PAGES must be a text`:                                    {"api": m{"config": m{"PAGES": []any{}}}},
		`api.config.MAX_CONNECTIONS: MAX_CONNECTIONS="1" must be`:            {"api": m{"config": m{"MAX_CONNECTIONS": 1}}},
		`api.config.LOG_LEVEL: LOG_LEVEL="loud" must be debug`:               {"api": m{"config": m{"LOG_LEVEL": "loud"}}},
		`api.config.TIMER_SLACK was removed: it has no effect`:               {"api": m{"config": m{"TIMER_SLACK": "1ms"}}},
		`api.config.ACCESS_TOKENS is a secret`:                               {"api": m{"config": m{"ACCESS_TOKENS": ""}}},
		`api.config.S3_BUCKET is set by storage.bucket`:                      {"api": m{"config": m{"S3_BUCKET": "other"}}},
		`api.config.AWS_ENDPOINT_URL is set by localstack.podEndpoint`:       {"api": m{"config": m{"AWS_ENDPOINT_URL": "http://a"}}},
		`api.config.LOG_LEVL is "info", must be a setting of the API`:        {"api": m{"config": m{"LOG_LEVL": "info"}}},
		`api.values.config is "map[PAGES:true]", must be set by api.config`:  values(m{"config": m{"PAGES": "true"}}),
		`api.values.servce is no setting: there are access, affinity, auto`:  values(m{"servce": m{}}),
		`api.values.service.nodePort is 80, must be at least 30000 and at `:  values(m{"service": m{"type": "NodePort", "nodePort": 80}}),
		`api.values.service.nodePort is "30000", must be a whole number`:     values(m{"service": m{"type": "NodePort", "nodePort": "30000"}}),
		`api.values.service.type is "Node", must be one of "ClusterIP" "No`:  values(m{"service": m{"type": "Node"}}),
		`api.values.ingress.host is "a/b", must be like`:                     values(m{"ingress": m{"host": "a/b"}}),
		`api.values.tracing.share is 5, must be at least 0 and at most 1`:    values(m{"tracing": m{"share": 5}}),
		`api.values.tracing.endpoint is "http://c/v1/traces", must be with`:  values(m{"tracing": m{"endpoint": "http://c/v1/traces"}}),
		`api.values.tracing is null, must be an object`:                      values(m{"tracing": nil}),
		`api.nodePort is now api.values.service.nodePort`:                    {"api": m{"nodePort": 30000}},
		`api.ingress is now api.values.ingress`:                              {"api": m{"ingress": m{"host": "a"}}},
	} {
		d, err := up(t, s)
		require.ErrorContains(t, err, "prima-api:"+want)
		assert.Empty(t, d.resources, want)
	}
	s := local()
	s["api"].(m)["values"].(m)["service"].(m)["nodePort"] = localStackPort
	_, err := up(t, s)
	require.ErrorContains(t, err, `api.values.service.nodePort is "31566", must be another`)
	_, err = up(t, settings{"storage": m{"billing": "free", "table": "x"}, "api": m{"nodePort": 1}})
	for _, want := range []string{"wrong settings in Pulumi.local.yaml", "storage.billing", "storage.table", "api.nodePort"} {
		assert.ErrorContains(t, err, want)
	}
}

// Ensure a key of the project that is no setting stops the program, and those of others do not.
func TestUnknownKeyIsRefused(t *testing.T) {
	t.Parallel()
	s := local()
	s["storge"], s["aws:region"] = "{}", "x"
	d, err := up(t, s)
	require.ErrorContains(t, err, "wrong settings in Pulumi.local.yaml:\n  prima-api:storge is no setting: "+
		"there are api, aws, environment, kubernetes, localstack, storage, tokens, localstackAuthToken")
	assert.Empty(t, d.resources)
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

// Ensure an emulator is ready once DynamoDB and S3 respond, and that the error says whether the port or a service is missing.
func TestAwaitEmulator(t *testing.T) {
	t.Parallel()
	serve := func(dynamodb, s3 int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Amz-Target") != "" {
				w.WriteHeader(dynamodb)
				_, _ = w.Write([]byte(`{"TableNames":[]}`))
				return
			}
			w.WriteHeader(s3)
			_, _ = w.Write([]byte(`<ListAllMyBucketsResult/>`))
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	const wait = time.Second
	require.NoError(t, awaitEmulator(serve(200, 200), wait))
	assert.ErrorContains(t, awaitEmulator(serve(501, 200), wait), "DynamoDB does not work at http://127.0.0.1:")
	assert.ErrorContains(t, awaitEmulator(serve(200, 404), wait), "S3 does not work at http://127.0.0.1:")
	err := awaitEmulator("http://127.0.0.1:1", wait)
	assert.ErrorContains(t, err, "nothing listens at http://127.0.0.1:1")
	assert.ErrorContains(t, err, "minikube delete -p prima")
}
