package charts_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// Ensure the number of pods has one owner: the autoscaler where it is on, the Deployment where it is off.
func TestReplicasHaveOneOwner(t *testing.T) {
	t.Parallel()
	v := defaultAPI()
	list := objects(t, mustRender(t, "prima-api", v))
	scaler := one[*autoscalingv2.HorizontalPodAutoscaler](t, list)
	d := one[*appsv1.Deployment](t, list)
	assert.Nil(t, d.Spec.Replicas)
	assert.Equal(t, d.Name, scaler.Spec.ScaleTargetRef.Name)
	assert.EqualValues(t, 2, *scaler.Spec.MinReplicas)
	assert.EqualValues(t, 5, scaler.Spec.MaxReplicas)
	assert.EqualValues(t, 50, *scaler.Spec.Metrics[0].Resource.Target.AverageUtilization)
	assert.EqualValues(t, 80, *scaler.Spec.Metrics[1].Resource.Target.AverageUtilization)

	v.Autoscaling.Enabled = false
	list = objects(t, mustRender(t, "prima-api", v))
	assert.Empty(t, find[*autoscalingv2.HorizontalPodAutoscaler](list))
	assert.EqualValues(t, v.Replicas, *one[*appsv1.Deployment](t, list).Spec.Replicas)
}

// Ensure a pod is not killed before the API has drained and finished what runs, whatever the settings.
func TestGracePeriod(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		drain, shutdown time.Duration
		preStop         int
	}{
		{config.Default().DrainTime, config.Default().ShutdownTimeout, defaultAPI().Rollout.PreStopSleepSeconds},
		{0, 0, 0},
		{1500 * time.Millisecond, time.Millisecond, 3},
		{10 * time.Minute, 90 * time.Second, 600},
	} {
		c := config.Default()
		c.DrainTime, c.ShutdownTimeout = test.drain, test.shutdown
		v := defaultAPI()
		v.Config, v.Rollout.PreStopSleepSeconds = charts.ConfigValues(c), test.preStop
		spec := deployment(t, "prima-api", v).Spec.Template.Spec

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

// Ensure the defaults fit together: what requests may hold at once is less than what Go keeps to, and that
// less than what the container is given.
func TestMemoryOfTheDefaults(t *testing.T) {
	t.Parallel()
	list := objects(t, mustRender(t, "prima-api", defaultAPI()))
	variables := environment(t, list)
	bytesOf := func(amount string) int64 {
		quantity, err := resource.ParseQuantity(strings.TrimSuffix(amount, "B")) // MiB here, Mi there
		require.NoError(t, err)
		return quantity.Value()
	}
	for _, container := range []corev1.Container{apiContainer(t, list), sweepContainer(t, list)} {
		goLimit := bytesOf(variables["GOMEMLIMIT"])
		if container.Name == "sweep" {
			require.Equal(t, "GOMEMLIMIT", container.Env[0].Name)
			goLimit = bytesOf(container.Env[0].Value)
		}
		request, limit := container.Resources.Requests.Memory().Value(), container.Resources.Limits.Memory().Value()
		assert.Less(t, goLimit, request, container.Name)
		assert.Less(t, request, limit, container.Name)
	}
	requests := bytesOf(variables["REQUEST_MEMORY"])
	assert.Less(t, requests, bytesOf(variables["GOMEMLIMIT"]))
	assert.Equal(t, config.Default().RequestMemory, requests, "read as the API reads it")
}

// Ensure Go's memory limit follows from the request and stays below what makes the autoscaler add pods.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	for _, request := range []string{"64Mi", "128Mi", "131072Ki", "2Gi"} {
		v := defaultAPI()
		v.Resources.Requests.Memory, v.Resources.Limits.Memory = request, "4Gi"
		limit := environment(t, objects(t, mustRender(t, "prima-api", v)))["GOMEMLIMIT"]
		require.Regexp(t, `^[0-9]+MiB$`, limit)
		bytes, err := strconv.ParseInt(limit[:len(limit)-3], 10, 64)
		require.NoError(t, err)
		amount := resource.MustParse(request)
		share := float64(bytes<<20) / float64(amount.Value())
		assert.Less(t, share, float64(v.Autoscaling.MemoryPercent)/100, request)
		assert.Greater(t, share, 0.65, request)
	}
}

