package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"sigs.k8s.io/yaml"

	"prima.internal/app/config"
	"prima.internal/app/contract"
	"prima.internal/infra/charts"
)

// onAWS is Pulumi.aws.yaml, the sample, with a token, a tag and what change makes of it.
func onAWS(t *testing.T, change func(section func(string) map[string]any)) settings {
	t.Helper()
	data, err := os.ReadFile("../Pulumi.aws.yaml")
	require.NoError(t, err)
	var file struct {
		Config map[string]any `json:"config"`
	}
	require.NoError(t, yaml.UnmarshalStrict(data, &file))
	s := settings{"tokens": map[string]any{"ci": entry("read+write", config.NewToken())}}
	for key, value := range file.Config {
		s[strings.TrimPrefix(key, "prima-api:")] = value
	}
	section := func(name string) map[string]any { return s[name].(map[string]any) }
	section("api")["tag"] = "abc"
	if change != nil {
		change(section)
	}
	return s
}

// withIRSA has the roles be taken by the tokens of the cluster.
func withIRSA(section func(string) map[string]any) {
	aws := section("aws")
	aws["identity"], aws["oidcIssuer"] = "irsa", "https://oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE"
	delete(aws, "cluster")
}

// withGateway has the API be reached by a Gateway in place of the Ingress.
func withGateway(section func(string) map[string]any) {
	section("api")["values"] = map[string]any{
		"httpRoute": map[string]any{
			"enabled": true, "hostnames": []any{"api.example.com"},
			"parentRefs": []any{map[string]any{"name": "public", "namespace": "gateways", "sectionName": "https"}},
		},
		"networkPolicy": map[string]any{"ingress": []any{map[string]any{"from": []any{map[string]any{
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "gateways"}},
		}}}}},
	}
}

func policyOf(t *testing.T, text any) contract.Policy {
	t.Helper()
	var p contract.Policy
	require.NoError(t, json.Unmarshal([]byte(text.(string)), &p))
	return p
}

// Ensure the sample stack has what must not be lost kept, twice over, and nothing of LocalStack.
func TestSampleOfAWS(t *testing.T) {
	t.Parallel()
	d, err := up(t, onAWS(t, nil))
	require.NoError(t, err)
	for _, r := range d.resources {
		assert.NotContains(t, strings.ToLower(r.TypeToken+" "+r.Name), "localstack")
	}
	assert.Empty(t, d.awaited)
	provider := d.inputs(t, awsProvider, "storage")
	assert.Equal(t, []any{"123456789012"}, provider["allowedAccountIds"])
	for _, absent := range []string{"endpoints", "accessKey", "secretKey"} {
		assert.NotContains(t, provider, absent)
	}
	assert.Equal(t, "prima-production", d.inputs(t, "pulumi:providers:kubernetes", "cluster")["context"])
	assert.Equal(t, []any{map[string]any{
		"name": "prima", "podSecurity": "restricted", "labels": map[string]any{"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"},
	}}, d.values(t, "namespaces")["namespaces"])

	table := d.inputs(t, tableToken, "users")
	assert.Equal(t, "PAY_PER_REQUEST", table["billingMode"])
	assert.Equal(t, map[string]any{"enabled": true}, table["pointInTimeRecovery"])
	assert.Equal(t, true, table["deletionProtectionEnabled"])
	assert.True(t, d.find(t, tableToken, "users").RegisterRPC.GetProtect())
	assert.True(t, d.find(t, bucketToken, "avatars").RegisterRPC.GetProtect())
	assert.Equal(t, false, d.inputs(t, bucketToken, "avatars")["forceDestroy"])

	assert.Equal(t, map[string]any{"status": "Enabled"}, d.inputs(t, "aws:s3/bucketVersioningV2:BucketVersioningV2", "avatars")["versioningConfiguration"])
	rules := d.inputs(t, "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2", "avatars")["rules"].([]any)
	require.Len(t, rules, 2)
	former := rules[1].(map[string]any)
	assert.Equal(t, map[string]any{"noncurrentDays": 30.0}, former["noncurrentVersionExpiration"])
	assert.Equal(t, map[string]any{"expiredObjectDeleteMarker": true}, former["expiration"])
	assert.Equal(t, map[string]any{"objectOwnership": "BucketOwnerEnforced"}, d.inputs(t, "aws:s3/bucketOwnershipControls:BucketOwnershipControls", "avatars")["rule"])
	policy := policyOf(t, d.inputs(t, "aws:s3/bucketPolicy:BucketPolicy", "avatars")["policy"])
	assert.Equal(t, []contract.Statement{{
		Sid: "OnlyTLS", Effect: "Deny", Principal: map[string]string{"AWS": "*"}, Action: []string{"s3:*"},
		Resource:  []string{"arn:aws:s3:::prima-avatars-example", "arn:aws:s3:::prima-avatars-example/*"},
		Condition: map[string]map[string]string{"Bool": {"aws:SecureTransport": "false"}},
	}}, policy.Statement)
}

