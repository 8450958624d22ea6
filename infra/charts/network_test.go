package charts_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"prima.internal/infra/charts"
)

// rule returns a rule in words, such as "TCP 443 0.0.0.0/0 not 169.254.169.254/32".
func rule(ports []networkingv1.NetworkPolicyPort, peers []networkingv1.NetworkPolicyPeer) string {
	var words []string
	for _, p := range ports {
		words = append(words, string(*p.Protocol), p.Port.String())
	}
	if len(peers) == 0 {
		words = append(words, "everybody")
	}
	for _, p := range peers {
		switch {
		case p.IPBlock != nil:
			words = append(words, p.IPBlock.CIDR)
			for _, except := range p.IPBlock.Except {
				words = append(words, "not", except)
			}
			continue
		case p.NamespaceSelector != nil:
			words = append(words, "in "+p.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
		default:
			words = append(words, "in its own namespace")
		}
		if p.PodSelector != nil && len(p.PodSelector.MatchLabels) > 0 {
			words = append(words, fmt.Sprint(p.PodSelector.MatchLabels))
		}
	}
	return strings.Join(words, " ")
}

// rules returns the rules for what a component may receive and send. No rule may let it reach
// everything, or the role of the node.
func rules(t *testing.T, list []runtime.Object, of string) (in, out []string) {
	t.Helper()
	policies := 0
	for _, p := range find[*networkingv1.NetworkPolicy](list) {
		if p.Spec.PodSelector.MatchLabels["app.kubernetes.io/component"] != of {
			continue
		}
		policies++
		assert.Len(t, p.Spec.PolicyTypes, 2, "both directions are restricted")
		for _, r := range p.Spec.Ingress {
			in = append(in, rule(r.Ports, r.From))
		}
		for _, r := range p.Spec.Egress {
			words := rule(r.Ports, r.To)
			assert.NotContains(t, words, "everybody", of)
			assert.Equal(t, strings.Contains(words, "/0"), strings.HasSuffix(words, toWorld), "%s: %s", of, words)
			out = append(out, words)
		}
	}
	require.Equal(t, 1, policies, of)
	return in, out
}

const (
	toDNS   = "UDP 53 TCP 53 in kube-system map[k8s-app:kube-dns] 169.254.20.10/32"
	toWorld = " 0.0.0.0/0 not 169.254.169.254/32 ::/0 not fd00:ec2::254/128" // without the role of the node
	toAWS   = "TCP 443" + toWorld
	// https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
	toPodIdentity = "TCP 80 169.254.170.23/32 fd00:ec2::23/128"
)

// Ensure the API and the sweep reach DNS and the endpoint of AWS, and nothing else, and that
// nothing reaches the sweep. A rule names as much of the endpoint as is known: a namespace, an
// address or a port.
func TestEgressFollowsTheEndpoint(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string][]string{
		"":                               {toAWS, toPodIdentity},
		"http://localstack.aws.svc:4566": {"TCP 4566 in aws"},
		"http://localstack.aws.svc.cluster.local:4566": {"TCP 4566 in aws"},
		"http://localstack.aws:4566":                   {"TCP 4566 in aws" + toWorld}, // a namespace or a domain
		"http://localstack:4566":                       {"TCP 4566 in its own namespace"},
		"http://localstack":                            {"TCP 80 in its own namespace"},
		"https://aws.example.com/path":                 {toAWS},
		"https://s3.example.com:8443":                  {"TCP 8443" + toWorld},
		"http://192.0.2.7":                             {"TCP 80 192.0.2.7/32"},
		"http://[2001:db8::7]:4566":                    {"TCP 4566" + toWorld},
	} {
		v := openAPI()
		v.Config["AWS_ENDPOINT_URL"] = endpoint
		want = append([]string{toDNS}, want...)
		list := objectsOf(t, "prima-api", v)
		_, api := rules(t, list, "api")
		assert.Equal(t, want, api, endpoint)
		in, sweep := rules(t, list, "sweep")
		assert.Equal(t, want, sweep, endpoint)
		assert.Empty(t, in)
	}

	v := localAPI()
	v.Tracing.Endpoint = "http://collector.observability.svc:4318"
	list := objectsOf(t, "prima-api", v)
	_, api := rules(t, list, "api")
	assert.Equal(t, []string{toDNS, "TCP 4566 in localstack", "TCP 4318 in observability"}, api)
	_, sweep := rules(t, list, "sweep")
	assert.Equal(t, []string{toDNS, "TCP 4566 in localstack"}, sweep, "the sweep sends no traces")
}

// Ensure only what its Service and Ingress need reaches the API's port, and only Prometheus the
// operators'.
func TestIngressFollowsTheWaysIn(t *testing.T) {
	t.Parallel()
	inCluster := localAPI()
	inCluster.Service.Type = "ClusterIP"
	for name, test := range map[string]struct {
		values charts.PrimaAPI
		want   string
	}{
		"in a cluster":    {openAPI(), "TCP http in its own namespace"},
		"with an Ingress": {inCluster, "TCP http in its own namespace in ingress-nginx"},
		"by a NodePort":   {localAPI(), "TCP http everybody"},
	} {
		in, _ := rules(t, objectsOf(t, "prima-api", test.values), "api")
		assert.Equal(t, []string{test.want, "TCP admin in monitoring"}, in, name)
	}
	_, out := rules(t, objectsOf(t, "prima-api", fullAPI()), "api")
	assert.Len(t, out, 5, "DNS, two endpoints, traces and the rule of the user")
	in, out := rules(t, objectsOf(t, "prima-api", openAPI()), "test")
	assert.Empty(t, in)
	const api = "TCP http in its own namespace map[app.kubernetes.io/component:api " +
		"app.kubernetes.io/instance:prima-api app.kubernetes.io/name:prima-api]"
	assert.Equal(t, []string{toDNS, api}, out)
}