// Ensure that whatever the container is started with makes new pods when it changes, and that nothing else does.
func TestChangesRollOut(t *testing.T) {
	t.Parallel()
	template := func(change func(v *charts.PrimaAPI)) corev1.PodTemplateSpec {
		v := localAPI()
		change(&v)
		return deployment(t, "prima-api", v).Spec.Template
	}
	before := template(func(*charts.PrimaAPI) {})
	for name, change := range map[string]func(v *charts.PrimaAPI){
		"setting":     func(v *charts.PrimaAPI) { v.Config["LOG_LEVEL"] = "debug" },
		"runtime":     func(v *charts.PrimaAPI) { v.Runtime["GOGC"] = "50" },
		"memory":      func(v *charts.PrimaAPI) { v.GoMemoryPercent = 60 },
		"credentials": func(v *charts.PrimaAPI) { v.Credentials.SecretAccessKey = "changed" },
		"image":       func(v *charts.PrimaAPI) { v.Image.Tag = "changed" },
		"guard": func(v *charts.PrimaAPI) {
			v.Access = charts.Access{Mode: charts.AccessToken, Tokens: []string{ciEntry}}
		},
	} {
		assert.NotEqual(t, before, template(change), name)
	}
	guarded := func(access charts.Access) corev1.PodTemplateSpec {
		return template(func(v *charts.PrimaAPI) { v.Access = access })
	}
	assert.NotEqual(t, guarded(charts.Access{Mode: charts.AccessToken, Tokens: []string{ciEntry}}),
		guarded(charts.Access{Mode: charts.AccessToken, Tokens: []string{ciEntry, adminEntry}}), "tokens")
	for name, change := range map[string]func(v *charts.PrimaAPI){
		"service":     func(v *charts.PrimaAPI) { v.Service.NodePort = 30001 },
		"autoscaling": func(v *charts.PrimaAPI) { v.Autoscaling.MaxReplicas = 9 },
		"ingress":     func(v *charts.PrimaAPI) { v.Ingress.Host = "changed.example.com" },
		"sweep":       func(v *charts.PrimaAPI) { v.Sweep.Schedule = "@daily" },
	} {
		assert.Equal(t, before, template(change), name)
	}

	token := charts.DefaultLocalStack()
	token.AuthToken = "one"
	first := deployment(t, "localstack", token).Spec.Template
	token.AuthToken = "two"
	assert.NotEqual(t, first, deployment(t, "localstack", token).Spec.Template)
}

// Ensure a rollout never takes a pod away before its successor is ready, and reports a failure in time
// for Pulumi to name the reason.
func TestRollout(t *testing.T) {
	t.Parallel()
	d := deployment(t, "prima-api", defaultAPI())
	assert.Zero(t, d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue())
	assert.Equal(t, 1, d.Spec.Strategy.RollingUpdate.MaxSurge.IntValue())
	assert.Equal(t, "110", d.Annotations["pulumi.com/timeoutSeconds"])
	assert.Less(t, *d.Spec.ProgressDeadlineSeconds, int32(120))
	assert.Positive(t, d.Spec.MinReadySeconds)

	// Two LocalStacks beside each other would answer in turn, each with data of its own.
	assert.Equal(t, appsv1.RecreateDeploymentStrategyType, deployment(t, "localstack", charts.DefaultLocalStack()).Spec.Strategy.Type)
}

// Ensure everything that selects pods selects those of the Deployment, and nothing the test's and the sweep's but a policy of their own.
func TestSelectors(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, chart string, values any) {
		list := objects(t, mustRender(t, chart, values))
		for _, pod := range pods(list) {
			matches := func(selector map[string]string) bool {
				return labels.SelectorFromSet(selector).Matches(labels.Set(pod.labels))
			}
			deployed := pod.name == "Deployment"
			for _, d := range find[*appsv1.Deployment](list) {
				assert.Equal(t, deployed, matches(d.Spec.Selector.MatchLabels))
				assert.NotContains(t, d.Spec.Selector.MatchLabels, "helm.sh/chart", "would change with the version")
				for _, spread := range d.Spec.Template.Spec.TopologySpreadConstraints {
					assert.Equal(t, deployed, matches(spread.LabelSelector.MatchLabels))
				}
			}
			for _, s := range find[*corev1.Service](list) {
				assert.Equal(t, deployed, matches(s.Spec.Selector), "Service")
			}
			for _, b := range find[*policyv1.PodDisruptionBudget](list) {
				assert.Equal(t, deployed, matches(b.Spec.Selector.MatchLabels), "PodDisruptionBudget")
			}
			var policies []string
			for _, p := range find[*networkingv1.NetworkPolicy](list) {
				if matches(p.Spec.PodSelector.MatchLabels) {
					policies = append(policies, p.Spec.PodSelector.MatchLabels["app.kubernetes.io/component"])
				}
			}
			assert.Equal(t, []string{pod.labels["app.kubernetes.io/component"]}, policies, "NetworkPolicies of the "+pod.name)
		}
	})
}

