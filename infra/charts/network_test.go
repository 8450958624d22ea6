package charts_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"prima.internal/infra/charts"
)

// A host is one end of a connection: a pod, or an address outside of the cluster.
type host struct {
	namespace string
	labels    map[string]string
	ports     map[string]int32 // named ports
	address   string           // empty for a pod
}

// network is every NetworkPolicy of a cluster.
type network []*networkingv1.NetworkPolicy

// allows tells whether a connection may be made, as Kubernetes' documentation says: a pod that no
// policy selects may do anything, and one that is selected what some rule of some policy allows.
//
// Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/.
func (n network) allows(t *testing.T, from, to host, protocol corev1.Protocol, port int32) bool {
	t.Helper()
	return n.direction(t, networkingv1.PolicyTypeEgress, from, to, to, protocol, port) &&
		n.direction(t, networkingv1.PolicyTypeIngress, to, from, to, protocol, port)
}

func (n network) direction(
	t *testing.T, kind networkingv1.PolicyType, selected, peer, target host, protocol corev1.Protocol, port int32,
) bool {
	t.Helper()
	if selected.address != "" {
		return true // policies are for pods
	}
	isolated := false
	for _, p := range n {
		selects := p.Namespace == selected.namespace && matches(t, &p.Spec.PodSelector, selected.labels)
		if !selects || !slices.Contains(p.Spec.PolicyTypes, kind) {
			continue
		}
		isolated = true
		if kind == networkingv1.PolicyTypeEgress {
			for _, rule := range p.Spec.Egress {
				if toPort(rule.Ports, target, protocol, port) && toPeer(t, rule.To, p.Namespace, peer) {
					return true
				}
			}
			continue
		}
		for _, rule := range p.Spec.Ingress {
			if toPort(rule.Ports, target, protocol, port) && toPeer(t, rule.From, p.Namespace, peer) {
				return true
			}
		}
	}
	return !isolated
}

func toPort(ports []networkingv1.NetworkPolicyPort, target host, protocol corev1.Protocol, port int32) bool {
	if len(ports) == 0 {
		return true
	}
	for _, p := range ports {
		number := p.Port.IntVal
		if p.Port.StrVal != "" {
			number = target.ports[p.Port.StrVal]
		}
		if *p.Protocol == protocol && number == port {
			return true
		}
	}
	return false
}

func toPeer(t *testing.T, peers []networkingv1.NetworkPolicyPeer, namespace string, peer host) bool {
	t.Helper()
	if len(peers) == 0 {
		return true
	}
	for _, p := range peers {
		if p.IPBlock != nil {
			if peer.address != "" && inBlock(p.IPBlock, netip.MustParseAddr(peer.address)) {
				return true
			}
			continue
		}
		if peer.address != "" {
			continue
		}
		inNamespace := peer.namespace == namespace
		if p.NamespaceSelector != nil {
			inNamespace = matches(t, p.NamespaceSelector, map[string]string{"kubernetes.io/metadata.name": peer.namespace})
		}
		if inNamespace && (p.PodSelector == nil || matches(t, p.PodSelector, peer.labels)) {
			return true
		}
	}
	return false
}

func inBlock(block *networkingv1.IPBlock, address netip.Addr) bool {
	for _, except := range block.Except {
		if netip.MustParsePrefix(except).Contains(address) {
			return false
		}
	}
	return netip.MustParsePrefix(block.CIDR).Contains(address)
}

func matches(t *testing.T, selector *metav1.LabelSelector, set map[string]string) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	require.NoError(t, err)
	return s.Matches(labels.Set(set))
}

// The hosts beside the pods of the charts.
var others = map[string]host{
	"dns":          {namespace: "kube-system", labels: map[string]string{"k8s-app": "kube-dns"}},
	"metrics":      {namespace: "kube-system", labels: map[string]string{"k8s-app": "metrics-server"}},
	"nginx":        {namespace: "ingress-nginx"},
	"observer":     {namespace: "observability"},
	"other":        {namespace: "other"},
	"beside":       {namespace: "prima"},
	"node cache":   {address: "169.254.20.10"},
	"metadata":     {address: "169.254.169.254"}, // of the node, whose role is not the pods'
	"metadata 6":   {address: "fd00:ec2::254"},
	"pod identity": {address: "169.254.170.23"},
	"emulator":     {address: "192.0.2.7"},
	"internet":     {address: "203.0.113.1"},
	"internet 6":   {address: "2001:db8::1"},
}

// cluster returns the policies and the hosts of a cluster with an API and a LocalStack.
func cluster(t *testing.T, api charts.PrimaAPI, emulator charts.LocalStack) (n network, hosts map[string]host) {
	t.Helper()
	hosts = maps.Clone(others)
	names := map[string]string{"prima-api Deployment": "api", "prima-api CronJob": "sweep", "prima-api Pod": "test"}
	for chart, values := range map[string]any{"prima-api": api, "localstack": emulator} {
		list := objectsOf(t, chart, values)
		n = append(n, find[*networkingv1.NetworkPolicy](list)...)
		for _, p := range pods(list) {
			h := host{namespace: namespaceOf[chart], labels: p.meta.Labels, ports: map[string]int32{}}
			for _, port := range p.spec.Containers[0].Ports {
				h.ports[port.Name] = port.ContainerPort
			}
			hosts[cmp.Or(names[chart+" "+p.kind], chart)] = h
		}
	}
	return n, hosts
}

