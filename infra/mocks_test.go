package main

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const (
	awsProvider     = "pulumi:providers:aws"
	chartType       = "kubernetes:helm.sh/v4:Chart"
	tableType       = "aws:dynamodb/table:Table"
	bucketType      = "aws:s3/bucketV2:BucketV2"
	roleType        = "aws:iam/role:Role"
	rolePolicyType  = "aws:iam/rolePolicy:RolePolicy"
	associationType = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
)

// token is an access token of the tests.
const token = "prima_abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq"

// settings of a stack by their keys.
type settings map[string]any

// fileOf returns the settings of a file Pulumi.<stack>.yaml, with a tag of the API's image.
func fileOf(t *testing.T, name string) settings {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	var file struct {
		Config map[string]any `json:"config"`
	}
	require.NoError(t, yaml.Unmarshal(data, &file))
	s := settings{}
	for key, value := range file.Config {
		s[strings.TrimPrefix(key, "prima-api:")] = value
	}
	return s.set("api.tag", "abc")
}

func local(t *testing.T) settings {
	t.Helper()
	return fileOf(t, "../Pulumi.local.yaml")
}

// onAWS is the sample of a stack on AWS, with a token.
func onAWS(t *testing.T) settings {
	t.Helper()
	return fileOf(t, "../Pulumi.aws.yaml").set("tokens.ci", entry("read+write", token))
}

// other is what a stack on AWS may have instead: IRSA, a Gateway, and adopted resources.
func other(t *testing.T) settings {
	t.Helper()
	return fileOf(t, "testdata/irsa-gateway-adopted.yaml").set("tokens.ci", entry("read+write", token))
}

// entry is one of the setting tokens.
func entry(scope, token string) map[string]any {
	return map[string]any{"scope": scope, "token": token}
}

// set sets the setting at a path of keys, and removes it if the value is nil.
func (s settings) set(path string, value any) settings {
	keys := strings.Split(path, ".")
	group := map[string]any(s)
	for _, key := range keys[:len(keys)-1] {
		if _, ok := group[key].(map[string]any); !ok {
			group[key] = map[string]any{}
		}
		group = group[key].(map[string]any)
	}
	group[keys[len(keys)-1]] = value
	if value == nil {
		delete(group, keys[len(keys)-1])
	}
	return s
}

// A deployment is what the program did.
type deployment struct {
	mu        sync.Mutex
	resources []pulumi.MockResourceArgs
	awaited   []string // endpoints of emulators
	loaded    []string // images, as profile/tag

	preview   bool
	plain     bool  // the secrets of the stack are not encrypted
	emulators error // what waiting for an emulator returns
}

// NewResource implements [pulumi.MockResourceMonitor]: a resource has its inputs as outputs,
// unknown in a preview.
func (d *deployment) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resources = append(d.resources, args)
	outputs := args.Inputs.Copy()
	switch args.TypeToken {
	case roleType:
		outputs["arn"] = resource.NewStringProperty("arn:aws:iam::123456789012:role/" + args.Inputs["name"].StringValue())
	case chartType:
		outputs["resources"] = resource.NewArrayProperty(nil)
	}
	if !d.preview {
		return args.Name + "-id", outputs, nil
	}
	for name := range outputs {
		outputs[name] = resource.MakeComputed(resource.NewStringProperty(""))
	}
	return "", outputs, nil
}

// Call implements [pulumi.MockResourceMonitor].
func (d *deployment) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return resource.PropertyMap{}, nil
}

// up runs the program on a stack called local.
func up(t *testing.T, s settings) (*deployment, error) {
	t.Helper()
	d := new(deployment)
	return d, d.run(t, s)
}

// mustUp is up for settings that are right.
func mustUp(t *testing.T, s settings) *deployment {
	t.Helper()
	d, err := up(t, s)
	require.NoError(t, err)
	return d
}

func (d *deployment) run(t *testing.T, s settings) error {
	t.Helper()
	config := map[string]string{}
	for key, value := range s {
		text, ok := value.(string)
		if !ok {
			data, err := json.Marshal(value)
			require.NoError(t, err)
			text = string(data)
		}
		if !strings.Contains(key, ":") {
			key = "prima-api:" + key
		}
		config[key] = text
	}
	secrets := []string{"prima-api:tokens", "prima-api:localstackAuthToken"}
	if d.plain {
		secrets = nil
	}
	m := machine{
		requireCluster: func(string) error { return nil },
		awaitEmulator: func(_ context.Context, endpoint string) error {
			d.awaited = append(d.awaited, endpoint)
			return d.emulators
		},
		loadImage: func(_ context.Context, _, profile, tag string, _ func(string)) error {
			d.loaded = append(d.loaded, profile+"/"+tag)
			return nil
		},
	}
	return pulumi.RunErr(func(ctx *pulumi.Context) error { return deploy(ctx, config, m) },
		pulumi.WithMocks("prima-api", "local", d),
		func(info *pulumi.RunInfo) {
			info.Config, info.ConfigSecretKeys, info.DryRun, info.RootDirectory = config, secrets, d.preview, ".."
		})
}

// ofType returns the resources of a type.
func (d *deployment) ofType(token string) (found []pulumi.MockResourceArgs) {
	for _, r := range d.resources {
		if r.TypeToken == token {
			found = append(found, r)
		}
	}
	return found
}

// find returns the resource of a type and a name.
func (d *deployment) find(t *testing.T, token, name string) pulumi.MockResourceArgs {
	t.Helper()
	all := d.ofType(token)
	i := slices.IndexFunc(all, func(r pulumi.MockResourceArgs) bool { return r.Name == name })
	require.GreaterOrEqual(t, i, 0, "%s %s is not among %v", token, name, d.resources)
	return all[i]
}

// inputs returns the inputs of a resource as plain values, secrets too.
func inputs(r pulumi.MockResourceArgs) map[string]any { return r.Inputs.MapRepl(nil, plain) }

func plain(v resource.PropertyValue) (any, bool) {
	switch {
	case v.IsSecret():
		return v.SecretValue().Element.MapRepl(nil, plain), true
	case v.IsOutput():
		return v.OutputValue().Element.MapRepl(nil, plain), true
	}
	return nil, false
}

// values returns the values of a chart.
func (d *deployment) values(t *testing.T, chart string) map[string]any {
	t.Helper()
	return inputs(d.find(t, chartType, chart))["values"].(map[string]any)
}

// config returns the settings that the chart of the API is given.
func (d *deployment) config(t *testing.T) map[string]any {
	t.Helper()
	return d.values(t, "prima-api")["config"].(map[string]any)
}