// Ensure nothing of the local stack is what AWS alone can do.
func TestLocalStackIsSpared(t *testing.T) {
	t.Parallel()
	d, err := up(t, local())
	require.NoError(t, err)
	for _, r := range d.resources {
		for _, kind := range []string{"BucketPolicy", "BucketOwnershipControls", "BucketVersioning", "aws:iam", "aws:eks"} {
			assert.NotContains(t, r.TypeToken, kind)
		}
		assert.False(t, r.RegisterRPC.GetProtect(), r.Name)
	}
}

// Ensure docs/aws.md has the permissions of each role, for those who make the roles by hand.
func TestGeneratedPermissions(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../docs/aws.md", "<!-- permissions: written by task generate -->\n", "<!-- permissions: end -->"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, begins := strings.Cut(string(text), begin)
	_, after, ends := strings.Cut(rest, end)
	require.True(t, begins && ends, "%s has no lines %q and %q", file, begin, end)

	resources := new(config.Config).Resources()
	for _, r := range resources {
		*r.Name = r.Variable
	}
	list := ""
	for _, is := range config.Roles() {
		in := contract.Location{Partition: "aws", Region: "REGION", Account: "ACCOUNT"}
		for _, s := range contract.PolicyOf(is, resources, in).Statement {
			item := "- `" + serviceAccount(is) + "` on `" + strings.Join(s.Resource, "`, `") + "`"
			for _, key := range slices.Sorted(maps.Keys(s.Condition["StringEquals"])) {
				item += ", if `" + key + "` is `" + s.Condition["StringEquals"][key] + "`"
			}
			list += wrap(item+": `"+strings.Join(s.Action, "`, `")+"`") + "\n"
		}
	}
	want := before + begin + list + end + after
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	assert.Equal(t, want, string(text), "%s is stale; run: task generate", file)
}

// wrap breaks an item of a list in Markdown into lines of at most 100 characters, if its words allow it.
func wrap(item string) string {
	text, length := "", 0
	for word := range strings.FieldsSeq(item) {
		switch {
		case text == "":
		case length+1+len(word) > 100:
			text, length = text+"\n  ", 2
		default:
			text, length = text+" ", length+1
		}
		text, length = text+word, length+len(word)
	}
	return text
}

