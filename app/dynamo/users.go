// Package dynamo keeps users in a DynamoDB table.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/prometheus/client_golang/prometheus"

	"prima.internal/app/awsclient"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// tableMissing is what DynamoDB answers where there is no such table.
const tableMissing = "ResourceNotFoundException"

// Users is a [user.Store] in a DynamoDB table. It is safe for concurrent use.
type Users struct {
	client          *dynamodb.Client
	table           *string
	consistentLists *bool
	slow            prometheus.Counter
}

// New returns the users of the table that c names.
func New(cfg aws.Config, c config.Config) *Users {
	slow := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "prima_list_slow_scans_total",
		Help: "Answers to a Scan that were not in the form that is known, and were read by the SDK at twenty times the cost.",
	})
	return &Users{
		slow: slow,
		client: dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
			if endpoint := c.DynamoDB(); endpoint != "" {
				o.BaseEndpoint = aws.String(endpoint)
			}
			o.Protocol = protocol{o.Protocol, slow}
			o.DisableValidateResponseChecksum = true // protocol does it
		}),
		table:           aws.String(c.Table),
		consistentLists: aws.Bool(c.ListConsistentReads),
	}
}

// Describe implements [prometheus.Collector].
func (u *Users) Describe(descriptions chan<- *prometheus.Desc) { u.slow.Describe(descriptions) }

// Collect implements [prometheus.Collector].
func (u *Users) Collect(metrics chan<- prometheus.Metric) { u.slow.Collect(metrics) }

// Create implements [user.Store].
func (u *Users) Create(ctx context.Context, r user.Record) (*user.Record, error) {
	tracked, call := awsclient.Track(ctx)
	_, err := u.client.PutItem(tracked, &dynamodb.PutItemInput{
		TableName:                           u.table,
		Item:                                toItem(r),
		ConditionExpression:                 aws.String("attribute_not_exists(" + config.KeyAttribute + ")"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	taken, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	if !ok {
		return nil, call.Fault(err, tableMissing)
	}
	if existing := fromItem(taken.Item); existing.ID == r.ID {
		return &existing, nil
	}
	// An emulator refuses without the item. An item that is gone by now may be one that an
	// earlier attempt of this call wrote: the error says so by being uncertain.
	existing, err := u.Get(ctx, r.ID)
	if err == nil && existing == nil {
		err = errors.New("the id was taken, and now nothing has it")
	}
	return existing, call.Fault(err, tableMissing)
}

// Get implements [user.Store]. The read is strongly consistent.
func (u *Users) Get(ctx context.Context, id string) (*user.Record, error) {
	ctx, call := awsclient.Track(ctx)
	out, err := u.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      u.table,
		Key:            key(id),
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, call.Fault(err, tableMissing)
	}
	if out.Item == nil {
		return nil, nil
	}
	r := fromItem(out.Item)
	if r.ID != id {
		return nil, call.Incomplete("the id of the user")
	}
	return &r, nil
}

// Update implements [user.Store].
func (u *Users) Update(ctx context.Context, id string, p user.Patch) (user.User, error) {
	var sets []string
	values := map[string]types.AttributeValue{}
	names := map[string]string{}
	set := func(attribute string, value *string) {
		if value == nil {
			return
		}
		sets = append(sets, "#"+attribute+" = :"+attribute)
		names["#"+attribute] = attribute // `name` is a reserved word
		values[":"+attribute] = text(*value)
	}
	set(nameAttribute, p.Name)
	set(emailAttribute, p.Email)

	return u.update(ctx, id, &dynamodb.UpdateItemInput{
		UpdateExpression:          aws.String("SET " + strings.Join(sets, ", ")),
		ExpressionAttributeNames:  names,
		ExpressionAttributeValues: values,
		ReturnValues:              types.ReturnValueAllNew,
	})
}

// SetAvatar implements [user.Store].
func (u *Users) SetAvatar(ctx context.Context, id, avatarID string) (user.User, error) {
	in := &dynamodb.UpdateItemInput{ReturnValues: types.ReturnValueAllOld}
	if avatarID == "" {
		in.UpdateExpression = aws.String("REMOVE " + avatarAttribute + ", " + foreignAttribute)
	} else {
		in.UpdateExpression = aws.String("SET " + avatarAttribute + " = :avatar REMOVE " + foreignAttribute)
		in.ExpressionAttributeValues = map[string]types.AttributeValue{":avatar": text(avatarID)}
	}
	return u.update(ctx, id, in)
}

// update changes the item of a user and returns what the input asks for. NotFound.
func (u *Users) update(ctx context.Context, id string, in *dynamodb.UpdateItemInput) (user.User, error) {
	in.TableName = u.table
	in.Key = key(id)
	in.ConditionExpression = aws.String("attribute_exists(" + config.KeyAttribute + ")")
	ctx, call := awsclient.Track(ctx)
	out, err := u.client.UpdateItem(ctx, in)
	if err != nil {
		return user.User{}, notFound(call, err)
	}
	r := fromItem(out.Attributes)
	if r.ID != id {
		return user.User{}, call.Incomplete("the attributes of the user")
	}
	return r.User, nil
}

// Delete implements [user.Store].
func (u *Users) Delete(ctx context.Context, id string) (before user.User, again bool, err error) {
	ctx, call := awsclient.Track(ctx)
	out, err := u.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName:           u.table,
		Key:                 key(id),
		ConditionExpression: aws.String("attribute_exists(" + config.KeyAttribute + ")"),
		ReturnValues:        types.ReturnValueAllOld,
	})
	if err != nil {
		return user.User{}, call.Again(), notFound(call, err)
	}
	r := fromItem(out.Attributes)
	if r.ID != id {
		return user.User{}, call.Again(), call.Incomplete("the attributes of the user")
	}
	return r.User, call.Again(), nil
}

