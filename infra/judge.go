package main

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"prima.internal/infra/charts"
)

// A judge notes a setting that is not as it must be.
type judge func(ok bool, key string, value any, allowed string)

// judgeAWS notes what is wrong between the stack and the AWS and the cluster that it is in.
func (s Stack) judgeAWS(must judge) {
	a := s.AWS
	if a.Identity != podIdentity && a.Identity != irsa {
		must(a.Cluster == "", "aws.cluster", a.Cluster, "empty unless aws.identity is "+podIdentity)
		must(a.OIDCIssuer == "", "aws.oidcIssuer", a.OIDCIssuer, "empty unless aws.identity is "+irsa)
		must(a.PermissionsBoundary == "", "aws.permissionsBoundary", a.PermissionsBoundary, "empty where the stack makes no role: aws.identity is "+identityNone)
		return
	}
	must(!s.emulated(), "aws.identity", a.Identity, identityNone+" beside an emulator, which knows no roles: see localstack")
	must(a.Account != "", "aws.account", a.Account, "the 12 digits of the account whose table and bucket the roles are for")
	must(s.Kubernetes.Context != defaultContext, "kubernetes.context", s.Kubernetes.Context, "the context of the EKS cluster that aws.identity is about")
	if a.Identity == podIdentity {
		must(a.Cluster != "", "aws.cluster", a.Cluster, "the name of the EKS cluster, for "+podIdentity)
		must(a.OIDCIssuer == "", "aws.oidcIssuer", a.OIDCIssuer, "empty unless aws.identity is "+irsa)
	} else {
		must(a.OIDCIssuer != "", "aws.oidcIssuer", a.OIDCIssuer, "the https URL of the cluster's issuer, for "+irsa)
		must(a.Cluster == "", "aws.cluster", a.Cluster, "empty unless aws.identity is "+podIdentity)
	}
}

// judgeMonitoring notes what is wrong with how the API is watched.
func (s Stack) judgeMonitoring(must judge) {
	m := s.API.Monitoring
	set := m.Namespace != "" || len(m.Labels) > 0 || m.KubeStateMetrics || m.RunbookURL != ""
	must(m.Enabled || !set, "api.monitoring.enabled", m.Enabled, "true, or the rest of api.monitoring is for nothing")
}

// judgeTracing notes what is wrong with where traces go.
func (s Stack) judgeTracing(must judge) {
	t := s.API.Tracing
	set := t.HeadersSecret != "" || t.Share != defaultStack("").API.Tracing.Share
	must(t.Endpoint != "" || !set, "api.tracing.endpoint", t.Endpoint, "the URL of a collector, or the rest of api.tracing is for nothing")
	must(!strings.HasSuffix(strings.TrimRight(t.Endpoint, "/"), "/v1/traces"), "api.tracing.endpoint", t.Endpoint, "without /v1/traces, which is put behind it")
}

// judgeWayIn notes what is wrong with how clients reach the API.
func (s Stack) judgeWayIn(must judge) {
	in, gate := s.API.Ingress, s.API.Gateway
	must(in.Host != "" || (len(in.Aliases) == 0 && in.Port == 0), "api.ingress.host", in.Host, "a host name, or api.ingress.aliases and api.ingress.port are for nothing")
	must(in.Certificate == "" || in.Class == classALB, "api.ingress.certificate", in.Certificate, "empty unless api.ingress.class is "+classALB+": other controllers take api.ingress.tlsSecret")
	must(in.TLSSecret == "" || in.Class != classALB, "api.ingress.tlsSecret", in.TLSSecret, "empty where api.ingress.class is "+classALB+", which takes api.ingress.certificate")

	must(gate.Host == "" || in.Host == "", "api.gateway.host", gate.Host, "empty beside api.ingress.host: links begin with one of them")
	must((gate.Host == "") == (gate.Name == ""), "api.gateway.name", gate.Name, "the name of the Gateway, set together with api.gateway.host")
	must(gate.Host == "" || gate.Listener != "", "api.gateway.listener", gate.Listener, "the name of the Gateway's listener for https: a route without one answers at that for http too")

	for _, cidr := range s.API.LetIn.CIDRs {
		_, err := netip.ParsePrefix(cidr)
		must(err == nil || !prefix.MatchString(cidr), "api.letIn.cidrs", cidr, "addresses, such as 10.0.0.0/16")
	}
	some := len(s.API.LetIn.CIDRs)+len(s.API.LetIn.Namespaces) > 0
	must(in.Host == "" || in.Class != classALB || len(s.API.LetIn.CIDRs) > 0, "api.letIn.cidrs", "", "the addresses of the subnets that the load balancer of api.ingress is in, such as 10.0.0.0/16")
	must(gate.Host == "" || some, "api.letIn", "", "who calls the pods for the Gateway: its pods' namespaces, or the addresses of its load balancer as cidrs")

	// A token must not cross a network that others read.
	must(in.Host == "" || s.emulated() || s.API.secure(), "api.ingress.host", in.Host, "served by TLS, which takes api.ingress.tlsSecret or, with the class "+classALB+", api.ingress.certificate")
	must(s.API.NodePort == 0 || s.emulated() || s.API.Access == charts.AccessOpen, "api.nodePort", s.API.NodePort, "0 where AWS is no emulator: tokens would come in plain HTTP")
}

// secure reports whether clients come by TLS.
func (a APISettings) secure() bool {
	return a.Gateway.Host != "" || (a.Ingress.Host != "" && (a.Ingress.TLSSecret != "" || a.Ingress.Certificate != ""))
}

// publicURL returns where clients outside of the cluster reach the API; empty without a way in.
func (a APISettings) publicURL() string {
	switch {
	case a.Gateway.Host != "":
		return "https://" + a.Gateway.Host
	case a.Ingress.Host == "":
		return ""
	}
	base := url.URL{Scheme: "http", Host: a.Ingress.Host}
	if a.secure() {
		base.Scheme = "https"
	}
	if a.Ingress.Port != 0 {
		base.Host = net.JoinHostPort(a.Ingress.Host, strconv.Itoa(a.Ingress.Port))
	}
	return base.String()
}