// Ensure every object says what it belongs to, and is in the release's namespace.
func TestLabels(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, chart string, values any) {
		for _, object := range objects(t, mustRender(t, chart, values)) {
			o, ok := object.(metav1.Object)
			require.True(t, ok)
			assert.NotEmpty(t, o.GetLabels()["app.kubernetes.io/managed-by"], o.GetName())
			if chart == "namespaces" {
				continue
			}
			for _, label := range []string{"helm.sh/chart", "app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version"} {
				assert.NotEmpty(t, o.GetLabels()[label], "%s of %s", label, o.GetName())
			}
			assert.Equal(t, namespaceOf(chart), o.GetNamespace())
		}
	})
}

// Ensure the ways in lead to the container's port.
func TestWaysIn(t *testing.T) {
	t.Parallel()
	list := objects(t, mustRender(t, "prima-api", localAPI()))
	service := one[*corev1.Service](t, list)
	assert.Equal(t, corev1.ServiceTypeNodePort, service.Spec.Type)
	assert.EqualValues(t, 30000, service.Spec.Ports[0].NodePort)
	container := apiContainer(t, list)
	assert.Equal(t, container.Ports[0].Name, service.Spec.Ports[0].TargetPort.String())

	ingress := one[*networkingv1.Ingress](t, list)
	assert.Equal(t, "nginx", *ingress.Spec.IngressClassName)
	require.Len(t, ingress.Spec.Rules, 2)
	for i, host := range []string{"prima-api.localhost", "prima-api.local"} {
		rule := ingress.Spec.Rules[i]
		assert.Equal(t, host, rule.Host)
		assert.Equal(t, service.Name, rule.HTTP.Paths[0].Backend.Service.Name)
		assert.Equal(t, service.Spec.Ports[0].Name, rule.HTTP.Paths[0].Backend.Service.Port.Name)
	}
	assert.Equal(t, "true", ingress.Annotations["pulumi.com/skipAwait"])
	size, err := strconv.ParseInt(ingress.Annotations["nginx.ingress.kubernetes.io/proxy-body-size"], 10, 64)
	require.NoError(t, err)
	assert.Greater(t, size, config.Default().MaxAvatarBytes, "nginx must pass on every avatar that the API accepts")

	service = one[*corev1.Service](t, objects(t, mustRender(t, "prima-api", defaultAPI())))
	assert.Equal(t, corev1.ServiceTypeClusterIP, service.Spec.Type)
	assert.Zero(t, service.Spec.Ports[0].NodePort)
}

// Ensure LocalStack gets no variables but its own, and everything that it is asked for.
func TestLocalStackEnvironment(t *testing.T) {
	t.Parallel()
	list := objects(t, mustRender(t, "localstack", extremeLocalStack()))
	spec := one[*appsv1.Deployment](t, list).Spec.Template.Spec
	assert.False(t, *spec.EnableServiceLinks, "LOCALSTACK_PORT of the Service would be read as a setting")
	variables := map[string]string{}
	for _, v := range spec.Containers[0].Env {
		variables[v.Name] = v.Value
	}
	assert.Equal(t, map[string]string{
		"GATEWAY_LISTEN": "0.0.0.0:4567", "SERVICES": "dynamodb", "EAGER_SERVICE_LOADING": "0",
		"DEBUG": "1", "DISABLE_EVENTS": "1", "DNS_ADDRESS": "0", "SKIP_SSL_CERT_DOWNLOAD": "1", "LOCALSTACK_AUTH_TOKEN": "",
	}, variables)
	assert.Equal(t, "ls-token", string(one[*corev1.Secret](t, list).Data["LOCALSTACK_AUTH_TOKEN"]))
	assert.Equal(t, "http://aws.localstack.svc:4567", charts.ServiceURL(one[*corev1.Service](t, list).Name, "localstack", 4567))

	list = objects(t, mustRender(t, "localstack", charts.DefaultLocalStack()))
	assert.Empty(t, find[*corev1.Secret](list))
	service := one[*corev1.Service](t, list)
	assert.EqualValues(t, 31566, service.Spec.Ports[0].NodePort)
	assert.EqualValues(t, 4566, service.Spec.Ports[0].Port)
}

// A pod is what the Pod Security Standards and the selectors look at.
type pod struct {
	name   string // Deployment, CronJob or Pod
	labels map[string]string
	meta   *metav1.ObjectMeta
	spec   corev1.PodSpec
}

// pods returns every pod that the objects make.
func pods(list []runtime.Object) []pod {
	var found []pod
	for _, d := range find[*appsv1.Deployment](list) {
		found = append(found, pod{"Deployment", d.Spec.Template.Labels, &d.Spec.Template.ObjectMeta, d.Spec.Template.Spec})
	}
	for _, c := range find[*batchv1.CronJob](list) {
		template := c.Spec.JobTemplate.Spec.Template
		found = append(found, pod{"CronJob", template.Labels, &template.ObjectMeta, template.Spec})
	}
	for _, p := range find[*corev1.Pod](list) {
		found = append(found, pod{"Pod", p.Labels, &p.ObjectMeta, p.Spec})
	}
	return found
}
