package charts_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// Ensure a pod is not killed before the API has drained and finished what runs, whatever the settings.
func TestGracePeriod(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		drain, shutdown time.Duration
		preStop         int
	}{
		{config.Default().DrainTime, config.Default().ShutdownTimeout, openAPI().Rollout.PreStopSleepSeconds},
		{0, 0, 0},
		{1500 * time.Millisecond, time.Millisecond, 3},
		{10 * time.Minute, 90 * time.Second, 600},
	} {
		c := config.Default()
		c.DrainTime, c.ShutdownTimeout = test.drain, test.shutdown
		v := openAPI()
		v.Config, v.Rollout.PreStopSleepSeconds = charts.ConfigValues(c), test.preStop
		spec := deployment(t, v).Spec.Template.Spec

		grace := time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second
		needed := time.Duration(test.preStop)*time.Second + test.drain + test.shutdown
		assert.GreaterOrEqual(t, grace, needed+5*time.Second, "%+v", test)
		assert.LessOrEqual(t, grace, needed+7*time.Second, "%+v", test)
		if test.preStop == 0 {
			assert.Nil(t, spec.Containers[0].Lifecycle)
			continue
		}
		assert.EqualValues(t, test.preStop, spec.Containers[0].Lifecycle.PreStop.Sleep.Seconds)
	}
}

// Ensure whatever a container is started with makes new pods when it changes, and nothing else does.
func TestChangesRollOut(t *testing.T) {
	t.Parallel()
	tokens := func(entries ...string) func(v *charts.PrimaAPI) {
		return func(v *charts.PrimaAPI) { v.Access.Mode, v.Access.Tokens = charts.AccessToken, entries }
	}
	template := func(change func(v *charts.PrimaAPI)) corev1.PodTemplateSpec {
		v := localAPI()
		tokens(adminEntry)(&v)
		change(&v)
		return deployment(t, v).Spec.Template
	}
	before := template(func(*charts.PrimaAPI) {})
	for name, change := range map[string]func(v *charts.PrimaAPI){
		"setting":     func(v *charts.PrimaAPI) { v.Config["LOG_LEVEL"] = "debug" },
		"runtime":     func(v *charts.PrimaAPI) { v.Runtime["GOGC"] = "50" },
		"memory":      func(v *charts.PrimaAPI) { v.GoMemoryPercent = 60 },
		"credentials": func(v *charts.PrimaAPI) { v.Credentials.SecretAccessKey = "changed" },
		"image":       func(v *charts.PrimaAPI) { v.Image.Tag = "changed" },
		"tokens":      tokens(ciEntry, adminEntry),
	} {
		assert.NotEqual(t, before, template(change), name)
	}
	for name, change := range map[string]func(v *charts.PrimaAPI){
		"service":     func(v *charts.PrimaAPI) { v.Service.NodePort = 30001 },
		"autoscaling": func(v *charts.PrimaAPI) { v.Autoscaling.MaxReplicas = 9 },
		"ingress":     func(v *charts.PrimaAPI) { v.Ingress.Host = "changed.example.com" },
		"sweep":       func(v *charts.PrimaAPI) { v.Sweep.Schedule = "@daily" },
	} {
		assert.Equal(t, before, template(change), name)
	}
	emulator := func(token string) corev1.PodTemplateSpec {
		v := localStack()
		v["authToken"] = token
		list := objectsOf(t, "localstack", v)
		assert.Equal(t, token, string(one[*corev1.Secret](t, list).Data["LOCALSTACK_AUTH_TOKEN"]))
		return one[*appsv1.Deployment](t, list).Spec.Template
	}
	assert.NotEqual(t, emulator("one"), emulator("two"))
}

// Ensure what requests may hold at once is less than what Go keeps to, that less than what makes the
// autoscaler add pods, and the request not more than the limit.
func TestMemory(t *testing.T) {
	t.Parallel()
	bytesOf := func(amount string) float64 {
		quantity, err := resource.ParseQuantity(strings.TrimSuffix(amount, "B")) // MiB here, Mi there
		require.NoError(t, err)
		return quantity.AsApproximateFloat64()
	}
	v := tokenAPI()
	for _, request := range []string{v.Resources.Requests.Memory, "131072Ki", "1Gi"} {
		v.Resources.Requests.Memory, v.Sweep.Resources.Requests.Memory = request, request
		list := objectsOf(t, "prima-api", v)
		variables := environment(t, list)
		assert.Less(t, bytesOf(variables["REQUEST_MEMORY"]), bytesOf(variables["GOMEMLIMIT"]), request)
		for _, limit := range []string{variables["GOMEMLIMIT"], containerOf(t, list, "CronJob").Env[0].Value} {
			share := bytesOf(limit) / bytesOf(request)
			assert.Less(t, share, float64(v.Autoscaling.MemoryPercent)/100, request)
			assert.Greater(t, share, 0.65, request)
		}
	}
	for _, r := range []charts.Resources{openAPI().Resources, openAPI().Sweep.Resources} {
		assert.LessOrEqual(t, bytesOf(r.Requests.Memory), bytesOf(r.Limits.Memory))
	}
	assert.InDelta(t, float64(config.Default().RequestMemory), bytesOf(v.Config["REQUEST_MEMORY"]), 0, "read as the API reads it")
}

// Ensure the sweep runs as the API does, but for the callers that are let in, its memory and its identity.
func TestSweepRunsAsTheAPI(t *testing.T) {
	t.Parallel()
	for name, v := range apis() {
		list := objectsOf(t, "prima-api", v)
		api, sweep := containerOf(t, list, "Deployment"), containerOf(t, list, "CronJob")
		api.Env = slices.DeleteFunc(api.Env, func(v corev1.EnvVar) bool { // the sweep serves nobody
			return v.Name == "ACCESS_TOKENS" || v.Name == "OTEL_EXPORTER_OTLP_HEADERS"
		})
		assert.Equal(t, "GOMEMLIMIT", sweep.Env[0].Name, name)
		assert.ElementsMatch(t, api.Env, sweep.Env[1:], name)
		container := func(c corev1.Container) []any {
			return []any{c.Image, c.ImagePullPolicy, c.EnvFrom, c.SecurityContext}
		}
		assert.Equal(t, container(api), container(sweep), name)
		pod := func(p corev1.PodSpec) []any {
			return []any{p.SecurityContext, p.ImagePullSecrets, p.NodeSelector, p.Affinity, p.Tolerations, p.PriorityClassName}
		}
		deployed := one[*appsv1.Deployment](t, list).Spec.Template.Spec
		swept := one[*batchv1.CronJob](t, list).Spec.JobTemplate.Spec.Template.Spec
		assert.Equal(t, pod(deployed), pod(swept), name)
		assert.NotEqual(t, deployed.ServiceAccountName, swept.ServiceAccountName, "it needs less of AWS")
	}
}

// Ensure the sweep has the service account of the API if it is to have none, and that no account has a token.
func TestServiceAccounts(t *testing.T) {
	t.Parallel()
	v := fullAPI()
	v.Sweep.ServiceAccount = charts.ServiceAccount{}
	list := objectsOf(t, "prima-api", v)
	account := one[*corev1.ServiceAccount](t, list)
	assert.False(t, *account.AutomountServiceAccountToken)
	for _, pod := range pods(list) {
		assert.Equal(t, account.Name, pod.spec.ServiceAccountName, pod.kind)
	}
}
