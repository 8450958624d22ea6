package charts_test

import (
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

// Ensure a rollout never takes a pod away before its successor is ready, and fails before Pulumi gives up
// on it, so that Pulumi can name the reason.
func TestRollout(t *testing.T) {
	t.Parallel()
	d := deployment(t, tokenAPI())
	assert.Zero(t, d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue())
	assert.Equal(t, 1, d.Spec.Strategy.RollingUpdate.MaxSurge.IntValue())
	assert.Positive(t, d.Spec.MinReadySeconds)
	emulator := one[*appsv1.Deployment](t, objectsOf(t, "localstack", localStack()))
	for _, d := range []*appsv1.Deployment{d, emulator} {
		timeout, err := time.ParseDuration(d.Annotations["pulumi.com/timeoutSeconds"] + "s")
		require.NoError(t, err)
		assert.Equal(t, timeout.Seconds(), float64(*d.Spec.ProgressDeadlineSeconds+10), d.Name)
	}
	// Two LocalStacks beside each other would answer in turn, each with data of its own.
	assert.Equal(t, appsv1.RecreateDeploymentStrategyType, emulator.Spec.Strategy.Type)
}

// Ensure whatever a container is started with makes new pods when it changes, and nothing else does.
func TestChangesRollOut(t *testing.T) {
	t.Parallel()
	template := func(change func(v *charts.PrimaAPI)) corev1.PodTemplateSpec {
		v := localAPI()
		change(&v)
		return deployment(t, v).Spec.Template
	}
	before := template(func(*charts.PrimaAPI) {})
	tokens := func(entries ...string) func(v *charts.PrimaAPI) {
		return func(v *charts.PrimaAPI) { v.Access = charts.Access{Mode: charts.AccessToken, Tokens: entries} }
	}
	for name, change := range map[string]func(v *charts.PrimaAPI){
		"setting":     func(v *charts.PrimaAPI) { v.Config["LOG_LEVEL"] = "debug" },
		"runtime":     func(v *charts.PrimaAPI) { v.Runtime["GOGC"] = "50" },
		"memory":      func(v *charts.PrimaAPI) { v.GoMemoryPercent = 60 },
		"credentials": func(v *charts.PrimaAPI) { v.Credentials.SecretAccessKey = "changed" },
		"image":       func(v *charts.PrimaAPI) { v.Image.Tag = "changed" },
		"access":      tokens(ciEntry),
	} {
		assert.NotEqual(t, before, template(change), name)
	}
	assert.NotEqual(t, template(tokens(ciEntry)), template(tokens(ciEntry, adminEntry)), "tokens")
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
		v.AuthToken = token
		list := objectsOf(t, "localstack", v)
		assert.Equal(t, token, string(one[*corev1.Secret](t, list).Data["LOCALSTACK_AUTH_TOKEN"]))
		return one[*appsv1.Deployment](t, list).Spec.Template
	}
	assert.NotEqual(t, emulator("one"), emulator("two"))
}

// Ensure what requests may hold at once is less than what Go keeps to, that less than the request, and
// that not more than the limit; and that Go's limit does not make the autoscaler add pods.
func TestMemory(t *testing.T) {
	t.Parallel()
	bytesOf := func(amount string) int64 {
		quantity, err := resource.ParseQuantity(strings.TrimSuffix(amount, "B")) // MiB here, Mi there
		require.NoError(t, err)
		return quantity.Value()
	}
	v := tokenAPI()
	for _, request := range []string{v.Resources.Requests.Memory, "96Mi", "131072Ki", "2Gi"} {
		v.Resources.Requests.Memory = request
		if request == "2Gi" {
			v.Resources.Limits.Memory = "2Gi"
		}
		list := objectsOf(t, "prima-api", v)
		variables := environment(t, list)
		limits := map[string]int64{
			"Deployment": bytesOf(variables["GOMEMLIMIT"]), "CronJob": bytesOf(containerOf(t, list, "CronJob").Env[0].Value),
		}
		for kind, limit := range limits {
			amounts := containerOf(t, list, kind).Resources
			share := float64(limit) / float64(amounts.Requests.Memory().Value())
			assert.Less(t, share, float64(v.Autoscaling.MemoryPercent)/100, "%s of %s", kind, request)
			assert.Greater(t, share, 0.65, "%s of %s", kind, request)
			assert.LessOrEqual(t, amounts.Requests.Memory().Value(), amounts.Limits.Memory().Value(), "%s of %s", kind, request)
		}
		assert.Less(t, bytesOf(variables["REQUEST_MEMORY"]), limits["Deployment"], request)
	}
	assert.Equal(t, config.Default().RequestMemory, bytesOf(v.Config["REQUEST_MEMORY"]), "read as the API reads it")
}

