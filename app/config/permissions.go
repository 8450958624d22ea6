package config

// A Role is what one of the programs may do with AWS: what it calls, and nothing that it does not.
//
// A test compares it with the calls that the programs make: TestPermissions in app/cmd/prima-api.
type Role string

// The roles.
const (
	RoleAPI   Role = "api"   // of prima-api that serves
	RoleSweep Role = "sweep" // of prima-api sweep
)

// Roles returns every role.
func Roles() []Role { return []Role{RoleAPI, RoleSweep} }

// A Policy is a policy document of IAM, in the form in which encoding/json writes it.
//
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html.
type Policy struct {
	Version   string
	Statement []Statement
}

// PolicyVersion is the version of the language of policies that a [Policy] is in.
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

// Policy returns what the role may do, on a table and on a bucket by their ARNs.
//
// Sources: "Actions, resources, and condition keys for Amazon DynamoDB" and "… for Amazon S3" in the Service
// Authorization Reference; "Required permissions for Amazon S3 API operations" in the S3 user guide.
func (r Role) Policy(tableARN, bucketARN string) Policy {
	avatars := bucketARN + "/" + AvatarPrefix + "*"
	switch r {
	case RoleAPI:
		return Policy{Version: PolicyVersion, Statement: []Statement{
			{Sid: "Users", Effect: "Allow", Resource: []string{tableARN}, Action: []string{
				"dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan", "dynamodb:UpdateItem",
			}},
			{Sid: "Avatars", Effect: "Allow", Resource: []string{avatars}, Action: []string{"s3:DeleteObject", "s3:GetObject", "s3:PutObject"}},
			// HeadBucket, which readiness asks, is a ListBucket that has no prefix: a condition on that would refuse it. And who may
			// not list is told AccessDenied of an object that is not there, in place of NoSuchKey.
			{Sid: "Bucket", Effect: "Allow", Resource: []string{bucketARN}, Action: []string{"s3:ListBucket"}},
		}}
	case RoleSweep:
		return Policy{Version: PolicyVersion, Statement: []Statement{
			{Sid: "Users", Effect: "Allow", Resource: []string{tableARN}, Action: []string{"dynamodb:BatchGetItem"}},
			{Sid: "Avatars", Effect: "Allow", Resource: []string{avatars}, Action: []string{"s3:DeleteObject"}},
			{
				Sid: "Bucket", Effect: "Allow", Resource: []string{bucketARN}, Action: []string{"s3:ListBucket"},
				Condition: map[string]map[string]string{"StringEquals": {"s3:prefix": AvatarPrefix}},
			},
		}}
	}
	panic("config: no role " + string(r))
}