// connections returns every connection that may be made from or to a host, as "other:port".
func (n network) connections(t *testing.T, hosts map[string]host, name string, from bool) []string {
	t.Helper()
	made := []string{}
	for other := range hosts {
		source, target := hosts[other], hosts[name]
		if from {
			source, target = target, source
		}
		for _, port := range []int32{22, 53, 80, 443, 4317, 4318, 4566, 5000, 9464, 10250} {
			if other != name && n.allows(t, source, target, corev1.ProtocolTCP, port) {
				made = append(made, fmt.Sprintf("%s:%d", other, port))
			}
		}
		if other != name && n.allows(t, source, target, corev1.ProtocolUDP, 53) {
			made = append(made, other+":53/udp")
		}
	}
	return made
}

// atPort returns the connections with some hosts at a port.
func atPort(port int, hosts ...string) []string {
	var all []string
	for _, host := range hosts {
		all = append(all, fmt.Sprintf("%s:%d", host, port))
	}
	return all
}

// Ensure the pods reach what they need and nothing else, and are reached by whom they serve and by nobody
// else: on the local stack, inside of a cluster, on AWS, and with what else makes rules.
func TestNetworkPolicies(t *testing.T) {
	t.Parallel()
	everybody := slices.Collect(maps.Keys(others))
	dns := []string{"dns:53", "dns:53/udp", "node cache:53", "node cache:53/udp"}
	outside := []string{"internet", "internet 6", "pod identity", "emulator", "node cache"}
	aws := slices.Concat(dns, atPort(443, outside...), atPort(80, "pod identity"))
	local := append(atPort(4566, "localstack"), dns...)
	beside := atPort(5000, "beside", "test")

	inCluster := localAPI()
	inCluster.Service.Type = "ClusterIP"
	traced := inCluster
	traced.Ingress.Enabled, traced.Tracing.Endpoint = false, "http://collector.observability.svc:4318"
	elsewhere := openAPI()
	elsewhere.Config["AWS_ENDPOINT_URL"] = "http://192.0.2.7:4566"
	watched := openAPI()
	watched.Service.Type, watched.Monitoring.Namespace = "NodePort", "observability"

	for name, test := range map[string]struct {
		values                    charts.PrimaAPI
		fromAPI, toAPI, fromSweep []string
		toLocalStack              []string // beside everybody from outside
	}{
		"local":        {localAPI(), local, atPort(5000, append(everybody, "test")...), local, atPort(4566, "api", "sweep")},
		"in a cluster": {inCluster, local, append(atPort(5000, "nginx"), beside...), local, atPort(4566, "api", "sweep")},
		"on AWS":       {openAPI(), aws, beside, aws, nil},
		"elsewhere":    {elsewhere, append(atPort(4566, "emulator"), dns...), beside, append(atPort(4566, "emulator"), dns...), nil},
		"watched": {
			watched, aws, append(atPort(5000, append(everybody, "test")...), "observer:9464"), aws, nil,
		},
		"traced": {traced, append(atPort(4318, "observer"), local...), beside, local, atPort(4566, "api", "sweep")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, hosts := cluster(t, test.values, localStack())
			assert.ElementsMatch(t, test.fromAPI, n.connections(t, hosts, "api", true), "from the API")
			assert.ElementsMatch(t, test.toAPI, n.connections(t, hosts, "api", false), "to the API")
			assert.ElementsMatch(t, test.fromSweep, n.connections(t, hosts, "sweep", true), "from the sweep")
			assert.Empty(t, n.connections(t, hosts, "sweep", false), "to the sweep")
			assert.ElementsMatch(t, append(atPort(5000, "api"), dns...), n.connections(t, hosts, "test", true), "from the test")
			assert.Empty(t, n.connections(t, hosts, "test", false), "to the test")
			assert.ElementsMatch(t, dns, n.connections(t, hosts, "localstack", true), "from LocalStack")
			toLocalStack := append(atPort(4566, everybody...), test.toLocalStack...)
			assert.ElementsMatch(t, toLocalStack, n.connections(t, hosts, "localstack", false), "to LocalStack")
		})
	}

	withToken := localStack()
	withToken.AuthToken = "token"
	n, hosts := cluster(t, openAPI(), withToken)
	checked := append(atPort(443, outside...), dns...)
	assert.ElementsMatch(t, checked, n.connections(t, hosts, "localstack", true), "its token is checked by its own servers")
}

// Ensure an endpoint is let out to by what is known of it: a namespace, the own one, an address, or its port alone.
func TestEgressFollowsTheEndpoint(t *testing.T) {
	t.Parallel()
	inNamespace := func(name string) host { return host{namespace: name} }
	internet := others["internet"]
	for endpoint, test := range map[string]struct {
		to   host
		port int32
	}{
		"http://localstack.aws.svc:4566":               {inNamespace("aws"), 4566},
		"http://localstack.aws.svc.cluster.local:4566": {inNamespace("aws"), 4566},
		"http://localstack.aws:4566":                   {inNamespace("aws"), 4566},
		"http://localstack.com:4566":                   {internet, 4566}, // or a namespace: nobody knows
		"http://localstack:4566":                       {inNamespace("prima"), 4566},
		"http://localstack":                            {inNamespace("prima"), 80},
		"https://aws.example.com/path":                 {internet, 443},
		"https://example.com:8443":                     {internet, 8443},
		"http://192.0.2.7":                             {others["emulator"], 80},
		"http://[2001:db8::1]:4566":                    {others["internet 6"], 4566},
	} {
		v := openAPI()
		v.Config["AWS_ENDPOINT_URL"] = endpoint
		n, hosts := cluster(t, v, localStack())
		assert.True(t, n.allows(t, hosts["api"], test.to, corev1.ProtocolTCP, test.port), endpoint)
		assert.False(t, n.allows(t, hosts["api"], test.to, corev1.ProtocolTCP, test.port+1), endpoint)
		assert.False(t, n.allows(t, hosts["api"], others["other"], corev1.ProtocolTCP, test.port), endpoint)
	}
}
