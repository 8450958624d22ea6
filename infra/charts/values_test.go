package charts_test

import (
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	appsv1 "k8s.io/api/apps/v1"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// The entries of two tokens.
var (
	ciEntry    = "ci:read+write:" + strings.Repeat("c1", 32)
	adminEntry = "admin:read:" + strings.Repeat("ad", 32)
)

// apis are the values that the tests of invariants go through.
func apis() map[string]charts.PrimaAPI {
	return map[string]charts.PrimaAPI{"open": openAPI(), "token": tokenAPI(), "local": localAPI(), "full": fullAPI()}
}

// deployment returns the Deployment of the API.
func deployment(t testing.TB, values charts.PrimaAPI) *appsv1.Deployment {
	t.Helper()
	return one[*appsv1.Deployment](t, objectsOf(t, "prima-api", values))
}

// openAPI is the defaults with everybody let in.
func openAPI() charts.PrimaAPI {
	v := charts.DefaultPrimaAPI()
	v.Access.Mode = charts.AccessOpen
	return v
}

// tokenAPI is the defaults with two callers let in.
func tokenAPI() charts.PrimaAPI {
	v := charts.DefaultPrimaAPI()
	v.Access.Tokens = []string{ciEntry, adminEntry}
	return v
}

// localAPI is the API as the local stack deploys it: on LocalStack, with a NodePort and an Ingress.
func localAPI() charts.PrimaAPI {
	c := config.Default()
	c.Endpoint = charts.ServiceURL("localstack", "localstack", charts.LocalStackPort)
	c.AllowedHosts = append([]string{"prima-api.localhost"}, charts.ServiceHosts("prima-api", "prima")...)
	v := openAPI()
	v.Image.Tag = "0123456789ab"
	v.Config = charts.ConfigValues(c)
	v.Runtime = map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}
	v.Credentials.AccessKeyID, v.Credentials.SecretAccessKey = "test", "test"
	v.Service.Type = "NodePort"
	v.Ingress.Enabled, v.Ingress.Host, v.Ingress.Aliases = true, "prima-api.localhost", []string{"prima-api.local"}
	return v
}

func localStack() map[string]any {
	return map[string]any{"image": "localstack/localstack:4.14.0", "nodePort": 31566}
}

// fullAPI is the values of testdata/prima-api.full.values.yaml over the defaults.
func fullAPI() charts.PrimaAPI {
	values, err := chartutil.ReadValuesFile("testdata/prima-api.full.values.yaml")
	if err != nil {
		panic(err)
	}
	v, err := charts.PrimaAPIWith(values)
	if err != nil {
		panic(err)
	}
	for _, s := range config.Settings() {
		if v.Config[s.Variable] == "" && !s.Secret {
			v.Config[s.Variable] = s.Examples[0]
		}
	}
	return v
}
