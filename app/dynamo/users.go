// Package dynamo keeps users in a DynamoDB table.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/prometheus/client_golang/prometheus"

	"prima.internal/app/awsclient"
	"prima.internal/app/config"
	"prima.internal/app/contract"
	"prima.internal/app/user"
)

// The conditions that a user exists, and that an id is free.
const (
	exists = "attribute_exists(" + config.KeyAttribute + ")"
	free   = "attribute_not_exists(" + config.KeyAttribute + ")"
)

// Users is a [user.Store] in a DynamoDB table. It is safe for concurrent use.
type Users struct {
	prometheus.Collector // of scans that were slow to read

	client *dynamodb.Client
	config config.Config
}

// New returns the users of the table that c names.
func New(cfg aws.Config, c config.Config) *Users {
	slow := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "prima_list_slow_scans_total",
		Help: "Responses to a Scan of an unknown form, which the SDK decoded, at a higher cost.",
	})
	client := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
		if endpoint := c.DynamoDB(); endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
		o.Protocol = protocol{o.Protocol, slow}
		o.DisableValidateResponseChecksum = true // protocol does it
	})
	return &Users{slow, client, c}
}

// Create implements [user.Store].
func (u *Users) Create(ctx context.Context, r user.Record) (*user.Record, error) {
	tracked, call := awsclient.Track(ctx)
	in := &dynamodb.PutItemInput{TableName: &u.config.Table, Item: toItem(r), ConditionExpression: aws.String(free)}
	_, err := u.client.PutItem(tracked, in)
	if _, taken := errors.AsType[*types.ConditionalCheckFailedException](err); !taken {
		return nil, call.Fault(err)
	}
	// An item that is gone by now may have been written by an earlier attempt of this call. Fault
	// knows whether there was one.
	existing, err := u.Get(ctx, r.ID)
	if err == nil && existing == nil {
		err = errors.New("the id was taken, and its item is gone")
	}
	return existing, call.Fault(err)
}

// Get implements [user.Store]. The read is strongly consistent.
func (u *Users) Get(ctx context.Context, id string) (*user.Record, error) {
	ctx, call := awsclient.Track(ctx)
	in := &dynamodb.GetItemInput{TableName: &u.config.Table, Key: key(id), ConsistentRead: aws.Bool(true)}
	out, err := u.client.GetItem(ctx, in)
	if err != nil || out.Item == nil {
		return nil, call.Fault(err)
	}
	r, err := read(call, id, out.Item)
	return &r, err
}

// read returns the record in a response, which must be that of the id.
func read(call *awsclient.Call, id string, item map[string]types.AttributeValue) (r user.Record, err error) {
	if r = fromItem(item); r.ID != id {
		err = call.Incomplete("the user")
	}
	return r, err
}

// Update implements [user.Store].
func (u *Users) Update(ctx context.Context, id string, p user.Patch) (user.User, error) {
	sets, values, names := []string{}, map[string]types.AttributeValue{}, map[string]string{}
	for attribute, value := range map[string]*string{nameAttribute: p.Name, emailAttribute: p.Email} {
		if value != nil {
			sets = append(sets, "#"+attribute+" = :"+attribute)
			names["#"+attribute] = attribute // `name` is a reserved word
			values[":"+attribute] = text(*value)
		}
	}
	return u.update(ctx, id, &dynamodb.UpdateItemInput{
		UpdateExpression:         aws.String("SET " + strings.Join(sets, ", ")),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
		ReturnValues: types.ReturnValueAllNew, ConditionExpression: aws.String(exists),
	})
}

