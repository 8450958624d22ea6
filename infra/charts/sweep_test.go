package charts_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"prima.internal/infra/charts"
)

// Ensure the sweep runs with the image and the environment of the API, but for whom the API lets in, and for its memory and
// its identity, which are its own.
func TestSweepRunsAsTheAPI(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]charts.PrimaAPI{"guarded": defaultAPI(), "local": localAPI(), "extreme": extremeAPI()} {
		list := objects(t, mustRender(t, "prima-api", v))
		api, sweep := apiContainer(t, list), sweepContainer(t, list)
		assert.Equal(t, []string{"sweep", "-older-than=" + v.Sweep.OlderThan}, sweep.Args, name)
		assert.Equal(t, api.Image, sweep.Image, name)
		assert.Equal(t, api.ImagePullPolicy, sweep.ImagePullPolicy, name)
		assert.Equal(t, api.EnvFrom, sweep.EnvFrom, name)
		assert.Equal(t, api.SecurityContext, sweep.SecurityContext, name)
		assert.Empty(t, sweep.Ports, name)

		var want []corev1.EnvVar
		for _, variable := range api.Env {
			if variable.Name != "ACCESS_TOKENS" && variable.Name != "OTEL_EXPORTER_OTLP_HEADERS" { // it serves nobody
				want = append(want, variable)
			}
		}
		assert.Equal(t, "GOMEMLIMIT", sweep.Env[0].Name, name)
		assert.ElementsMatch(t, want, sweep.Env[1:], name)

		template := one[*batchv1.CronJob](t, list).Spec.JobTemplate.Spec.Template
		deployed := deployment(t, "prima-api", v).Spec.Template
		assert.NotEqual(t, deployed.Spec.ServiceAccountName, template.Spec.ServiceAccountName, "%s: it needs less of AWS", name)
		assert.Equal(t, deployed.Spec.SecurityContext, template.Spec.SecurityContext, name)
		assert.Equal(t, deployed.Spec.ImagePullSecrets, template.Spec.ImagePullSecrets, name)
		assert.Equal(t, deployed.Spec.NodeSelector, template.Spec.NodeSelector, name)
		assert.Equal(t, deployed.Spec.Affinity, template.Spec.Affinity, name)
		assert.Equal(t, deployed.Spec.Tolerations, template.Spec.Tolerations, name)
		assert.Equal(t, deployed.Spec.PriorityClassName, template.Spec.PriorityClassName, name)
	}
}

// Ensure a sweep ends, at the latest after its time and three tries, that no two run at once, and that what is kept
// of those that ran is bounded.
func TestSweepIsBounded(t *testing.T) {
	t.Parallel()
	v := defaultAPI()
	v.Sweep.Schedule, v.Sweep.TimeoutSeconds = "5 4 * * 0", 90
	cron := one[*batchv1.CronJob](t, objects(t, mustRender(t, "prima-api", v))).Spec
	assert.Equal(t, "5 4 * * 0", cron.Schedule)
	assert.Equal(t, "Etc/UTC", *cron.TimeZone)
	assert.Equal(t, batchv1.ForbidConcurrent, cron.ConcurrencyPolicy)
	// Below 10 seconds the controller, which looks every 10, would miss runs.
	assert.GreaterOrEqual(t, *cron.StartingDeadlineSeconds, int64(10))
	assert.EqualValues(t, 1, *cron.SuccessfulJobsHistoryLimit)
	assert.EqualValues(t, 3, *cron.FailedJobsHistoryLimit)

	job := cron.JobTemplate.Spec
	assert.EqualValues(t, 2, *job.BackoffLimit)
	assert.EqualValues(t, 90, *job.ActiveDeadlineSeconds)
	assert.EqualValues(t, 7*24*time.Hour/time.Second, *job.TTLSecondsAfterFinished)
	assert.Equal(t, corev1.RestartPolicyNever, job.Template.Spec.RestartPolicy)
	rule := job.PodFailurePolicy.Rules[0]
	assert.Equal(t, batchv1.PodFailurePolicyActionFailJob, rule.Action)
	assert.Equal(t, []int32{2}, rule.OnExitCodes.Values, "wrong arguments or settings")
	assert.Equal(t, job.Template.Spec.Containers[0].Name, *rule.OnExitCodes.ContainerName)
}

// Ensure the name of the sweep leaves room for what its Jobs add to it, however long the release's is, and that no
// sweep is no object.
func TestSweepObjects(t *testing.T) {
	t.Parallel()
	v := defaultAPI()
	v.FullnameOverride = strings.Repeat("a", 45) + "-" + strings.Repeat("b", 7)
	cron := one[*batchv1.CronJob](t, objects(t, mustRender(t, "prima-api", v)))
	assert.Equal(t, strings.Repeat("a", 45)+"-sweep", cron.Name)
	const most = 52 // https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
	v.FullnameOverride = strings.Repeat("a", 53)
	assert.Len(t, one[*batchv1.CronJob](t, objects(t, mustRender(t, "prima-api", v))).Name, most)

	v.Sweep.Enabled = false
	list := objects(t, mustRender(t, "prima-api", v))
	assert.Empty(t, find[*batchv1.CronJob](list))
	for _, policy := range find[*networkingv1.NetworkPolicy](list) {
		require.NotEqual(t, "sweep", policy.Spec.PodSelector.MatchLabels["app.kubernetes.io/component"])
	}
}

// Ensure every pod has a service account that is there, and that the sweep has that of the API if it is to have none.
func TestServiceAccounts(t *testing.T) {
	t.Parallel()
	without := defaultAPI()
	without.Sweep.ServiceAccount.Create = false
	for name, v := range map[string]charts.PrimaAPI{"default": defaultAPI(), "extreme": extremeAPI(), "without": without} {
		list := objects(t, mustRender(t, "prima-api", v))
		made := map[string]map[string]string{}
		for _, account := range find[*corev1.ServiceAccount](list) {
			made[account.Name] = account.Annotations
		}
		for _, pod := range pods(list) {
			assert.Contains(t, made, pod.spec.ServiceAccountName, "%s: %s", name, pod.name)
		}
		assert.Equal(t, name == "extreme", len(made["people-sweep"]) > 0)
		if name == "without" {
			assert.Len(t, made, 1)
		}
	}
}
