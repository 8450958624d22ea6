package charts_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// Ensure a pod is not killed before the API has drained and finished its requests.
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
		spec := deployment(t, objectsOf(t, "prima-api", v)).Spec.Template.Spec
		grace := time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second
		needed := time.Duration(test.preStop)*time.Second + test.drain + test.shutdown
		assert.GreaterOrEqual(t, grace, needed+5*time.Second, "%+v", test)
		assert.LessOrEqual(t, grace, needed+7*time.Second, "%+v", test)
		if test.preStop > 0 {
			assert.EqualValues(t, test.preStop, spec.Containers[0].Lifecycle.PreStop.Sleep.Seconds)
		}
	}
}

// Ensure a change of what a container is started with makes new pods, and no other change does.
func TestChangesRollOut(t *testing.T) {
	t.Parallel()
	template := func(change func(v *charts.PrimaAPI)) corev1.PodTemplateSpec {
		v := localAPI()
		v.Access = tokenAPI().Access
		change(&v)
		return deployment(t, objectsOf(t, "prima-api", v)).Spec.Template
	}
	before := template(func(*charts.PrimaAPI) {})
	for name, change := range map[string]func(v *charts.PrimaAPI){
		"setting":     func(v *charts.PrimaAPI) { v.Config["LOG_LEVEL"] = "debug" },
		"runtime":     func(v *charts.PrimaAPI) { v.Runtime["GOGC"] = "50" },
		"memory":      func(v *charts.PrimaAPI) { v.GoMemoryPercent = 60 },
		"credentials": func(v *charts.PrimaAPI) { v.Credentials.SecretAccessKey = "changed" },
		"tokens":      func(v *charts.PrimaAPI) { v.Access.Tokens = []string{ciEntry} },
	} {
		assert.NotEqual(t, before, template(change), name)
	}
	assert.Equal(t, before, template(func(v *charts.PrimaAPI) {
		v.Service.NodePort, v.Ingress.Host, v.Sweep.Schedule = 30001, "changed.example.com", "@daily"
	}))
	emulator := func(token string) corev1.PodTemplateSpec {
		v := localStack()
		v["authToken"] = token
		return deployment(t, objectsOf(t, "localstack", v)).Spec.Template
	}
	assert.NotEqual(t, emulator("one"), emulator("two"))
}

// Ensure REQUEST_MEMORY is below GOMEMLIMIT, that is below the memory at which the autoscaler adds
// pods, and a request is not above its limit.
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
		for _, limit := range []string{variables["GOMEMLIMIT"], pods(list)["CronJob"].Spec.Containers[0].Env[0].Value} {
			share := bytesOf(limit) / bytesOf(request)
			assert.Less(t, share, float64(v.Autoscaling.MemoryPercent)/100, request)
			assert.Greater(t, share, 0.65, request)
		}
	}
	for _, r := range []charts.Resources{openAPI().Resources, openAPI().Sweep.Resources} {
		assert.LessOrEqual(t, bytesOf(r.Requests.Memory), bytesOf(r.Limits.Memory))
	}
	assert.InDelta(t, float64(config.Default().RequestMemory), bytesOf(v.Config["REQUEST_MEMORY"]), 0)
}
