package config

// KeyAttribute is the name of the users table's partition key. The table has no sort key.
const KeyAttribute = "id"

// KeyType is the DynamoDB type of [KeyAttribute]: a string.
const KeyType = "S"

// AvatarPrefix starts the key of every avatar: avatars/<id of the user>/<id of the image>.
const AvatarPrefix = "avatars/"

// Paths that somebody outside of the API relies on: the chart, and the tests of a deployed system.
// PathHealth and PathReady are served on both ports. The kubelet uses ADMIN_PORT, which clients
// cannot fill.
const (
	PathHealth = "/health"
	PathReady  = "/readyz"
	PathUser   = "/user"
	PathUsers  = "/users"

	PathDescription = "/openapi.json"
)

// PathMetrics is where Prometheus finds the metrics, on ADMIN_PORT.
const PathMetrics = "/metrics"
