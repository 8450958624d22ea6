package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"prima.internal/app/config"
	"prima.internal/app/contract"
	"prima.internal/infra/charts"
	"prima.internal/infra/image"
)

// faults returns those of the tokens, and what the schema cannot check, above all between settings,
// each fault with its key.
func (s Stack) faults(tokens []error) []error {
	faults := slices.Clone(tokens)
	must := func(ok bool, key string, value any, allowed string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s is %q, must be %s", key, fmt.Sprint(value), allowed))
		}
	}
	must(s.LocalStack.Deploy || (s.LocalStack.Endpoint == "") == (s.LocalStack.PodEndpoint == ""),
		"localstack.podEndpoint", s.LocalStack.PodEndpoint,
		"set together with localstack.endpoint, unless localstack.deploy is true")
	const name = "a name: the API would take an empty one for the default"
	must(s.Storage.Region != "", "storage.region", "", name)
	for _, r := range s.Contract.Resources() {
		must(*r.Name != "", "storage."+storageKey(r), "", name)
	}
	s.checkIdentity(must)
	must(s.API.Image == image.Name || s.API.Tag != "" || s.API.Digest != "", "api.tag", s.API.Tag,
		"the tag of the image, unless api.image is "+image.Name+", which is built from this checkout")
	for key, setBy := range map[string]string{
		"image": "api.image, api.tag and api.digest", "config": "api.config", "access": "api.access and tokens",
	} {
		_, set := s.API.Values[key]
		must(!set, "api.values."+key, s.API.Values[key], "set by "+setBy)
	}
	s.checkWayIn(must)
	if len(tokens) == 0 {
		must(s.API.Access != charts.AccessToken || len(s.AccessTokens) > 0, "api.access", s.API.Access,
			"open, which lets everybody in, unless the stack has a token: task token NAME=… SCOPE=… STACK="+s.Name)
		must(s.API.Access != charts.AccessOpen || len(s.AccessTokens) == 0, "api.access", s.API.Access,
			"token while the stack has tokens, which task token:revoke NAME=… STACK="+s.Name+" removes")
	}
	for _, is := range config.Roles() {
		if name := s.roleName(is); s.AWS.Identity != identityNone && len(name) > longestRoleName {
			faults = append(faults, fmt.Errorf("aws.identity: the role would be called %s, and a name has at most %d "+
				"characters: call the stack something shorter", name, longestRoleName))
		}
	}
	_, err := s.apiConfig()
	if wrong, ok := errors.AsType[*contract.Error](err); ok {
		for _, fault := range wrong.Faults {
			faults = append(faults, fmt.Errorf("%s: %s", keyOf(fault.Variable), fault))
		}
	}
	return faults
}

// A check adds a fault of the setting key, which has a value that is not allowed, unless ok.
type check func(ok bool, key string, value any, allowed string)

// checkIdentity checks how pods assume their roles.
func (s Stack) checkIdentity(must check) {
	a := s.AWS
	must((a.Identity == podIdentity) == (a.Cluster != ""), "aws.cluster", a.Cluster,
		"the name of the EKS cluster with aws.identity podIdentity, and empty otherwise")
	must((a.Identity == irsa) == (a.OIDCIssuer != ""), "aws.oidcIssuer", a.OIDCIssuer,
		"the https URL of the cluster's issuer with aws.identity irsa, and empty otherwise")
	if a.Identity == identityNone {
		must(a.PermissionsBoundary == "", "aws.permissionsBoundary", a.PermissionsBoundary,
			"empty while aws.identity is none, which makes no role")
		return
	}
	must(!s.emulated(), "aws.identity", a.Identity, "none beside an emulator, which has no roles")
	must(a.Account != "", "aws.account", a.Account, "the 12 digits of the account that the roles are in")
	must(s.Kubernetes.Context != defaultContext, "kubernetes.context", s.Kubernetes.Context,
		"the context of the EKS cluster")
}

// checkWayIn checks how clients reach the API: no token may cross a network in plain text, and the
// network policy must let the load balancer in.
func (s Stack) checkWayIn(must check) {
	values := s.Values
	in, route, service := values.Ingress, values.HTTPRoute, values.Service
	must(!in.Enabled || !route.Enabled, "api.values.httpRoute.enabled", true,
		"false beside api.values.ingress, because links begin with one of them")
	must(service.Type != "NodePort" || !s.LocalStack.Deploy || service.NodePort != localStackPort,
		"api.values.service.nodePort", service.NodePort, "another: it is LocalStack's")
	must(!strings.HasSuffix(values.Tracing.Endpoint, "/v1/traces"), "api.values.tracing.endpoint", values.Tracing.Endpoint,
		"without /v1/traces, which is appended")
	letIn := len(values.NetworkPolicy.Ingress) > 0 || !values.NetworkPolicy.Enabled
	const rules = "the rules that let in the pods or the subnets of the load balancer"
	if route.Enabled {
		must(letIn, "api.values.networkPolicy.ingress", "", rules)
		must(len(route.Hostnames) > 0, "api.values.httpRoute.hostnames", route.Hostnames, "the hosts, which links begin with")
		for _, parent := range route.ParentRefs {
			must(parent["sectionName"] != nil, "api.values.httpRoute.parentRefs", parent,
				"with a sectionName, the Gateway's https listener: a route without one is served by http too")
		}
	}
	if in.Enabled && in.ClassName == classALB {
		must(letIn, "api.values.networkPolicy.ingress", "", rules)
		must(in.TLSSecretName == "", "api.values.ingress.tlsSecretName", in.TLSSecretName,
			"empty with the class alb, which takes the annotation "+albCertificate)
	}
	if s.emulated() {
		return
	}
	must(!in.Enabled || hasTLS(in), "api.values.ingress", in.Host,
		"served by TLS, which takes tlsSecretName or, with the class alb, the annotation "+albCertificate)
	must(service.Type == "ClusterIP" || s.API.Access == charts.AccessOpen, "api.values.service.type", service.Type,
		"ClusterIP on AWS, because tokens would come in plain HTTP")
}

// keyOf returns the setting of the stack that a variable of the API comes from.
func keyOf(variable string) string {
	for _, r := range new(config.Config).Resources() {
		if r.Variable == variable {
			return "storage." + storageKey(r)
		}
	}
	switch variable {
	case config.VariableRegion:
		return "storage.region"
	case config.VariableEndpoint:
		return "localstack.podEndpoint"
	}
	return "api.config." + variable
}
