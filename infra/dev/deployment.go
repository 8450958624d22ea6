// Package dev puts a program that was compiled a moment ago into the cluster, without an image of it: a Deployment beside
// that of the API runs a small runner, which takes programs over kubectl exec and runs the last one.
package dev

import (
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// Suffix is what the name of the Deployment for development has after that of the API.
	Suffix = "-dev"
	// Label tells its pods from the API's, whose Service and NetworkPolicy they share.
	Label = "prima.internal/dev"
	// Folder is where the runner keeps the program.
	Folder = "/program"
	// Runner is the program that the image consists of.
	Runner = "/dev-runner"
	// Container is the one that the program runs in.
	Container = "api"
	// programs is the room for the program that runs and the one that comes.
	programs = "512Mi"
)

// Deployment returns the API's Deployment as it is to be for development: one pod that the API's Service finds, with the
// same configuration, credentials, limits and security, in which the runner of the given image runs.
func Deployment(live *appsv1.Deployment, image string) *appsv1.Deployment {
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: live.Name + Suffix, Namespace: live.Namespace, Labels: maps.Clone(live.Labels)},
		Spec:       *live.Spec.DeepCopy(),
	}
	// Two versions at a time would answer in turn.
	d.Spec.Replicas, d.Spec.Strategy = new(int32(1)), appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	d.Spec.MinReadySeconds = 0
	for _, labels := range []*map[string]string{&d.Labels, &d.Spec.Selector.MatchLabels, &d.Spec.Template.Labels} {
		if *labels == nil {
			*labels = map[string]string{}
		}
		(*labels)[Label] = "true"
	}

	pod := &d.Spec.Template.Spec
	pod.TopologySpreadConstraints = nil
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: "program", VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: new(resource.MustParse(programs))},
	}})
	i := slices.IndexFunc(pod.Containers, func(c corev1.Container) bool { return c.Name == Container })
	c := &pod.Containers[i]
	c.Image, c.ImagePullPolicy = image, corev1.PullIfNotPresent
	c.Command, c.Args = []string{Runner}, nil
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "program", MountPath: Folder})
	for _, amounts := range []corev1.ResourceList{c.Resources.Limits, c.Resources.Requests} {
		delete(amounts, corev1.ResourceEphemeralStorage) // of an API that writes nothing
	}
	// A program that ends, or hangs in a debugger, is looked into and not started again.
	c.StartupProbe, c.LivenessProbe, c.Lifecycle = nil, nil, nil
	if c.ReadinessProbe != nil {
		c.ReadinessProbe.PeriodSeconds, c.ReadinessProbe.InitialDelaySeconds = 1, 0
	}
	// These go before what is in the ConfigMap.
	c.Env = append(c.Env, corev1.EnvVar{Name: "DRAIN_TIME", Value: "0s"}, corev1.EnvVar{Name: "LOG_FORMAT", Value: "text"})
	return d
}
