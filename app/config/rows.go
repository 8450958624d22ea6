package config

import (
	"time"

	"prima.internal/app/contract"
)

// The programs, each with a role of its own. TestGeneratedPermissions compares it with the calls
// that they make.
const (
	RoleAPI   contract.Role = "api"   // prima-api that serves
	RoleSweep contract.Role = "sweep" // prima-api sweep
)

// Roles returns every role.
func Roles() []contract.Role { return contract.Roles(new(Config).Resources()) }

// Variables that the AWS SDK and the infrastructure know too.
const (
	VariableRegion   = "AWS_REGION"
	VariableEndpoint = "AWS_ENDPOINT_URL"
)

// KeyAttribute is the name of the users table's partition key.
const KeyAttribute = "id"

// AvatarPrefix starts the key of every avatar: avatars/<id of the user>/<id of the image>.
const AvatarPrefix = "avatars/"

// Paths that somebody outside of the API relies on: the chart, and the tests of a deployed system.
// PathHealth and PathReady are served on both ports. The kubelet uses ADMIN_PORT, which clients
// cannot fill. PathMetrics is served on ADMIN_PORT alone.
const (
	PathHealth = "/health"
	PathReady  = "/readyz"
	PathUser   = "/user"
	PathUsers  = "/users"

	PathDescription = "/openapi.json"
	PathMetrics     = "/metrics"
)

