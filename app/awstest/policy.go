package awstest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"prima.internal/app/contract"
)

// Account is the AWS account of every resource.
const Account = "000000000000"

// A Guard is the IAM of an [AWS]: it rejects calls that the policies do not allow, and records
// which permissions were used. It rejects a policy with parts of IAM that it does not know.
type Guard struct {
	aws *AWS

	mu       sync.Mutex
	policies map[string][]*grant // by the access keys that they are for
	refused  map[string]bool
}

// A grant is a statement for one of its actions.
type grant struct {
	contract.Statement
	action string
	used   int // calls that it allowed
}

func (g *grant) String() string { return g.Sid + ": " + g.action }

// Guard has the calls from now on judged by the policies, documents in JSON by the access key that
// they are for, as IAM does: what no statement allows is refused.
func (a *AWS) Guard(tb testing.TB, documents map[string]string) *Guard {
	tb.Helper()
	g := &Guard{aws: a, policies: map[string][]*grant{}, refused: map[string]bool{}}
	for key, document := range documents {
		grants, err := parsePolicy(document)
		require.NoError(tb, err)
		g.policies[key] = grants
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.guard = g
	return g
}

// parsePolicy takes a document apart. The error says what in it is not understood.
func parsePolicy(document string) ([]*grant, error) {
	decoder := json.NewDecoder(strings.NewReader(document))
	decoder.DisallowUnknownFields()
	var policy contract.Policy
	if err := decoder.Decode(&policy); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	if policy.Version != contract.PolicyVersion {
		return nil, fmt.Errorf("policy: version %q", policy.Version)
	}
	var grants []*grant
	for _, s := range policy.Statement {
		if s.Effect != "Allow" || len(s.Principal) > 0 || len(s.Action) == 0 || len(s.Resource) == 0 {
			return nil, fmt.Errorf("policy: statement %q must allow actions on resources", s.Sid)
		}
		for operator, conditions := range s.Condition {
			for key := range conditions {
				if operator != "StringEquals" || key != "s3:prefix" {
					return nil, fmt.Errorf("policy: statement %q has the condition %s of %s", s.Sid, operator, key)
				}
			}
		}
		for _, action := range s.Action {
			grants = append(grants, &grant{Statement: s, action: action})
		}
	}
	return grants, nil
}

// Location is where every resource is.
func (a *AWS) Location() contract.Location {
	return contract.Location{Partition: "aws", Region: a.Config.Region, Account: Account}
}

// Refused returns the calls that no policy allowed.
func (g *Guard) Refused() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.refused))
}

// Unused returns the permissions of an access key that no call has used.
func (g *Guard) Unused(key string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var unused []string
	for _, grant := range g.policies[key] {
		if grant.used == 0 {
			unused = append(unused, grant.String())
		}
	}
	return unused
}

// A use is something that a call does with a resource, in the terms of IAM.
type use struct {
	action, resource string
	prefix           *string // s3:prefix, where the request has one
}

// admit rejects a call that no policy allows, and reports whether the call may proceed.
func (g *Guard) admit(w http.ResponseWriter, r *http.Request) bool {
	operation := operationOf(r)
	key, region, err := signer(r)
	var uses []use
	if err == nil {
		uses, err = usesOf(operation, region, r)
	}
	for _, u := range uses {
		if !g.allow(key, u, true) {
			err = errors.Join(err, fmt.Errorf("%s may not %s on %s", key, u.action, u.resource))
		}
	}
	if err == nil && operation == "S3.GetObject" && g.hides(key, r) {
		err = fmt.Errorf("%s may not know that an object is not there: %s", key, r.URL.Path)
	}
	if err == nil {
		return true
	}
	g.mu.Lock()
	g.refused[operation+": "+err.Error()] = true
	g.mu.Unlock()
	if strings.HasPrefix(operation, "S3.") {
		writeError(w, operation, http.StatusForbidden, "AccessDenied")
	} else {
		writeError(w, operation, http.StatusBadRequest, "AccessDeniedException")
	}
	return false
}