// Ensure each role may do what the contract says, on this table and this bucket, and is for the pods of one service account of
// one cluster.
func TestRoles(t *testing.T) {
	t.Parallel()
	sample := config.Default()
	sample.Table, sample.Bucket = "prima-users", "prima-avatars-example"
	in := contract.Location{Partition: "aws", Region: "eu-central-1", Account: "123456789012"}
	for name, change := range map[string]func(func(string) map[string]any){"podIdentity": nil, "irsa": withIRSA} {
		d, err := up(t, onAWS(t, change))
		require.NoError(t, err, name)
		for _, is := range config.Roles() {
			account := serviceAccount(is)
			inline := d.inputs(t, rolePolicyType, account)
			assert.Equal(t, contract.PolicyOf(is, sample.Resources(), in), policyOf(t, inline["policy"]), name)
			assert.Equal(t, account+"-id", inline["role"])
			trust := policyOf(t, d.inputs(t, roleType, account)["assumeRolePolicy"]).Statement
			require.Len(t, trust, 1)
			if name == "irsa" {
				assert.Equal(t, map[string]string{"Federated": "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE"}, trust[0].Principal)
				assert.Equal(t, map[string]map[string]string{"StringEquals": {
					"oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE:aud": "sts.amazonaws.com",
					"oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE:sub": "system:serviceaccount:prima:" + account,
				}}, trust[0].Condition)
				continue
			}
			assert.Equal(t, map[string]string{"Service": "pods.eks.amazonaws.com"}, trust[0].Principal)
			assert.Equal(t, []string{"sts:AssumeRole", "sts:TagSession"}, trust[0].Action)
			assert.Equal(t, map[string]map[string]string{"StringEquals": {
				"aws:RequestTag/eks-cluster-arn":            "arn:aws:eks:eu-central-1:123456789012:cluster/prima-production",
				"aws:RequestTag/kubernetes-namespace":       "prima",
				"aws:RequestTag/kubernetes-service-account": account,
			}}, trust[0].Condition)
			hooks := d.find(t, associationType, account).RegisterRPC.GetHooks().GetAfterCreate()
			assert.Equal(t, []string{"propagation"}, hooks, "pods would start before the association is known")
			association := d.inputs(t, associationType, account)
			assert.Equal(t, "prima-production", association["clusterName"])
			assert.Equal(t, account, association["serviceAccount"])
			assert.Equal(t, "prima", association["namespace"])
		}
	}
}

// Ensure no setting makes a role that may do everything, or something to everything.
func TestRolesAreNarrow(t *testing.T) {
	t.Parallel()
	for _, region := range []string{"eu-central-1", "us-gov-west-1", "cn-north-1"} {
		for _, change := range []func(func(string) map[string]any){nil, withIRSA, withGateway} {
			for _, billing := range []string{onDemand, provisioned} {
				for _, adopt := range []bool{false, true} {
					d, err := up(t, onAWS(t, func(section func(string) map[string]any) {
						section("storage")["region"], section("storage")["billing"] = region, billing
						section("storage")["adopt"] = map[string]any{"table": adopt, "bucket": adopt}
						if change != nil {
							change(section)
						}
					}))
					require.NoError(t, err)
					policies := 0
					for _, r := range d.resources {
						if r.TypeToken != rolePolicyType {
							continue
						}
						policies++
						for _, s := range policyOf(t, r.Inputs["policy"].StringValue()).Statement {
							for _, action := range s.Action {
								assert.NotContains(t, action, "*")
							}
							for _, arn := range s.Resource {
								assert.True(t, strings.HasPrefix(arn, "arn:"+partitionOf(region)+":"), arn)
								assert.NotContains(t, strings.TrimSuffix(arn, "/"+config.AvatarPrefix+"*"), "*")
							}
						}
					}
					assert.Equal(t, len(config.Roles()), policies)
				}
			}
		}
	}
}

// Ensure a preview of a stack that is not there yet shows what the chart would make: its values are known, and those of the update.
func TestPreview(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]settings{"local": local(), "podIdentity": onAWS(t, nil), "irsa": onAWS(t, withIRSA)} {
		before, err := preview(t, s)
		require.NoError(t, err, name)
		after, err := up(t, s)
		require.NoError(t, err, name)
		assert.False(t, before.find(t, "kubernetes:helm.sh/v4:Chart", "prima-api").Inputs.ContainsUnknowns(), name)
		assert.Equal(t, after.values(t, "prima-api"), before.values(t, "prima-api"), name)
	}
}

// Ensure a stack whose name makes that of a role too long is told so.
func TestLongRoleName(t *testing.T) {
	t.Parallel()
	s := onAWS(t, nil)
	s["storage"].(map[string]any)["region"] = "us-" + strings.Repeat("isolated-", 5) + "east-1"
	d, err := up(t, s)
	require.ErrorContains(t, err, "a name has at most 64 characters")
	assert.Empty(t, d.resources)
}

