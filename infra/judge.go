package main

import (
	"net/netip"
	"regexp"

	"prima.internal/infra/charts"
)

var (
	accountID   = regexp.MustCompile(`^[0-9]{12}$`)
	clusterName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$`)
	oidcIssuer  = regexp.MustCompile(`^https://[a-z0-9.-]+(/[A-Za-z0-9._-]+)*$`)
	policyARN   = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+$`)
	certificate = regexp.MustCompile(`^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+$`)
	objectName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
)

// A judge notes a setting that is not as it must be.
type judge func(ok bool, key string, value any, allowed string)

// judgeAWS notes what is wrong between the stack and the AWS and the cluster that it is in.
func (s Stack) judgeAWS(must judge) {
	a := s.AWS
	must(a.Account == "" || accountID.MatchString(a.Account), "aws.account", a.Account, "an account's 12 digits, or empty")
	must(a.PermissionsBoundary == "" || policyARN.MatchString(a.PermissionsBoundary), "aws.permissionsBoundary", a.PermissionsBoundary, "the ARN of a policy, or empty")
	if a.Identity != podIdentity && a.Identity != irsa {
		must(a.Identity == identityNone, "aws.identity", a.Identity, podIdentity+", "+irsa+" or "+identityNone)
		must(a.Cluster == "", "aws.cluster", a.Cluster, "empty unless aws.identity is "+podIdentity)
		must(a.OIDCIssuer == "", "aws.oidcIssuer", a.OIDCIssuer, "empty unless aws.identity is "+irsa)
		must(a.PermissionsBoundary == "", "aws.permissionsBoundary", a.PermissionsBoundary, "empty where the stack makes no role: aws.identity is "+identityNone)
		return
	}
	must(!s.emulated(), "aws.identity", a.Identity, identityNone+" beside an emulator, which knows no roles: see localstack")
	must(a.Account != "", "aws.account", a.Account, "the 12 digits of the account whose table and bucket the roles are for")
	must(s.Kubernetes.Context != defaultContext, "kubernetes.context", s.Kubernetes.Context, "the context of the EKS cluster that aws.identity is about")
	if a.Identity == podIdentity {
		must(clusterName.MatchString(a.Cluster), "aws.cluster", a.Cluster, "the name of the EKS cluster, for "+podIdentity)
		must(a.OIDCIssuer == "", "aws.oidcIssuer", a.OIDCIssuer, "empty unless aws.identity is "+irsa)
	} else {
		must(oidcIssuer.MatchString(a.OIDCIssuer), "aws.oidcIssuer", a.OIDCIssuer, "the https URL of the cluster's issuer, without a slash at its end, for "+irsa)
		must(a.Cluster == "", "aws.cluster", a.Cluster, "empty unless aws.identity is "+podIdentity)
	}
}

// judgeMonitoring notes what is wrong with how the API is watched.
func (s Stack) judgeMonitoring(must judge) {
	m := s.API.Monitoring
	must(m.Namespace == "" || objectName.MatchString(m.Namespace), "api.monitoring.namespace", m.Namespace, "the name of a namespace, or empty for that of the chart")
	must(m.RunbookURL == "" || isHTTP(m.RunbookURL), "api.monitoring.runbookURL", m.RunbookURL, "an http or https URL, or empty")
	set := m.Namespace != "" || len(m.Labels) > 0 || m.KubeStateMetrics || m.RunbookURL != ""
	must(m.Enabled || !set, "api.monitoring.enabled", m.Enabled, "true, or the rest of api.monitoring is for nothing")
}

// judgeWayIn notes what is wrong with how clients reach the API.
func (s Stack) judgeWayIn(must judge) {
	in, gate := s.API.Ingress, s.API.Gateway
	must(in.Host == "" || hostName.MatchString(in.Host), "api.ingress.host", in.Host, "a host name, or empty")
	must(in.Class == "" || objectName.MatchString(in.Class), "api.ingress.class", in.Class, "the name of an IngressClass, or empty for the cluster's own")
	must(in.TLSSecret == "" || objectName.MatchString(in.TLSSecret), "api.ingress.tlsSecret", in.TLSSecret, "the name of a Secret, or empty")
	must(in.Certificate == "" || certificate.MatchString(in.Certificate), "api.ingress.certificate", in.Certificate, "the ARN of a certificate in ACM, or empty")
	must(in.Certificate == "" || in.Class == classALB, "api.ingress.certificate", in.Certificate, "empty unless api.ingress.class is "+classALB+": other controllers take api.ingress.tlsSecret")
	must(in.TLSSecret == "" || in.Class != classALB, "api.ingress.tlsSecret", in.TLSSecret, "empty where api.ingress.class is "+classALB+", which takes api.ingress.certificate")
	must(objectName.MatchString(in.ControllerNamespace), "api.ingress.controllerNamespace", in.ControllerNamespace, "the name of a namespace")

	must(gate.Host == "" || hostName.MatchString(gate.Host), "api.gateway.host", gate.Host, "a host name, or empty")
	must(gate.Host == "" || in.Host == "", "api.gateway.host", gate.Host, "empty beside api.ingress.host: links begin with one of them")
	must((gate.Host == "") == (gate.Name == ""), "api.gateway.name", gate.Name, "the name of the Gateway, set together with api.gateway.host")
	must(gate.Name == "" || objectName.MatchString(gate.Name), "api.gateway.name", gate.Name, "the name of a Gateway")
	must(gate.Namespace == "" || objectName.MatchString(gate.Namespace), "api.gateway.namespace", gate.Namespace, "the name of a namespace, or empty for that of the API")
	must(gate.Listener == "" || objectName.MatchString(gate.Listener), "api.gateway.listener", gate.Listener, "the name of a listener of the Gateway")
	must(gate.Host == "" || gate.Listener != "", "api.gateway.listener", gate.Listener, "the name of the Gateway's listener for https: a route without one answers at that for http too")

	for _, cidr := range s.API.LetIn.CIDRs {
		_, err := netip.ParsePrefix(cidr)
		must(err == nil, "api.letIn.cidrs", cidr, "addresses, such as 10.0.0.0/16")
	}
	for _, namespace := range s.API.LetIn.Namespaces {
		must(objectName.MatchString(namespace), "api.letIn.namespaces", namespace, "names of namespaces")
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
	case a.Ingress.Host != "" && a.secure():
		return "https://" + a.Ingress.Host
	case a.Ingress.Host != "":
		return "http://" + a.Ingress.Host
	}
	return ""
}