// SetAvatar implements [user.Store].
func (u *Users) SetAvatar(ctx context.Context, id, avatarID string, expected *string) (user.User, error) {
	in := &dynamodb.UpdateItemInput{ReturnValues: types.ReturnValueAllOld, ConditionExpression: aws.String(exists)}
	in.UpdateExpression = aws.String("REMOVE " + avatarAttribute + ", " + foreignAttribute)
	values := map[string]types.AttributeValue{}
	if avatarID != "" {
		in.UpdateExpression = aws.String("SET " + avatarAttribute + " = :avatar REMOVE " + foreignAttribute)
		values[":avatar"] = text(avatarID)
	}
	if expected != nil && *expected == "" {
		in.ConditionExpression = aws.String(exists + " AND attribute_not_exists(" + avatarAttribute + ")")
	} else if expected != nil {
		in.ConditionExpression = aws.String(exists + " AND " + avatarAttribute + " = :expected")
		values[":expected"] = text(*expected)
	}
	if len(values) > 0 { // DynamoDB refuses an empty map
		in.ExpressionAttributeValues = values
	}
	before, err := u.update(ctx, id, in)
	if expected != nil && user.CodeOf(err) == user.NotFound {
		err = user.ErrChanged
	}
	return before, err
}

func (u *Users) update(ctx context.Context, id string, in *dynamodb.UpdateItemInput) (user.User, error) {
	in.TableName, in.Key = &u.config.Table, key(id)
	ctx, call := awsclient.Track(ctx)
	out, err := u.client.UpdateItem(ctx, in)
	if err != nil {
		return user.User{}, call.Fault(err)
	}
	r, err := read(call, id, out.Attributes)
	return r.User, err
}

// Delete implements [user.Store].
func (u *Users) Delete(ctx context.Context, id string) (before user.User, again bool, err error) {
	ctx, call := awsclient.Track(ctx)
	out, err := u.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &u.config.Table, Key: key(id), ReturnValues: types.ReturnValueAllOld,
		ConditionExpression: aws.String(exists),
	})
	if err != nil {
		return user.User{}, call.Again(), call.Fault(err)
	}
	r, err := read(call, id, out.Attributes)
	return r.User, call.Again(), err
}

// AvatarIDs returns the ids of users' images by the ids of the users, by strongly consistent reads.
func (u *Users) AvatarIDs(ctx context.Context, users []string) (map[string]string, error) {
	avatars := make(map[string]string, len(users))
	for batch := range slices.Chunk(users, 100) { // the most that BatchGetItem takes
		request := types.KeysAndAttributes{ConsistentRead: aws.Bool(true)}
		request.ProjectionExpression = aws.String(config.KeyAttribute + ", " + avatarAttribute)
		for _, id := range batch {
			request.Keys = append(request.Keys, key(id))
		}
		for len(request.Keys) > 0 {
			ctx, call := awsclient.Track(ctx)
			out, err := u.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
				RequestItems: map[string]types.KeysAndAttributes{u.config.Table: request},
			})
			if err != nil {
				return nil, call.Fault(err)
			}
			items, ok := out.Responses[u.config.Table]
			left := out.UnprocessedKeys[u.config.Table].Keys
			// DynamoDB refuses a call of which it has no capacity to read anything.
			if !ok || len(left) >= len(request.Keys) {
				return nil, call.Incomplete("the items of the table")
			}
			for _, item := range items {
				r := fromItem(item)
				if r.ID == "" {
					return nil, call.Incomplete("the id of a user")
				}
				if r.AvatarID != "" {
					avatars[r.ID] = r.AvatarID
				}
			}
			request.Keys = left
		}
	}
	return avatars, nil
}

// Check calls DescribeTable for every table of the contract. user.ErrResourceMissing.
func (u *Users) Check(ctx context.Context) error {
	usable := []types.TableStatus{types.TableStatusActive, types.TableStatusUpdating}
	for _, table := range contract.Names(u.config.Resources(), contract.TableKind) {
		ctx, call := awsclient.Track(ctx)
		out, err := u.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
		switch {
		case err != nil:
			err = call.Fault(err)
		case out.Table == nil || !slices.Contains(usable, out.Table.TableStatus):
			err = call.Incomplete("a table that can be used")
		}
		if err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
	}
	return nil
}
