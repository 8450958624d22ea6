package localaws_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func tableInput(name string) *dynamodb.CreateTableInput {
	return &dynamodb.CreateTableInput{
		TableName: aws.String(name), BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
	}
}

// Ensure the table of the contract is described as DynamoDB describes one.
func TestDescribeTable(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	require.NoError(t, put(db, item{"id": text("1"), "name": text("ada")}))
	out, err := db.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(table)})
	require.NoError(t, err)
	d := out.Table
	assert.Equal(t, table, *d.TableName)
	assert.Equal(t, "arn:aws:dynamodb:us-east-1:000000000000:table/users", *d.TableArn)
	assert.NotEmpty(t, *d.TableId)
	assert.Equal(t, types.TableStatusActive, d.TableStatus)
	assert.WithinDuration(t, time.Now(), *d.CreationDateTime, time.Minute)
	assert.Equal(t, tableInput(table).KeySchema, d.KeySchema)
	assert.Equal(t, tableInput(table).AttributeDefinitions, d.AttributeDefinitions)
	assert.Equal(t, types.BillingModePayPerRequest, d.BillingModeSummary.BillingMode)
	assert.EqualValues(t, 1, *d.ItemCount)
	assert.EqualValues(t, 10, *d.TableSizeBytes)
	assert.EqualValues(t, 0, *d.ProvisionedThroughput.ReadCapacityUnits)
}

// Ensure the SDK's own waiter sees a table come and go.
func TestTable_Life(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	in := tableInput("other")
	in.DeletionProtectionEnabled = aws.Bool(true)
	in.Tags = []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}
	created, err := db.CreateTable(t.Context(), in)
	require.NoError(t, err)
	_, err = db.CreateTable(t.Context(), in)
	requireCode(t, "ResourceInUseException", err)
	describe := &dynamodb.DescribeTableInput{TableName: aws.String("other")}
	require.NoError(t, dynamodb.NewTableExistsWaiter(db).Wait(t.Context(), describe, time.Second))
	list, err := db.ListTables(t.Context(), &dynamodb.ListTablesInput{Limit: aws.Int32(1)})
	require.NoError(t, err)
	assert.Equal(t, []string{"other"}, list.TableNames)
	list, err = db.ListTables(t.Context(), &dynamodb.ListTablesInput{ExclusiveStartTableName: list.LastEvaluatedTableName})
	require.NoError(t, err)
	assert.Equal(t, []string{table}, list.TableNames)

	arn := created.TableDescription.TableArn
	_, err = db.TagResource(t.Context(), &dynamodb.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("c"), Value: aws.String("d")}}})
	require.NoError(t, err)
	_, err = db.UntagResource(t.Context(), &dynamodb.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a"}})
	require.NoError(t, err)
	tags, err := db.ListTagsOfResource(t.Context(), &dynamodb.ListTagsOfResourceInput{ResourceArn: arn})
	require.NoError(t, err)
	assert.Equal(t, []types.Tag{{Key: aws.String("c"), Value: aws.String("d")}}, tags.Tags)

	remove := &dynamodb.DeleteTableInput{TableName: aws.String("other")}
	_, err = db.DeleteTable(t.Context(), remove)
	requireCode(t, "ValidationException", err)
	_, err = db.UpdateTable(t.Context(), &dynamodb.UpdateTableInput{TableName: aws.String("other"), DeletionProtectionEnabled: aws.Bool(false)})
	require.NoError(t, err)
	_, err = db.DeleteTable(t.Context(), remove)
	require.NoError(t, err)
	require.NoError(t, dynamodb.NewTableNotExistsWaiter(db).Wait(t.Context(), describe, time.Second))
	_, err = db.DescribeTable(t.Context(), describe)
	assert.Equal(t, "Requested resource not found: Table: other not found", requireCode(t, "ResourceNotFoundException", err).ErrorMessage())
}

