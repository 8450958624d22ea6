package config

// A Role is what one of the programs may do with AWS. TestPermissions in app/cmd/prima-api compares
// it with the calls that the program makes.
type Role string

// The roles.
const (
	RoleAPI   Role = "api"   // prima-api that serves
	RoleSweep Role = "sweep" // prima-api sweep
)

// Roles returns every role.
func Roles() []Role { return []Role{RoleAPI, RoleSweep} }

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

// Policy returns what the role may do with a table and a bucket.
//
// Sources: "Actions, resources, and condition keys" for DynamoDB and for S3 in the Service
// Authorization Reference; "Required permissions for Amazon S3 API operations" in the S3 user guide.
func (r Role) Policy(tableARN, bucketARN string) Policy {
	avatars := bucketARN + "/" + AvatarPrefix + "*"
	list := allow("Bucket", bucketARN, "s3:ListBucket")
	switch r {
	case RoleAPI:
		return Policy{Version: PolicyVersion, Statement: []Statement{
			allow("Users", tableARN, "dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem",
				"dynamodb:PutItem", "dynamodb:Scan", "dynamodb:UpdateItem"),
			allow("Avatars", avatars, "s3:DeleteObject", "s3:GetObject", "s3:PutObject"),
			// For HeadBucket, which has no prefix for a condition. Without it, S3 also says AccessDenied
			// instead of NoSuchKey.
			list,
		}}
	case RoleSweep:
		list.Condition = map[string]map[string]string{"StringEquals": {"s3:prefix": AvatarPrefix}}
		return Policy{Version: PolicyVersion, Statement: []Statement{
			allow("Users", tableARN, "dynamodb:BatchGetItem"),
			allow("Avatars", avatars, "s3:DeleteObject"),
			list,
		}}
	}
	panic("config: no role " + string(r))
}

func allow(sid, resource string, actions ...string) Statement {
	return Statement{Sid: sid, Effect: "Allow", Resource: []string{resource}, Action: actions}
}
