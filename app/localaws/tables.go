package localaws

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// table is a DynamoDB table: its key, its items and what its owner has set.
type table struct {
	name        string
	arn         string
	id          string
	created     time.Time
	keys        []keyAttribute // the partition key and, if there is one, the sort key
	definitions []attributeDefinition
	billing     string
	throughput  throughput
	protected   bool
	class       string
	encrypted   bool
	tags        map[string]string
	ttl         string // the attribute, empty when off
	recovery    bool   // point in time
	store       store
}

type attributeDefinition struct{ AttributeName, AttributeType string }

type keySchemaElement struct{ AttributeName, KeyType string }

type throughput struct{ ReadCapacityUnits, WriteCapacityUnits int64 }

type tag struct{ Key, Value string }

type tableSettings struct {
	TableName                 string
	BillingMode               string
	ProvisionedThroughput     *throughput
	DeletionProtectionEnabled *bool
	TableClass                string
	SSESpecification          *struct{ Enabled *bool }
	StreamSpecification       *struct{ StreamEnabled bool }
	AttributeDefinitions      []attributeDefinition
}

// apply changes what a request sets.
func (t *table) apply(s tableSettings) error {
	if s.StreamSpecification != nil && s.StreamSpecification.StreamEnabled {
		return validation("the embedded DynamoDB has no streams")
	}
	if s.BillingMode != "" {
		t.billing = s.BillingMode
	}
	if s.ProvisionedThroughput != nil {
		t.throughput = *s.ProvisionedThroughput
	}
	if t.billing == "PAY_PER_REQUEST" {
		t.throughput = throughput{}
	} else if t.throughput.ReadCapacityUnits < 1 || t.throughput.WriteCapacityUnits < 1 {
		return validation("One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
	}
	if s.DeletionProtectionEnabled != nil {
		t.protected = *s.DeletionProtectionEnabled
	}
	if s.TableClass != "" {
		t.class = s.TableClass
	}
	if s.SSESpecification != nil && s.SSESpecification.Enabled != nil {
		t.encrypted = *s.SSESpecification.Enabled
	}
	return nil
}

type createTableInput struct {
	tableSettings
	KeySchema              []keySchemaElement
	GlobalSecondaryIndexes []any
	LocalSecondaryIndexes  []any
	Tags                   []tag
}

func (d *dynamo) createTable(in *createTableInput) ([]byte, error) {
	if n := len(in.TableName); n < 3 || n > 255 {
		return nil, validation("TableName must be at least 3 characters long and at most 255 characters long")
	}
	if strings.ContainsFunc(in.TableName, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.-", r)
	}) {
		return nil, validation("1 validation error detected: Value '%s' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+", in.TableName)
	}
	if len(in.GlobalSecondaryIndexes)+len(in.LocalSecondaryIndexes) > 0 {
		return nil, validation("the embedded DynamoDB has no secondary indexes")
	}
	t := &table{
		name:        in.TableName,
		arn:         fmt.Sprintf("arn:aws:dynamodb:%s:%s:table/%s", d.region, Account, in.TableName),
		id:          uuid.NewString(),
		created:     time.Now(),
		definitions: in.AttributeDefinitions,
		billing:     "PROVISIONED",
		tags:        map[string]string{},
	}
	if err := t.apply(in.tableSettings); err != nil {
		return nil, err
	}
	var err error
	if t.keys, err = tableKeys(in.KeySchema, in.AttributeDefinitions); err != nil {
		return nil, err
	}
	for _, x := range in.Tags {
		t.tags[x.Key] = x.Value
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tables[t.name] != nil {
		return nil, dynamoError("ResourceInUseException", "Table already exists: %s", t.name)
	}
	d.tables[t.name] = t
	return body(map[string]any{"TableDescription": t.describe("ACTIVE")})
}

func tableKeys(schema []keySchemaElement, definitions []attributeDefinition) ([]keyAttribute, error) {
	kinds := map[string]string{}
	for _, a := range definitions {
		kinds[a.AttributeName] = a.AttributeType
	}
	var keys []keyAttribute
	for i, element := range schema {
		kind, defined := kinds[element.AttributeName]
		switch {
		case i > 1 || element.KeyType != [2]string{"HASH", "RANGE"}[i]:
			return nil, validation("Invalid KeySchema: The first KeySchemaElement must be a HASH key type, the second, if any, a RANGE key type")
		case !defined:
			return nil, validation("One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [%s], AttributeDefinitions: %v", element.AttributeName, slices.Sorted(maps.Keys(kinds)))
		case kind != "S" && kind != "N" && kind != "B":
			return nil, validation("1 validation error detected: Value '%s' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]", kind)
		}
		keys = append(keys, keyAttribute{element.AttributeName, kind})
	}
	if len(keys) == 0 {
		return nil, validation("1 validation error detected: Value '[]' at 'keySchema' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	if len(kinds) != len(keys) {
		return nil, validation("One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
	}
	return keys, nil
}

// describe returns a TableDescription. The counts are of this moment; AWS' are up to six hours old.
func (t *table) describe(status string) map[string]any {
	var schema []keySchemaElement
	for i, k := range t.keys {
		schema = append(schema, keySchemaElement{k.name, [2]string{"HASH", "RANGE"}[i]})
	}
	d := map[string]any{
		"TableName":            t.name,
		"TableArn":             t.arn,
		"TableId":              t.id,
		"TableStatus":          status,
		"CreationDateTime":     epoch(t.created),
		"KeySchema":            schema,
		"AttributeDefinitions": t.definitions,
		"ItemCount":            t.store.count,
		"TableSizeBytes":       t.store.bytes,
		"ProvisionedThroughput": map[string]any{
			"NumberOfDecreasesToday": 0,
			"ReadCapacityUnits":      t.throughput.ReadCapacityUnits,
			"WriteCapacityUnits":     t.throughput.WriteCapacityUnits,
		},
		"DeletionProtectionEnabled": t.protected,
	}
	if t.billing == "PAY_PER_REQUEST" {
		d["BillingModeSummary"] = map[string]any{
			"BillingMode": t.billing, "LastUpdateToPayPerRequestDateTime": epoch(t.created),
		}
	}
	if t.class != "" {
		d["TableClassSummary"] = map[string]any{"TableClass": t.class}
	}
	if t.encrypted {
		d["SSEDescription"] = map[string]any{
			"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": "arn:aws:kms:" + strings.Split(t.arn, ":")[3] + ":" + Account + ":alias/aws/dynamodb",
		}
	}
	return d
}

type tableInput struct{ TableName string }

// find returns a table of d by its name or ARN. The caller holds the lock.
func (d *dynamo) find(name string) *table {
	if _, after, ok := strings.Cut(name, ":table/"); ok {
		name = after
	}
	return d.tables[name]
}

// table returns the table whose items a request reads or writes. The caller holds the lock.
func (d *dynamo) table(name string) (*table, error) {
	if t := d.find(name); t != nil {
		return t, nil
	}
	if name == "" {
		return nil, validation("1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null")
	}
	return nil, dynamoError("ResourceNotFoundException", "Requested resource not found")
}

// described returns the table that a request is about, with the message that such requests have.
// The caller holds the lock.
func (d *dynamo) described(name string) (*table, error) {
	if t := d.find(name); t != nil {
		return t, nil
	}
	return nil, dynamoError("ResourceNotFoundException", "Requested resource not found: Table: %s not found", name)
}

func (d *dynamo) describeTable(in *tableInput) ([]byte, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	t, err := d.described(in.TableName)
	if err != nil {
		return nil, err
	}
	return body(map[string]any{"Table": t.describe("ACTIVE")})
}

func (d *dynamo) deleteTable(in *tableInput) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, err := d.described(in.TableName)
	if err != nil {
		return nil, err
	}
	if t.protected {
		return nil, validation("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	}
	delete(d.tables, t.name)
	return body(map[string]any{"TableDescription": t.describe("DELETING")})
}

type updateTableInput struct {
	tableSettings
	GlobalSecondaryIndexUpdates []any
	ReplicaUpdates              []any
}

func (d *dynamo) updateTable(in *updateTableInput) ([]byte, error) {
	if len(in.GlobalSecondaryIndexUpdates)+len(in.ReplicaUpdates) > 0 {
		return nil, validation("the embedded DynamoDB has neither secondary indexes nor replicas")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t, err := d.described(in.TableName)
	if err != nil {
		return nil, err
	}
	if err := t.apply(in.tableSettings); err != nil {
		return nil, err
	}
	return body(map[string]any{"TableDescription": t.describe("ACTIVE")})
}

type listTablesInput struct {
	ExclusiveStartTableName string
	Limit                   *int
}

func (d *dynamo) listTables(in *listTablesInput) ([]byte, error) {
	limit := 100
	if in.Limit != nil {
		limit = *in.Limit
	}
	if limit < 1 || limit > 100 {
		return nil, validation("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and 100", limit)
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	names := slices.Sorted(maps.Keys(d.tables))
	names = slices.DeleteFunc(names, func(n string) bool { return n <= in.ExclusiveStartTableName })
	out := map[string]any{"TableNames": names}
	if len(names) > limit {
		out["TableNames"], out["LastEvaluatedTableName"] = names[:limit], names[limit-1]
	} else if len(names) == 0 {
		out["TableNames"] = []string{}
	}
	return body(out)
}

func (d *dynamo) describeTimeToLive(in *tableInput) ([]byte, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	t, err := d.described(in.TableName)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"TimeToLiveStatus": "DISABLED"}
	if t.ttl != "" {
		out = map[string]any{"TimeToLiveStatus": "ENABLED", "AttributeName": t.ttl}
	}
	return body(map[string]any{"TimeToLiveDescription": out})
}

type updateTimeToLiveInput struct {
	TableName               string
	TimeToLiveSpecification struct {
		AttributeName string
		Enabled       bool
	}
}

func (d *dynamo) updateTimeToLive(in *updateTimeToLiveInput) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, err := d.described(in.TableName)
	if err != nil {
		return nil, err
	}
	if t.ttl = ""; in.TimeToLiveSpecification.Enabled {
		t.ttl = in.TimeToLiveSpecification.AttributeName
	}
	return body(map[string]any{"TimeToLiveSpecification": in.TimeToLiveSpecification})
}

func (t *table) backups() ([]byte, error) {
	recovery := map[string]any{"PointInTimeRecoveryStatus": "DISABLED"}
	if t.recovery {
		recovery = map[string]any{
			"PointInTimeRecoveryStatus":  "ENABLED",
			"RecoveryPeriodInDays":       35,
			"EarliestRestorableDateTime": epoch(t.created),
			"LatestRestorableDateTime":   epoch(time.Now()),
		}
	}
	return body(map[string]any{"ContinuousBackupsDescription": map[string]any{
		"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery,
	}})
}

// tableNotFound is the error of the calls about backups, which have their own.
func tableNotFound(name string) error {
	return dynamoError("TableNotFoundException", "Table not found: %s", name)
}

func (d *dynamo) describeContinuousBackups(in *tableInput) ([]byte, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	t := d.find(in.TableName)
	if t == nil {
		return nil, tableNotFound(in.TableName)
	}
	return t.backups()
}

type updateContinuousBackupsInput struct {
	TableName                        string
	PointInTimeRecoverySpecification struct{ PointInTimeRecoveryEnabled bool }
}

func (d *dynamo) updateContinuousBackups(in *updateContinuousBackupsInput) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.find(in.TableName)
	if t == nil {
		return nil, tableNotFound(in.TableName)
	}
	t.recovery = in.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled
	return t.backups()
}

type resourceInput struct {
	ResourceArn string
	Tags        []tag
	TagKeys     []string
}

func (d *dynamo) resource(arn string) (*table, error) {
	if t := d.find(arn); t != nil {
		return t, nil
	}
	return nil, dynamoError("ResourceNotFoundException", "Requested resource not found: ResourcArn: %s not found", arn)
}

func (d *dynamo) listTagsOfResource(in *resourceInput) ([]byte, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	t, err := d.resource(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags := []tag{}
	for _, k := range slices.Sorted(maps.Keys(t.tags)) {
		tags = append(tags, tag{k, t.tags[k]})
	}
	return body(map[string]any{"Tags": tags})
}

func (d *dynamo) tagResource(in *resourceInput) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, err := d.resource(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, x := range in.Tags {
		t.tags[x.Key] = x.Value
	}
	return nil, nil
}

func (d *dynamo) untagResource(in *resourceInput) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, err := d.resource(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(t.tags, k)
	}
	return nil, nil
}
