package config

// KeyAttribute is the name of the users table's partition key. The table has no sort key.
const KeyAttribute = "id"

// KeyType is the DynamoDB type of [KeyAttribute]: a string.
const KeyType = "S"

// Paths that somebody outside of the API relies on: probes, the Service and the Ingress of the
// chart, and the tests of a deployed system.
const (
	PathHealth = "/health"
	PathReady  = "/readyz"
	PathUser   = "/user"
	PathUsers  = "/users"
)

// PathMetrics is where Prometheus finds the metrics, on ADMIN_PORT.
const PathMetrics = "/metrics"