// rows is the contract: one row for each setting, in the order of the help.
func (c *Config) rows() []contract.Row {
	const moment = 100 * time.Millisecond
	return []contract.Row{
		contract.Integer(&c.Port, 0, 65535).Of("PORT", "5000",
			"TCP port that the API listens on; 0 takes any free port and logs it"),
		contract.Integer(&c.AdminPort, 0, 65535).Of("ADMIN_PORT", "9464",
			"TCP port for operators and the kubelet: probes, metrics, profiles and build information, "+
				"without a token; 0 takes any free port and logs it"),
		contract.IP(&c.AdminAddress).Of("ADMIN_ADDRESS", "",
			"IP address that `ADMIN_PORT` listens on; empty means all addresses, "+
				"which the kubelet and Prometheus need in a pod"),

		contract.Text(&c.Region, `^[a-z]{2,}(-[a-z]+)+-[0-9]+$`, "a region's name, such as us-east-1").
			Like("eu-central-1").Of(VariableRegion, "us-east-1", "AWS region of the table and the bucket"),
		contract.URL(&c.Endpoint).Of(VariableEndpoint, "",
			"URL of DynamoDB and S3; empty means AWS itself").Former("LOCALSTACK_URL"),
		contract.URL(&c.DynamoDBEndpoint).Of("AWS_ENDPOINT_URL_DYNAMODB", "",
			"URL of DynamoDB; empty means `AWS_ENDPOINT_URL`").Former("DYNAMODB_ENDPOINT"),
		contract.URL(&c.S3Endpoint).Of("AWS_ENDPOINT_URL_S3", "",
			"URL of S3, which is called with the bucket in the path; empty means `AWS_ENDPOINT_URL`"),
		contract.Table(&c.Table, "users", KeyAttribute).
			Of("DYNAMODB_TABLE", "users", "table of the users").
			Allow(RoleAPI, "dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem",
				"dynamodb:PutItem", "dynamodb:Scan", "dynamodb:UpdateItem").
			Allow(RoleSweep, "dynamodb:BatchGetItem"),
		contract.Bucket(&c.Bucket, "avatars").
			Of("S3_BUCKET", "prima-tech-challenge", "bucket of the avatars").
			AllowObjects(RoleAPI, AvatarPrefix, "s3:DeleteObject", "s3:GetObject", "s3:PutObject").
			// For HeadBucket, which has no prefix for a condition. Without it, S3 also says AccessDenied
			// instead of NoSuchKey.
			Allow(RoleAPI, "s3:ListBucket").
			AllowObjects(RoleSweep, AvatarPrefix, "s3:DeleteObject").
			AllowList(RoleSweep, AvatarPrefix),

		contract.URL(&c.PublicURL).Of("PUBLIC_BASE_URL", "",
			"URL at which clients reach the API, with which every link starts; "+
				"empty takes the scheme and the host of each request"),
		contract.Hosts(&c.AllowedHosts).Of("ALLOWED_HOSTS", "",
			"names under which the API may be called, beside localhost and IP addresses; others get a 421, "+
				"so that no web page reaches the API by DNS rebinding. Empty allows any"),
		contract.Origins(&c.CORSOrigins).Of("CORS_ALLOWED_ORIGINS", "",
			"origins whose pages may call the API from a browser; empty allows none"),
		contract.Boolean(&c.Pages).Of("PAGES", "true",
			"whether to serve pages for people: the users at `/`, the description of the API at `/docs`. "+
				"They load without a token and ask for one if the API does"),
		tokens(&c.AccessTokens).Of("ACCESS_TOKENS", "",
			"who may call the API, each with their own bearer token; if unset, everybody may"),

		contract.OneOf(&c.LogLevel, "debug", "info", "warn", "error").Of("LOG_LEVEL", "info",
			"least severe level that is logged"),
		contract.OneOf(&c.LogFormat, "json", "text").Of("LOG_FORMAT", "json",
			"format of the log lines on standard error"),

		contract.Size(&c.MaxAvatarBytes, 1<<10, 64<<20).Of("MAX_AVATAR_BYTES", "5MiB",
			"largest avatar that is accepted"),
		contract.Integer(&c.MaxAvatarPixels, 1, 65535).Of("MAX_AVATAR_PIXELS", "8192",
			"longest side of an avatar that is accepted, in pixels"),
		contract.Size(&c.MaxJSONBytes, 1<<10, 16<<20).Of("MAX_JSON_BYTES", "64KiB",
			"largest request body that is not an upload: JSON or a urlencoded form"),
		contract.Size(&c.RequestMemory, 1<<20, 16<<30).Of("REQUEST_MEMORY", "64MiB",
			"memory for what requests hold: three eighths for bodies, five eighths for lists. "+
				"Requests that do not fit wait up to a fifth of `REQUEST_TIMEOUT`, then get a 503"),
		contract.Integer(&c.MaxConnections, 16, 1<<18).Of("MAX_CONNECTIONS", "2048",
			"most connections that are open at once; another one gets a 503 and is closed"),
		contract.Boolean(&c.ListConsistentReads).Of("LIST_CONSISTENT_READS", "false",
			"whether lists show every write that finished before the request, for twice the read capacity; "+
				"otherwise DynamoDB may leave out those of the last second"),

		contract.Duration(&c.RequestTimeout, moment, 10*time.Minute).Of("REQUEST_TIMEOUT", "10s",
			"longest time that a request waits for DynamoDB and S3, retries included; in a list, for each page"),
		contract.Duration(&c.ReadTimeout, moment, 10*time.Minute).Of("READ_TIMEOUT", "30s",
			"longest time that a client may take to send a request, body included"),
		contract.Duration(&c.WriteTimeout, moment, time.Hour).Of("WRITE_TIMEOUT", "1m",
			"longest time that a client may take to receive a response"),
		contract.Duration(&c.IdleTimeout, moment, time.Hour).Of("IDLE_TIMEOUT", "1m15s",
			"how long a connection is kept between requests; "+
				"set it longer than the idle timeout of a load balancer in front"),
		contract.Duration(&c.DrainTime, 0, 10*time.Minute).Of("DRAIN_TIME", "5s",
			"how long requests are still served after SIGTERM, while load balancers take the replica out"),
		contract.Duration(&c.ShutdownTimeout, 0, 10*time.Minute).Of("SHUTDOWN_TIMEOUT", "15s",
			"how long running requests may take to finish after `DRAIN_TIME`"),
	}
}

// Removed returns the variables of settings that were removed. [Load] accepts and ignores them.
func Removed() []string { return []string{"LIST_SEGMENTS", "LIST_SHARING", "TIMER_SLACK"} }