// notFound is the fault of a write on a user who must exist.
func notFound(call *awsclient.Call, err error) error {
	if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return user.ErrNoUser
	}
	return call.Fault(err, tableMissing)
}

// maxBatch is how many items DynamoDB reads in one call.
const maxBatch = 100

// AvatarIDs returns, by the ids of users, the ids of the images that they name. The reads are
// strongly consistent, a call for a hundred users.
func (u *Users) AvatarIDs(ctx context.Context, users []string) (map[string]string, error) {
	avatars := make(map[string]string, len(users))
	for batch := range slices.Chunk(users, maxBatch) {
		keys := make([]map[string]types.AttributeValue, len(batch))
		for i, id := range batch {
			keys[i] = key(id)
		}
		if err := u.avatarIDs(ctx, keys, avatars); err != nil {
			return nil, err
		}
	}
	return avatars, nil
}

func (u *Users) avatarIDs(ctx context.Context, keys []map[string]types.AttributeValue, into map[string]string) error {
	for attempt := 0; len(keys) > 0; attempt++ {
		tracked, call := awsclient.Track(ctx)
		out, err := u.client.BatchGetItem(tracked, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{*u.table: {
			Keys:                 keys,
			ConsistentRead:       aws.Bool(true),
			ProjectionExpression: aws.String(config.KeyAttribute + ", " + avatarAttribute),
		}}})
		if err != nil {
			return call.Fault(err, tableMissing)
		}
		left := out.UnprocessedKeys[*u.table].Keys // of a table that has no capacity left at the moment
		items, ok := out.Responses[*u.table]
		if !ok && len(left) < len(keys) {
			return call.Incomplete("the items of the table")
		}
		for _, item := range items {
			r := fromItem(item)
			if r.ID == "" {
				return call.Incomplete("the id of a user")
			}
			if r.AvatarID != "" {
				into[r.ID] = r.AvatarID
			}
		}
		if len(left) < len(keys) {
			attempt = 0
		}
		keys = left
		if len(keys) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return call.Fault(ctx.Err())
		case <-time.After(awsclient.Backoff(attempt)):
		}
	}
	return nil
}

// Check asks whether the table is there and can be used. The error is user.ErrResourceMissing
// where it is known not to be.
func (u *Users) Check(ctx context.Context) error {
	ctx, call := awsclient.Track(ctx)
	out, err := u.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: u.table})
	if err != nil {
		return call.Fault(err, tableMissing)
	}
	if out.Table == nil {
		return call.Incomplete("the table")
	}
	switch status := out.Table.TableStatus; status {
	case types.TableStatusActive, types.TableStatusUpdating:
		return nil
	case types.TableStatusDeleting:
		return call.Fault(fmt.Errorf("table %s is being deleted: %w", *u.table, user.ErrResourceMissing))
	default:
		return call.Fault(fmt.Errorf("table %s is %q", *u.table, status))
	}
}