// credential is who has signed a request, and for which region.
//
// Source:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
var credential = regexp.MustCompile(
	`^AWS4-HMAC-SHA256 Credential=([^/, ]+)/[0-9]{8}/([^/, ]+)/(dynamodb|s3)/aws4_request,`)

func signer(r *http.Request) (key, region string, err error) {
	found := credential.FindStringSubmatch(r.Header.Get("Authorization"))
	if found == nil {
		return "", "", errors.New("a call that is not signed")
	}
	return found[1], found[2], nil
}

// s3Actions are the actions of those operations of S3 whose names are not theirs.
//
// Source: "Required permissions for Amazon S3 API operations" in the S3 user guide.
var s3Actions = map[string]string{
	"HeadBucket":    "s3:ListBucket",
	"ListObjects":   "s3:ListBucket",
	"ListObjectsV2": "s3:ListBucket",
	"ListBuckets":   "s3:ListAllMyBuckets",
	"HeadObject":    "s3:GetObject",
}

// usesOf says what a call does. Every action of DynamoDB but PartiQL's has the name of its
// operation.
func usesOf(operation, region string, r *http.Request) ([]use, error) {
	service, name, _ := strings.Cut(operation, ".")
	switch service {
	case "DynamoDB":
		tables, err := tablesOf(r)
		var uses []use
		for _, table := range tables {
			uses = append(uses, use{
				action: "dynamodb:" + name, resource: "arn:aws:dynamodb:" + region + ":" + Account + ":table/" + table,
			})
		}
		return uses, err
	case "S3":
		u := use{
			action:   cmp.Or(s3Actions[name], "s3:"+name),
			resource: "arn:aws:s3:::" + strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/"),
		}
		if q := r.URL.Query(); q.Has("prefix") {
			u.prefix = aws.String(q.Get("prefix"))
		}
		return []use{u}, nil
	}
	return nil, errors.New("a service that has no policies here")
}

// tablesOf returns the tables that a request to DynamoDB names, and leaves its body to be read
// again.
func tablesOf(r *http.Request) ([]string, error) {
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	var named struct {
		TableName    string
		RequestItems map[string]json.RawMessage
	}
	if err := json.Unmarshal(body, &named); err != nil {
		return nil, err
	}
	tables := slices.Sorted(maps.Keys(named.RequestItems))
	if named.TableName != "" {
		tables = append(tables, named.TableName)
	}
	if len(tables) == 0 {
		return nil, errors.New("a call without a table")
	}
	return tables, nil
}

// allow reports whether a policy allows a use, and counts it where asked to.
func (g *Guard) allow(key string, u use, count bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	allowed := false
	for _, grant := range g.policies[key] {
		if grant.allows(u) {
			allowed = true
			if count {
				grant.used++
			}
		}
	}
	return allowed
}

func (g *grant) allows(u use) bool {
	covers := func(resource string) bool { return like(resource, u.resource) }
	if !like(g.action, u.action) || !slices.ContainsFunc(g.Resource, covers) {
		return false
	}
	for _, conditions := range g.Condition {
		for _, want := range conditions { // parsePolicy has seen that it is StringEquals of s3:prefix
			if u.prefix == nil || *u.prefix != want {
				return false
			}
		}
	}
	return true
}

// like reports whether a text is as a pattern with * and ? says.
func like(pattern, text string) bool {
	if !strings.ContainsAny(pattern, "*?") {
		return pattern == text
	}
	expression := regexp.QuoteMeta(pattern)
	expression = strings.ReplaceAll(strings.ReplaceAll(expression, `\*`, `.*`), `\?`, `.`)
	return regexp.MustCompile(`^(?s:` + expression + `)$`).MatchString(text)
}

// hides reports whether S3 rejects a read of a missing object with AccessDenied, as it does for
// callers who may not list the bucket.
//
// Source: "GetObject" in the S3 API reference, under permissions.
func (g *Guard) hides(key string, r *http.Request) bool {
	bucket, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if g.allow(key, use{action: "s3:ListBucket", resource: "arn:aws:s3:::" + bucket, prefix: &object}, false) {
		return false
	}
	_, err := g.aws.S3.HeadObject(r.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &object})
	return err != nil
}