// Ensure tables that DynamoDB refuses, or that are not to be had here, are refused.
func TestCreateTable_Validation(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db := dynamoClient(url)
	for message, change := range map[string]func(*dynamodb.CreateTableInput){
		"at least 3 characters":               func(in *dynamodb.CreateTableInput) { in.TableName = aws.String("ab") },
		"regular expression pattern":          func(in *dynamodb.CreateTableInput) { in.TableName = aws.String("a b c") },
		"must have length greater":            func(in *dynamodb.CreateTableInput) { in.KeySchema = []types.KeySchemaElement{} },
		"must be a HASH key type":             func(in *dynamodb.CreateTableInput) { in.KeySchema[0].KeyType = types.KeyTypeRange },
		"not defined in AttributeDefinitions": func(in *dynamodb.CreateTableInput) { in.AttributeDefinitions[0].AttributeName = aws.String("x") },
		"enum value set: [B, N, S]":           func(in *dynamodb.CreateTableInput) { in.AttributeDefinitions[0].AttributeType = "L" },
		"does not exactly match number": func(in *dynamodb.CreateTableInput) {
			in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: aws.String("x"), AttributeType: "S"})
		},
		"ReadCapacityUnits and WriteCapacity": func(in *dynamodb.CreateTableInput) { in.BillingMode = types.BillingModeProvisioned },
		"no secondary indexes": func(in *dynamodb.CreateTableInput) {
			in.GlobalSecondaryIndexes = []types.GlobalSecondaryIndex{{IndexName: aws.String("x"), KeySchema: in.KeySchema, Projection: &types.Projection{}}}
		},
		"no streams": func(in *dynamodb.CreateTableInput) {
			in.StreamSpecification = &types.StreamSpecification{StreamEnabled: aws.Bool(true)}
		},
	} {
		in := tableInput("other")
		change(in)
		_, err := db.CreateTable(t.Context(), in)
		assert.Contains(t, requireCode(t, "ValidationException", err).ErrorMessage(), message)
	}
}

// Ensure what Pulumi's AWS provider reads and sets of a table is kept.
func TestTable_Settings(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	db, name := dynamoClient(url), aws.String(table)
	ttl, err := db.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: name})
	require.NoError(t, err)
	assert.Equal(t, types.TimeToLiveStatusDisabled, ttl.TimeToLiveDescription.TimeToLiveStatus)
	_, err = db.UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{TableName: name, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("until"), Enabled: aws.Bool(true)}})
	require.NoError(t, err)
	ttl, err = db.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: name})
	require.NoError(t, err)
	assert.Equal(t, types.TimeToLiveStatusEnabled, ttl.TimeToLiveDescription.TimeToLiveStatus)
	assert.Equal(t, "until", *ttl.TimeToLiveDescription.AttributeName)

	backups, err := db.DescribeContinuousBackups(t.Context(), &dynamodb.DescribeContinuousBackupsInput{TableName: name})
	require.NoError(t, err)
	assert.Equal(t, types.PointInTimeRecoveryStatusDisabled, backups.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus)
	updated, err := db.UpdateContinuousBackups(t.Context(), &dynamodb.UpdateContinuousBackupsInput{TableName: name, PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)}})
	require.NoError(t, err)
	assert.Equal(t, types.PointInTimeRecoveryStatusEnabled, updated.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus)
	_, err = db.DescribeContinuousBackups(t.Context(), &dynamodb.DescribeContinuousBackupsInput{TableName: aws.String("nope")})
	requireCode(t, "TableNotFoundException", err)

	_, err = db.UpdateTable(t.Context(), &dynamodb.UpdateTableInput{
		TableName: name, BillingMode: types.BillingModeProvisioned, TableClass: types.TableClassStandardInfrequentAccess,
		ProvisionedThroughput: &types.ProvisionedThroughput{ReadCapacityUnits: aws.Int64(2), WriteCapacityUnits: aws.Int64(3)},
		SSESpecification:      &types.SSESpecification{Enabled: aws.Bool(true)},
	})
	require.NoError(t, err)
	out, err := db.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: name})
	require.NoError(t, err)
	assert.Nil(t, out.Table.BillingModeSummary)
	assert.EqualValues(t, 3, *out.Table.ProvisionedThroughput.WriteCapacityUnits)
	assert.Equal(t, types.TableClassStandardInfrequentAccess, out.Table.TableClassSummary.TableClass)
	assert.Equal(t, types.SSEStatusEnabled, out.Table.SSEDescription.Status)
}
