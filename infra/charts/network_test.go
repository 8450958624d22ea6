package charts_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"prima.internal/app/config"
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

func (n network) direction(t *testing.T, kind networkingv1.PolicyType, selected, peer, target host, protocol corev1.Protocol, port int32) bool {
	t.Helper()
	if selected.address != "" {
		return true // policies are for pods
	}
	isolated := false
	for _, p := range n {
		if p.Namespace != selected.namespace || !matches(t, &p.Spec.PodSelector, selected.labels) || !slices.Contains(p.Spec.PolicyTypes, kind) {
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

// cluster returns the policies and the pods of an API and a LocalStack with the given values.
func cluster(t *testing.T, api charts.PrimaAPI, localStack charts.LocalStack) (n network, pod map[string]host) {
	t.Helper()
	pod = map[string]host{
		"dns":     {namespace: "kube-system", labels: map[string]string{"k8s-app": "kube-dns"}},
		"metrics": {namespace: "kube-system", labels: map[string]string{"k8s-app": "metrics-server"}},
		"nginx":   {namespace: "ingress-nginx"},
		"other":   {namespace: "other"},
		"beside":  {namespace: "prima"},
	}
	for chart, values := range map[string]any{"prima-api": api, "localstack": localStack} {
		list := objects(t, mustRender(t, chart, values))
		n = append(n, find[*networkingv1.NetworkPolicy](list)...)
		for _, p := range pods(list) {
			h := host{namespace: namespaceOf(chart), labels: p.labels, ports: map[string]int32{}}
			for _, port := range p.spec.Containers[0].Ports {
				h.ports[port.Name] = port.ContainerPort
			}
			pod[chart+" "+p.name] = h
		}
	}
	return n, pod
}

// Ensure who may talk to whom, on the local stack, inside of a cluster, and on AWS.
func TestNetworkPolicies(t *testing.T) {
	t.Parallel()
	const api, sweep, test, localStack = "prima-api Deployment", "prima-api CronJob", "prima-api Pod", "localstack Deployment"
	address := func(a string) host { return host{address: a} }
	inCluster := localAPI()
	inCluster.Service.Type = "ClusterIP"
	noIngress := inCluster
	noIngress.Ingress.Enabled = false
	elsewhere := defaultAPI()
	c := config.Default()
	c.Endpoint = "http://192.0.2.7:4566"
	elsewhere.Config = charts.ConfigValues(c)
	off := defaultAPI()
	off.NetworkPolicy.Enabled = false

	for name, values := range map[string]struct {
		api                charts.PrimaAPI
		localStack         charts.LocalStack
		allowed, forbidden []connection
	}{
		"local": {
			localAPI(), charts.DefaultLocalStack(),
			[]connection{
				{from: api, to: localStack, port: 4566},
				{from: api, to: "dns", port: 53},
				{from: api, to: "dns", port: 53, udp: true},
				{from: api, host: address("169.254.20.10"), port: 53, udp: true},
				{from: "nginx", to: api, port: 5000},
				{from: test, to: api, port: 5000},
				{from: test, to: "dns", port: 53, udp: true},
				{outside: address("192.0.2.1"), to: api, port: 5000},        // a client of the NodePort
				{outside: address("192.0.2.1"), to: localStack, port: 4566}, // Pulumi
				{from: localStack, to: "dns", port: 53, udp: true},
				{from: sweep, to: localStack, port: 4566},
				{from: sweep, to: "dns", port: 53},
				{from: sweep, to: "dns", port: 53, udp: true},
			},
			[]connection{
				{from: sweep, to: api, port: 5000},
				{from: sweep, to: localStack, port: 22},
				{from: sweep, to: "other", port: 4566},
				{from: sweep, to: "metrics", port: 53},
				{from: sweep, host: address("203.0.113.1"), port: 443},
				{from: sweep, host: address("169.254.169.254"), port: 80},
				{from: api, to: sweep, port: 5000},
				{from: test, to: sweep, port: 5000},
				{from: "beside", to: sweep, port: 5000},
				{from: "nginx", to: sweep, port: 5000},
				{from: localStack, to: sweep, port: 5000},
				{outside: address("192.0.2.1"), to: sweep, port: 5000},
				{from: api, host: address("203.0.113.1"), port: 443},
				{from: api, host: address("169.254.169.254"), port: 80},
				{from: api, to: localStack, port: 22},
				{from: api, to: "other", port: 4566},
				{from: api, to: "metrics", port: 53},
				{from: "nginx", to: api, port: 9090},
				{from: test, to: localStack, port: 4566},
				{from: "other", to: test, port: 80},
				{from: localStack, to: api, port: 5000},
				{from: localStack, host: address("203.0.113.1"), port: 443},
				{outside: address("192.0.2.1"), to: localStack, port: 22},
			},
		},
		"in a cluster": {
			inCluster, charts.DefaultLocalStack(),
			[]connection{{from: "nginx", to: api, port: 5000}, {from: test, to: api, port: 5000}, {from: "beside", to: api, port: 5000}},
			[]connection{
				{from: "other", to: api, port: 5000},
				{outside: address("192.0.2.1"), to: api, port: 5000},
				{from: sweep, to: api, port: 5000},
				{from: "beside", to: sweep, port: 5000},
			},
		},
		"without an Ingress": {
			noIngress, extremeLocalStack(),
			[]connection{
				{from: test, to: api, port: 5000},
				{from: "beside", to: localStack, port: 4567},
				{from: localStack, host: address("203.0.113.1"), port: 443}, // its token is checked there
			},
			[]connection{
				{from: "nginx", to: api, port: 5000},
				{from: "other", to: localStack, port: 4567},
				{from: localStack, host: address("169.254.169.254"), port: 443},
			},
		},
		"AWS": {
			defaultAPI(), charts.DefaultLocalStack(),
			[]connection{
				{from: api, host: address("203.0.113.1"), port: 443},
				{from: api, host: address("2001:db8::1"), port: 443},
				{from: api, host: address("169.254.170.23"), port: 80},
				{from: api, to: "dns", port: 53, udp: true},
				{from: sweep, host: address("203.0.113.1"), port: 443},
				{from: sweep, host: address("169.254.170.23"), port: 80},
				{from: sweep, to: "dns", port: 53, udp: true},
			},
			[]connection{
				{from: sweep, host: address("203.0.113.1"), port: 80},
				{from: sweep, host: address("169.254.169.254"), port: 80},
				{from: sweep, to: api, port: 5000},
				{from: sweep, to: localStack, port: 4566},
				{from: api, to: sweep, port: 443},
				{from: "beside", to: sweep, port: 443},
				{from: "other", to: sweep, port: 443},
				{from: api, host: address("203.0.113.1"), port: 80},
				{from: api, host: address("169.254.169.254"), port: 80}, // the role of the node
				{from: api, host: address("169.254.169.254"), port: 443},
				{from: api, host: address("fd00:ec2::254"), port: 443},
				{from: api, to: localStack, port: 4566},
				{from: api, to: "other", port: 443},
			},
		},
		"an emulator elsewhere": {
			elsewhere, charts.DefaultLocalStack(),
			[]connection{{from: api, host: address("192.0.2.7"), port: 4566}, {from: sweep, host: address("192.0.2.7"), port: 4566}},
			[]connection{
				{from: api, host: address("192.0.2.8"), port: 4566},
				{from: api, host: address("203.0.113.1"), port: 443},
				{from: sweep, host: address("192.0.2.8"), port: 4566},
			},
		},
		"off": {
			off, charts.DefaultLocalStack(),
			[]connection{{from: "other", to: api, port: 5000}, {from: api, host: address("203.0.113.1"), port: 80}},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, pod := cluster(t, values.api, values.localStack)
			for _, c := range values.allowed {
				assert.True(t, c.allowed(t, n, pod), "%+v must be allowed", c)
			}
			for _, c := range values.forbidden {
				assert.False(t, c.allowed(t, n, pod), "%+v must be forbidden", c)
			}
		})
	}
}

// Ensure the API and the sweep reach DNS and AWS and no other pod, and that nobody reaches the sweep, whatever the
// port, even where LocalStack is for one namespace alone.
func TestNothingElseIsReached(t *testing.T) {
	t.Parallel()
	localStack := charts.DefaultLocalStack()
	localStack.NetworkPolicy.From = extremeLocalStack().NetworkPolicy.From
	n, pod := cluster(t, localAPI(), localStack)
	for _, from := range []string{"prima-api Deployment", "prima-api CronJob"} {
		var reached []string
		for name, to := range pod {
			for _, port := range []int32{22, 53, 80, 443, 4566, 5000, 10250} {
				if n.allows(t, pod[from], to, corev1.ProtocolTCP, port) {
					reached = append(reached, fmt.Sprintf("%s:%d", name, port))
				}
			}
		}
		assert.ElementsMatch(t, []string{"dns:53", "localstack Deployment:4566"}, reached, from)
	}
	pod["outside"] = host{address: "192.0.2.1"}
	for name, from := range pod {
		for _, port := range []int32{22, 53, 80, 443, 4566, 5000, 10250} {
			assert.False(t, n.allows(t, from, pod["prima-api CronJob"], corev1.ProtocolTCP, port), "%s to port %d of the sweep", name, port)
		}
	}
}

// A connection is from a pod by its name or from an address outside, to a pod by its name or to an address.
type connection struct {
	from    string
	outside host
	to      string
	host    host
	port    int32
	udp     bool
}

func (c connection) allowed(t *testing.T, n network, pod map[string]host) bool {
	t.Helper()
	from, to, protocol := c.outside, c.host, corev1.ProtocolTCP
	if c.from != "" {
		require.Contains(t, pod, c.from)
		from = pod[c.from]
	}
	if c.to != "" {
		require.Contains(t, pod, c.to)
		to = pod[c.to]
	}
	if c.udp {
		protocol = corev1.ProtocolUDP
	}
	return n.allows(t, from, to, protocol, c.port)
}

// Ensure an endpoint is let out to by what is known of it: a namespace, the own one, an address, or its port alone.
func TestEgressFollowsTheEndpoint(t *testing.T) {
	t.Parallel()
	inNamespace := func(name string) host { return host{namespace: name} }
	for endpoint, test := range map[string]struct {
		to   host
		port int32
	}{
		"http://localstack.aws.svc:4566":               {inNamespace("aws"), 4566},
		"http://localstack.aws.svc.cluster.local:4566": {inNamespace("aws"), 4566},
		"http://localstack.aws:4566":                   {inNamespace("aws"), 4566},
		"http://localstack.com:4566":                   {host{address: "203.0.113.1"}, 4566}, // or so: nobody knows
		"http://localstack:4566":                       {inNamespace("prima"), 4566},
		"http://localstack":                            {inNamespace("prima"), 80},
		"https://aws.example.com/path":                 {host{address: "203.0.113.1"}, 443},
		"https://example.com:8443":                     {host{address: "203.0.113.1"}, 8443},
		"http://192.0.2.7":                             {host{address: "192.0.2.7"}, 80},
		"http://[2001:db8::7]:4566":                    {host{address: "2001:db8::7"}, 4566},
	} {
		c := config.Default()
		c.Endpoint = endpoint
		v := defaultAPI()
		v.Config = charts.ConfigValues(c)
		n, pod := cluster(t, v, charts.DefaultLocalStack())
		assert.True(t, n.allows(t, pod["prima-api Deployment"], test.to, corev1.ProtocolTCP, test.port), endpoint)
		assert.False(t, n.allows(t, pod["prima-api Deployment"], test.to, corev1.ProtocolTCP, test.port+1), endpoint)
		assert.False(t, n.allows(t, pod["prima-api Deployment"], inNamespace("other"), corev1.ProtocolTCP, test.port), endpoint)
	}
}

// Ensure the API, and not the sweep, which has no traces, is let out to the collector.
func TestEgressToTheCollector(t *testing.T) {
	t.Parallel()
	collector := host{namespace: "observability"}
	v := defaultAPI()
	for _, endpoint := range []string{"", "http://collector.observability.svc:4318"} {
		v.Tracing.Endpoint = endpoint
		n, pod := cluster(t, v, charts.DefaultLocalStack())
		assert.Equal(t, endpoint != "", n.allows(t, pod["prima-api Deployment"], collector, corev1.ProtocolTCP, 4318), endpoint)
		assert.False(t, n.allows(t, pod["prima-api Deployment"], collector, corev1.ProtocolTCP, 4317), endpoint)
		assert.False(t, n.allows(t, pod["prima-api CronJob"], collector, corev1.ProtocolTCP, 4318), endpoint)
	}
}
