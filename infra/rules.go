package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"prima.internal/infra/charts"
)

// A rule says which values one setting of a stack may have by itself. What settings must be to each other is in judge.go.
type rule struct {
	key      string // such as api.ingress.host
	optional bool   // empty is allowed too
	pattern  *regexp.Regexp
	choices  []string
	numbers  *bounds
	longest  int    // in bytes; 0 for any length
	allowed  string // as the end of a sentence "must be …"
}

// bounds are the least and the most that a number may be.
type bounds struct{ least, most float64 }

var (
	anything    = regexp.MustCompile(`.`)
	hostName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
	objectName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	namespace   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	httpURL     = regexp.MustCompile(`^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/([!-"$&->@-~]|%[0-9A-Fa-f][0-9A-Fa-f])*)?$`)
	imageName   = regexp.MustCompile(`^([a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?/)?[a-z0-9]([a-z0-9._/-]*[a-z0-9])?$`)
	imageDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	imageTag    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	imageWhole  = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9._/-]*(:[0-9]+/[A-Za-z0-9._/-]+)?(:[A-Za-z0-9_][A-Za-z0-9._-]*)?(@sha256:[0-9a-f]{64})?$`)
	accountID   = regexp.MustCompile(`^[0-9]{12}$`)
	clusterName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$`)
	oidcIssuer  = regexp.MustCompile(`^https://[a-z0-9.-]+(/[A-Za-z0-9._-]+)*$`)
	policyARN   = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+$`)
	certificate = regexp.MustCompile(`^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+$`)
	prefix      = regexp.MustCompile(`^[0-9A-Fa-f.:]+/[0-9]{1,3}$`)
)

// rules are those of every setting that has one. The JSON schema of the stack's file is made of them too.
var rules = []rule{
	{key: "kubernetes.context", pattern: anything, allowed: "the name of a context in the kubeconfig"},
	{key: "kubernetes.host", pattern: hostName, longest: 253, allowed: "a host name or an IPv4 address"},
	{key: "localstack.image", pattern: imageWhole, allowed: "the name of an image"},
	{key: "localstack.endpoint", optional: true, pattern: httpURL, allowed: "an http or https URL"},
	{key: "localstack.podEndpoint", optional: true, pattern: httpURL, allowed: "an http or https URL"},
	{key: "aws.account", optional: true, pattern: accountID, allowed: "an account's 12 digits"},
	{key: "aws.identity", choices: []string{podIdentity, irsa, identityNone}},
	{key: "aws.cluster", optional: true, pattern: clusterName, allowed: "the name of an EKS cluster"},
	{key: "aws.oidcIssuer", optional: true, pattern: oidcIssuer, allowed: "the https URL of the cluster's issuer, without a slash at its end"},
	{key: "aws.permissionsBoundary", optional: true, pattern: policyARN, allowed: "the ARN of a policy"},
	{key: "storage.billing", choices: []string{provisioned, onDemand}},
	{key: "storage.noncurrentDays", numbers: &bounds{1, 36500}, allowed: "from 1 to 36500"},
	{key: "api.image", pattern: imageName, allowed: "the name of an image without a tag"},
	{key: "api.tag", optional: true, pattern: imageTag, allowed: "the tag of an image"},
	{key: "api.digest", optional: true, pattern: imageDigest, allowed: "sha256: and 64 hexadecimal digits"},
	{key: "api.nodePort", numbers: &bounds{0, mostNodePort}, allowed: fmt.Sprintf("0 or from %d to %d", leastNodePort, mostNodePort)},
	{key: "api.access", choices: []string{charts.AccessToken, charts.AccessOpen}},
	{key: "api.ingress.host", optional: true, pattern: hostName, longest: 253, allowed: "a host name"},
	{key: "api.ingress.aliases", pattern: hostName, longest: 253, allowed: "host names"},
	{key: "api.ingress.port", numbers: &bounds{0, 65535}, allowed: "from 0 to 65535"},
	{key: "api.ingress.class", optional: true, pattern: objectName, longest: 253, allowed: "the name of an IngressClass"},
	{key: "api.ingress.tlsSecret", optional: true, pattern: objectName, longest: 253, allowed: "the name of a Secret"},
	{key: "api.ingress.certificate", optional: true, pattern: certificate, allowed: "the ARN of a certificate in ACM"},
	{key: "api.ingress.controllerNamespace", pattern: namespace, allowed: "the name of a namespace"},
	{key: "api.gateway.host", optional: true, pattern: hostName, longest: 253, allowed: "a host name"},
	{key: "api.gateway.name", optional: true, pattern: objectName, longest: 253, allowed: "the name of a Gateway"},
	{key: "api.gateway.namespace", optional: true, pattern: namespace, allowed: "the name of a namespace"},
	{key: "api.gateway.listener", optional: true, pattern: objectName, longest: 253, allowed: "the name of a listener of the Gateway"},
	{key: "api.letIn.cidrs", pattern: prefix, allowed: "addresses, such as 10.0.0.0/16"},
	{key: "api.letIn.namespaces", pattern: namespace, allowed: "names of namespaces"},
	{key: "api.monitoring.namespace", optional: true, pattern: namespace, allowed: "the name of a namespace"},
	{key: "api.monitoring.runbookURL", optional: true, pattern: httpURL, allowed: "an http or https URL"},
	{key: "api.tracing.endpoint", optional: true, pattern: httpURL, allowed: "an http or https URL"},
	{key: "api.tracing.share", numbers: &bounds{0, 1}, allowed: "from 0 to 1"},
	{key: "api.tracing.headersSecret", optional: true, pattern: objectName, longest: 253, allowed: "the name of a Secret"},
}

// sections are the settings that are objects, by their keys.
func (s *Stack) sections() map[string]any {
	return map[string]any{"kubernetes": &s.Kubernetes, "localstack": &s.LocalStack, "aws": &s.AWS, "storage": &s.Storage, "api": &s.API}
}

// judgeAlone notes what is wrong with settings by themselves.
func (s Stack) judgeAlone(must judge) {
	data, err := json.Marshal(s.sections())
	if err != nil {
		panic(err) // structs of strings, numbers, lists and maps
	}
	var values map[string]any
	if err := json.Unmarshal(data, &values); err != nil {
		panic(err)
	}
	for _, r := range rules {
		value := any(values)
		for name := range strings.SplitSeq(r.key, ".") {
			object, _ := value.(map[string]any)
			var ok bool
			if value, ok = object[name]; !ok {
				panic(r.key + " is no setting") // every stack has all of them
			}
		}
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		for _, one := range list {
			must(r.allows(one), r.key, one, r.sentence())
		}
	}
}

// allows reports whether a setting may have a value, as encoding/json reads it.
func (r rule) allows(value any) bool {
	switch value := value.(type) {
	case nil: // a list that is not there
		return true
	case float64:
		return r.numbers.least <= value && value <= r.numbers.most
	case string:
		if r.longest > 0 && len(value) > r.longest {
			return false
		}
		return (r.optional && value == "") || slices.Contains(r.choices, value) || (r.pattern != nil && r.pattern.MatchString(value))
	}
	return false
}

// sentence returns the end of a sentence "must be …".
func (r rule) sentence() string {
	switch {
	case r.choices != nil:
		last := len(r.choices) - 1
		return strings.Join(r.choices[:last], ", ") + " or " + r.choices[last]
	case r.optional:
		return r.allowed + ", or empty"
	}
	return r.allowed
}

// plainSettings are those that are no objects of settings, with what they mean.
var plainSettings = map[string]string{
	"environment":         "Tag Environment of everything in AWS; the stack's name unless set.",
	"tokens":              "Who may call the API, by their names. task token writes it, and each token as a secret.",
	"localstackAuthToken": "Token for the images of LocalStack that demand one: pulumi config set --secret localstackAuthToken …",
}

// unknownNames returns a fault for each member of objects that is no setting, read by a type. encoding/json lets through what differs by its
// case alone.
func unknownNames(key string, data []byte, t reflect.Type) []error {
	var members map[string]json.RawMessage
	if t.Kind() != reflect.Struct || json.Unmarshal(data, &members) != nil {
		return nil
	}
	known := map[string]reflect.Type{}
	for field := range t.Fields() {
		known[field.Tag.Get("json")] = field.Type
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if of, ok := known[name]; ok {
			faults = append(faults, unknownNames(key+"."+name, members[name], of)...)
			continue
		}
		faults = append(faults, fmt.Errorf("%s.%s is no setting: there are %s", key, name, strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
	}
	return faults
}

// unknownKeys returns a fault for each key of the project in the configuration, as Pulumi hands it to its programs, that is none of a
// setting: nobody else reads it.
//
// Source: https://github.com/pulumi/pulumi/blob/v3.250.0/sdk/go/pulumi/run.go, EnvConfig.
func (s *Stack) unknownKeys(project, configuration string) []error {
	var all map[string]string
	if json.Unmarshal([]byte(configuration), &all) != nil {
		return nil // there is none, as in a test
	}
	known := slices.Sorted(maps.Keys(s.sections()))
	known = append(known, slices.Sorted(maps.Keys(plainSettings))...)
	var faults []error
	for _, key := range slices.Sorted(maps.Keys(all)) {
		name, ours := strings.CutPrefix(key, project+":")
		if ours && !slices.Contains(known, name) {
			faults = append(faults, errors.New(name+" is no setting: there are "+strings.Join(known, ", ")))
		}
	}
	return faults
}