// Ensure no two roles of one account have the same name, whatever their stacks are called.
func TestRoleNames(t *testing.T) {
	t.Parallel()
	taken := map[string]string{}
	for _, region := range []string{"eu-central-1", "us-gov-west-1"} {
		for _, stack := range []string{"dev", "sweep", "sweep-dev", "dev-sweep", "dev-eu-central-1", "dev-eu-central-1-sweep", "api"} {
			for _, is := range config.Roles() {
				name := Stack{Name: stack, Storage: StorageSettings{Region: region}}.roleName(is)
				of := fmt.Sprint(stack, " ", region, " ", is)
				assert.Empty(t, taken[name], "%s is of %s too", name, of)
				taken[name] = of
			}
		}
	}
	assert.Equal(t, "dev eu-central-1 api", taken["prima-api-dev-eu-central-1"])
	assert.Equal(t, "dev eu-central-1 sweep", taken["prima-api-dev-eu-central-1-sweep"])
}

// Ensure the pods have their roles and no key, come by TLS alone, and are told what they are called from outside.
func TestPodsOnAWS(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(func(string) map[string]any){"podIdentity": nil, "irsa": withIRSA, "gateway": withGateway} {
		d, err := up(t, onAWS(t, change))
		require.NoError(t, err, name)
		values := d.values(t, "prima-api")
		assert.Equal(t, map[string]any{"accessKeyID": "", "secretAccessKey": "", "existingSecret": ""}, values["credentials"])
		assert.Equal(t, map[string]any{"AWS_EC2_METADATA_DISABLED": "true"}, values["runtime"])
		assert.Equal(t, charts.AccessToken, values["access"].(map[string]any)["mode"])
		assert.Equal(t, "ClusterIP", values["service"].(map[string]any)["type"])
		assert.Equal(t, "https://api.example.com", values["config"].(map[string]any)["PUBLIC_BASE_URL"])
		assert.NotContains(t, values["config"], "ALLOWED_HOSTS", "names of the deployment that the program does not know")
		assert.Equal(t, "123456789012.dkr.ecr.eu-central-1.amazonaws.com/prima-api", values["image"].(map[string]any)["repository"])

		text := renderAPI(t, values)
		for _, absent := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "NodePort", "localstack"} {
			assert.NotContains(t, text, absent, name)
		}
		for _, present := range []string{"serviceAccountName: prima-api\n", "serviceAccountName: prima-api-sweep\n", "169.254.170.23/32", "fd00:ec2::23/128"} {
			assert.Contains(t, text, present, name)
		}
		for _, is := range config.Roles() {
			assert.Equal(t, name == "irsa", strings.Contains(text, "eks.amazonaws.com/role-arn: arn:aws:iam::123456789012:role/"+Stack{Name: "local", Storage: StorageSettings{Region: "eu-central-1"}}.roleName(is)+"\n"), name)
		}
		assert.Contains(t, text, "prima.internal/role: arn:aws:iam::123456789012:role/prima-api-local-eu-central-1\n", "another role is another pod")
		// A pod that starts before its account is associated never gets the role.
		waits := d.find(t, "kubernetes:helm.sh/v4:Chart", "prima-api").RegisterRPC.GetDependencies()
		for _, token := range []string{roleType, associationType} {
			for _, is := range config.Roles() {
				account := serviceAccount(is)
				waited := slices.ContainsFunc(waits, func(urn string) bool { return strings.Contains(urn, token) && strings.HasSuffix(urn, "::"+account) })
				assert.Equal(t, token == roleType || name != "irsa", waited, "%s: the chart waits for %s %s: %v", name, token, account, waits)
			}
		}
		assert.Equal(t, name == "gateway", strings.Contains(text, "kind: HTTPRoute"), name)
		assert.Equal(t, name != "gateway", strings.Contains(text, "kind: Ingress\n"), name)
		if name == "gateway" {
			assert.Contains(t, text, "sectionName: https")
			assert.Contains(t, text, "kubernetes.io/metadata.name: gateways")
			continue
		}
		for _, annotation := range []string{`alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS":443}]'`, "alb.ingress.kubernetes.io/target-type: ip", "alb.ingress.kubernetes.io/scheme: internet-facing", "certificate-arn: arn:aws:acm:"} {
			assert.Contains(t, text, annotation)
		}
		assert.Contains(t, text, "cidr: 10.0.0.0/16")
	}
}