// Ensure the sweep runs as the API does, but for the callers that are let in, its memory and its identity.
func TestSweepRunsAsTheAPI(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, v charts.PrimaAPI) {
		list := objectsOf(t, "prima-api", v)
		api, sweep := containerOf(t, list, "Deployment"), containerOf(t, list, "CronJob")
		assert.Equal(t, []string{"sweep", "-older-than=" + v.Sweep.OlderThan}, sweep.Args)
		assert.Empty(t, sweep.Ports)
		var variables []corev1.EnvVar
		for _, variable := range api.Env {
			if variable.Name != "ACCESS_TOKENS" && variable.Name != "OTEL_EXPORTER_OTLP_HEADERS" { // it serves nobody
				variables = append(variables, variable)
			}
		}
		assert.Equal(t, "GOMEMLIMIT", sweep.Env[0].Name)
		assert.ElementsMatch(t, variables, sweep.Env[1:])
		same := func(c corev1.Container) []any {
			return []any{c.Image, c.ImagePullPolicy, c.EnvFrom, c.SecurityContext}
		}
		assert.Equal(t, same(api), same(sweep))

		sameOf := func(p corev1.PodSpec) []any {
			return []any{p.SecurityContext, p.ImagePullSecrets, p.NodeSelector, p.Affinity, p.Tolerations, p.PriorityClassName}
		}
		deployed := one[*appsv1.Deployment](t, list).Spec.Template.Spec
		swept := one[*batchv1.CronJob](t, list).Spec.JobTemplate.Spec.Template.Spec
		assert.Equal(t, sameOf(deployed), sameOf(swept))
		assert.NotEqual(t, deployed.ServiceAccountName, swept.ServiceAccountName, "it needs less of AWS")
	})
}

// Ensure a sweep ends, that no two run at once, that wrong settings are not tried again, and that what is
// kept of those that ran is bounded.
func TestSweepIsBounded(t *testing.T) {
	t.Parallel()
	v := openAPI()
	v.Sweep.TimeoutSeconds = 90
	cron := one[*batchv1.CronJob](t, objectsOf(t, "prima-api", v)).Spec
	assert.Equal(t, batchv1.ForbidConcurrent, cron.ConcurrencyPolicy)
	// Below 10 seconds the controller, which looks every 10, would miss runs.
	assert.GreaterOrEqual(t, *cron.StartingDeadlineSeconds, int64(10))
	assert.NotNil(t, cron.SuccessfulJobsHistoryLimit)
	job := cron.JobTemplate.Spec
	assert.EqualValues(t, 90, *job.ActiveDeadlineSeconds)
	assert.LessOrEqual(t, *job.BackoffLimit, int32(2))
	assert.Positive(t, *job.TTLSecondsAfterFinished)
	assert.Equal(t, corev1.RestartPolicyNever, job.Template.Spec.RestartPolicy)
	rule := job.PodFailurePolicy.Rules[0]
	assert.Equal(t, batchv1.PodFailurePolicyActionFailJob, rule.Action)
	assert.Equal(t, []int32{2}, rule.OnExitCodes.Values, "wrong arguments or settings")
	assert.Equal(t, job.Template.Spec.Containers[0].Name, *rule.OnExitCodes.ContainerName)
}

// Ensure every pod has a service account that is there, and that the sweep has the API's if it is to have none.
func TestServiceAccounts(t *testing.T) {
	t.Parallel()
	without := openAPI()
	without.Sweep.ServiceAccount.Create = false
	for _, v := range []charts.PrimaAPI{openAPI(), fullAPI(), without} {
		list := objectsOf(t, "prima-api", v)
		made := map[string]bool{}
		for _, account := range find[*corev1.ServiceAccount](list) {
			made[account.Name] = true
			assert.False(t, *account.AutomountServiceAccountToken, account.Name)
		}
		assert.Equal(t, v.Sweep.ServiceAccount.Create, len(made) == 2)
		for _, pod := range pods(list) {
			assert.True(t, made[pod.spec.ServiceAccountName], pod.kind)
		}
	}
}
