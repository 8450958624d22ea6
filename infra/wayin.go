package main

import (
	"maps"

	"prima.internal/app/config"
	"prima.internal/infra/charts"
)

// open gives the API its way in from outside of the cluster.
func (a APISettings) open(values *charts.PrimaAPI) {
	if a.Ingress.Host != "" {
		in := &values.Ingress
		in.Enabled, in.Host, in.Aliases, in.ClassName = true, a.Ingress.Host, a.Ingress.Aliases, a.Ingress.Class
		in.TLSSecretName, in.ControllerNamespace = a.Ingress.TLSSecret, a.Ingress.ControllerNamespace
		if a.Ingress.Class == classALB {
			in.Annotations = mergeInto(in.Annotations, a.Ingress.forALB())
			// Behind a load balancer that is told of pods by their addresses, a pod gets requests for a while after it has left.
			values.Rollout.PreStopSleepSeconds = albLeaveSeconds
			// A new pod counts only once the load balancer has found it healthy: see namespaceLabels.
			values.Rollout.TimeoutSeconds = albRolloutSeconds
		}
		in.Annotations = mergeInto(in.Annotations, a.Ingress.Annotations)
	}
	if a.Gateway.Host != "" {
		values.HTTPRoute.Enabled, values.HTTPRoute.Hostnames = true, []string{a.Gateway.Host}
		parent := map[string]any{"name": a.Gateway.Name, "sectionName": a.Gateway.Listener}
		if a.Gateway.Namespace != "" {
			parent["namespace"] = a.Gateway.Namespace
		}
		values.HTTPRoute.ParentRefs = []map[string]any{parent}
	}
	var from []map[string]any
	for _, cidr := range a.LetIn.CIDRs {
		from = append(from, map[string]any{"ipBlock": map[string]any{"cidr": cidr}})
	}
	for _, namespace := range a.LetIn.Namespaces {
		from = append(from, map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": namespace}}})
	}
	if len(from) > 0 {
		values.NetworkPolicy.Ingress = []map[string]any{{"ports": []any{map[string]any{"protocol": "TCP", "port": "http"}}, "from": from}}
	}
}

const (
	albLeaveSeconds   = 20
	albRolloutSeconds = 600
)

// forALB returns the annotations by which an Ingress is a load balancer that ends TLS and calls pods by their addresses. It
// is internal unless an annotation of the stack says otherwise.
//
// Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/.
func (i IngressSettings) forALB() map[string]string {
	const prefix = "alb.ingress.kubernetes.io/"
	annotations := map[string]string{
		prefix + "target-type": "ip", prefix + "healthcheck-path": config.PathReady, prefix + "healthcheck-interval-seconds": "5",
		prefix + "listen-ports": `[{"HTTP":80}]`,
	}
	if i.Certificate != "" {
		maps.Copy(annotations, map[string]string{
			prefix + "listen-ports": `[{"HTTPS":443}]`, prefix + "certificate-arn": i.Certificate, prefix + "ssl-policy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
		})
	}
	return annotations
}

// namespaceLabels returns the labels that the namespace of the API needs for its Ingress: those by which the AWS Load
// Balancer Controller holds a rollout until the load balancer knows the new pod.
//
// Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate/.
func (i IngressSettings) namespaceLabels() map[string]string {
	if i.Host == "" || i.Class != classALB {
		return nil
	}
	return map[string]string{"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"}
}

// mergeInto returns both maps as one; what is in the second comes before what is in the first.
func mergeInto(first, second map[string]string) map[string]string {
	merged := maps.Clone(first)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, second)
	return merged
}