// renderAPI returns everything that the chart of the API makes of values.
func renderAPI(t *testing.T, values map[string]any) string {
	t.Helper()
	c, err := loader.Load(charts.PrimaAPIChart)
	require.NoError(t, err)
	merged, err := chartutil.ToRenderValues(c, values, chartutil.ReleaseOptions{Name: "prima-api", Namespace: apiNamespace, IsInstall: true}, nil)
	require.NoError(t, err)
	files, err := engine.Render(c, merged)
	require.NoError(t, err)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".yaml") {
			text.WriteString(files[name] + "\n---\n")
		}
	}
	return text.String()
}

// Ensure a stack on AWS that cannot work, or would let others read along, is refused with the setting that is wrong.
func TestRefusedOnAWS(t *testing.T) {
	t.Parallel()
	type section = func(string) map[string]any
	values := func(s section, name string) map[string]any {
		return s("api")["values"].(map[string]any)[name].(map[string]any)
	}
	for want, change := range map[string]func(section){
		`aws.account is "1", must be the 12 digits`:           func(s section) { s("aws")["account"] = "1" },
		`aws.account is "", must be the 12 digits`:            func(s section) { s("aws")["account"] = "" },
		`aws.identity is "keys", must be one of`:              func(s section) { s("aws")["identity"] = "keys" },
		`aws.cluster is "", must be the name`:                 func(s section) { s("aws")["cluster"] = "" },
		`aws.cluster is "prima-production", must be empty`:    func(s section) { s("aws")["identity"] = "none" },
		`aws.oidcIssuer is "http://a", must be the https`:     func(s section) { withIRSA(s); s("aws")["oidcIssuer"] = "http://a" },
		`aws.oidcIssuer is "", must be the https`:             func(s section) { withIRSA(s); s("aws")["oidcIssuer"] = "" },
		`aws.oidcIssuer is "https://a", must be empty`:        func(s section) { s("aws")["oidcIssuer"] = "https://a" },
		`aws.permissionsBoundary is "all", must be`:           func(s section) { s("aws")["permissionsBoundary"] = "all" },
		`kubernetes.context is "prima", must be`:              func(s section) { s("kubernetes")["context"] = "prima" },
		`storage.noncurrentDays is 0, must be`:                func(s section) { s("storage")["noncurrentDays"] = 0 },
		`api.digest is "latest", must be`:                     func(s section) { s("api")["digest"] = "latest" },
		`service.type is "NodePort", must be ClusterIP`:       func(s section) { s("api")["values"].(map[string]any)["service"] = map[string]any{"type": "NodePort"} },
		`networkPolicy.ingress is "", must be the rules`:      func(s section) { delete(s("api")["values"].(map[string]any), "networkPolicy") },
		`ingress is "api.example.com", must be served by TLS`: func(s section) { delete(values(s, "ingress"), "annotations") },
		`ingress.tlsSecretName is "tls", must be empty`:       func(s section) { values(s, "ingress")["tlsSecretName"] = "tls" },
		`httpRoute.enabled is "true", must be false beside`: func(s section) {
			in := values(s, "ingress")
			withGateway(s)
			s("api")["values"].(map[string]any)["ingress"] = in
		},
		`httpRoute.hostnames is "[]", must be the hosts`: func(s section) { withGateway(s); delete(values(s, "httpRoute"), "hostnames") },
		`must be with a sectionName, the Gateway's`: func(s section) {
			withGateway(s)
			delete(values(s, "httpRoute")["parentRefs"].([]any)[0].(map[string]any), "sectionName")
		},
		`aws.identity is "podIdentity", must be none`: func(s section) { s("localstack")["deploy"] = true },
	} {
		s := onAWS(t, nil)
		s["localstack"] = map[string]any{}
		change(func(name string) map[string]any { return s[name].(map[string]any) })
		d, err := up(t, s)
		require.ErrorContains(t, err, "prima-api:", want)
		require.ErrorContains(t, err, want)
		assert.Empty(t, d.resources, want)
	}
}

// Ensure a stack without a token lets nobody in, and says how to make one.
func TestSampleAsksForAToken(t *testing.T) {
	t.Parallel()
	s := onAWS(t, nil)
	delete(s, "tokens")
	_, err := up(t, s)
	assert.ErrorContains(t, err, "task token NAME=")
}
