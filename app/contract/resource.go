package contract

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Kind is a kind of resource in AWS.
type Kind string

// The kinds.
const (
	TableKind  Kind = "table"  // of DynamoDB
	BucketKind Kind = "bucket" // of S3
)

// Kinds returns every kind. Whatever makes resources has to know each.
func Kinds() []Kind { return []Kind{TableKind, BucketKind} }

// KeyType is DynamoDB's type of the key of a table: a string.
const KeyType = "S"

// A Resource is something in AWS that the infrastructure makes and that programs use.
type Resource struct {
	ID   string // its name in the infrastructure's program
	Kind Kind
	Key  string // attribute that is the partition key of a table, which has no sort key
	// Variable and Name are the setting that names it, and its field in the configuration.
	Variable string
	Name     *string

	permissions []permission
}

// A Role is one of the programs of a service, with permissions of its own in AWS.
type Role string

// A permission is a statement of a policy without the ARN of its resource.
type permission struct {
	role   Role
	suffix string // of the ARN
	Statement
}

// Table is the name of a DynamoDB table with the given partition key.
//
// Source: "Naming rules" in the developer guide of DynamoDB.
func Table(field *string, id, key string) Row {
	r := Text(field, `^[A-Za-z0-9_.-]{3,255}$`, "3 to 255 letters, digits, `_`, `.` or `-`").Like("people")
	r.Resource = &Resource{ID: id, Kind: TableKind, Key: key, Name: field}
	return r
}

// Bucket is the name of an S3 bucket.
//
// Source: "General purpose bucket naming rules" in the user guide of S3.
func Bucket(field *string, id string) Row {
	r := Text(field, `^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`,
		"3 to 63 lower-case letters, digits, `.` or `-`, a letter or digit at both ends").Like("faces")
	r.Resource = &Resource{ID: id, Kind: BucketKind, Name: field}
	return r
}

// Allow lets a role do something with the table or the bucket itself. The actions are those of the
// Service Authorization Reference, such as dynamodb:GetItem.
func (r Row) Allow(role Role, actions ...string) Row {
	return r.allow(role, "", Statement{Action: actions})
}

// AllowObjects lets a role do something with the objects in a bucket whose keys begin with a
// prefix.
func (r Row) AllowObjects(role Role, prefix string, actions ...string) Row {
	return r.allow(role, "/"+prefix+"*", Statement{Action: actions})
}

// AllowList lets a role list the objects in a bucket whose keys begin with a prefix, and no others.
func (r Row) AllowList(role Role, prefix string) Row {
	condition := map[string]map[string]string{"StringEquals": {"s3:prefix": prefix}}
	return r.allow(role, "", Statement{Action: []string{"s3:ListBucket"}, Condition: condition})
}

func (r Row) allow(role Role, suffix string, s Statement) Row {
	r.Resource.permissions = append(r.Resource.permissions, permission{role, suffix, s})
	return r
}

// Resources returns what the rows name.
func Resources(rows []Row) []Resource {
	var resources []Resource
	for _, r := range rows {
		if r.Resource != nil {
			resource := *r.Resource
			resource.Variable = r.Variable
			resources = append(resources, resource)
		}
	}
	return resources
}

// Names returns the names of the resources of a kind.
func Names(resources []Resource, kind Kind) []string {
	var names []string
	for _, r := range resources {
		if r.Kind == kind {
			names = append(names, *r.Name)
		}
	}
	return names
}

// Roles returns every role that may do something with the resources.
func Roles(resources []Resource) []Role {
	var roles []Role
	for _, r := range resources {
		for _, p := range r.permissions {
			if !slices.Contains(roles, p.role) {
				roles = append(roles, p.role)
			}
		}
	}
	return roles
}

// A Location is where in AWS resources are.
type Location struct {
	Partition string // such as aws
	Region    string
	Account   string
}

// ARN returns the ARN of a resource.
//
// Source: "Resource types" of DynamoDB and of S3 in the Service Authorization Reference.
func (r Resource) ARN(in Location) string {
	if r.Kind == BucketKind {
		return fmt.Sprintf("arn:%s:s3:::%s", in.Partition, *r.Name)
	}
	return fmt.Sprintf("arn:%s:dynamodb:%s:%s:table/%s", in.Partition, in.Region, in.Account, *r.Name)
}

// A Policy is a policy document of IAM, for encoding/json.
//
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html.
type Policy struct {
	Version   string
	Statement []Statement
}

// PolicyVersion is the version of the policy language.
const PolicyVersion = "2012-10-17"

// A Statement is a part of a [Policy].
type Statement struct {
	Sid       string
	Effect    string            // Allow or Deny
	Principal map[string]string `json:",omitempty"` // in policies of resources and of trust
	Action    []string
	Resource  []string                     `json:",omitempty"` // ARNs; none in policies of trust
	Condition map[string]map[string]string `json:",omitempty"` // operator, key, value
}

// PolicyOf returns what a role may do with the resources.
func PolicyOf(role Role, resources []Resource, in Location) Policy {
	policy := Policy{Version: PolicyVersion}
	sids := map[string]int{} // a Sid is unique in a policy
	for _, r := range resources {
		for _, p := range r.permissions {
			if p.role != role {
				continue
			}
			s := p.Statement
			s.Effect, s.Resource = "Allow", []string{r.ARN(in) + p.suffix}
			s.Sid = strings.ToUpper(r.ID[:1]) + r.ID[1:]
			if r.Kind == BucketKind && p.suffix == "" {
				s.Sid = "Bucket"
			}
			if sids[s.Sid]++; sids[s.Sid] > 1 {
				s.Sid += strconv.Itoa(sids[s.Sid])
			}
			policy.Statement = append(policy.Statement, s)
		}
	}
	return policy
}
