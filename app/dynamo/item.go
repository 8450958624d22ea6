package dynamo

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"prima.internal/app/config"
	"prima.internal/app/user"
)

// The attributes of an item beside its key. All are strings, and none is ever empty.
const (
	nameAttribute    = "name"
	emailAttribute   = "email"
	avatarAttribute  = "avatar_id"
	foreignAttribute = "avatar_url" // written by the earlier service only; there it may be empty
	// What the promise of an Idempotency-Key needs; on items that were created with one.
	fingerprintAttribute = "idempotency_fingerprint"
	firstAvatarAttribute = "idempotency_avatar_id"
)

func toItem(r user.Record) map[string]types.AttributeValue {
	item := make(map[string]types.AttributeValue, 6)
	set := func(attribute, value string) {
		if value != "" {
			item[attribute] = text(value)
		}
	}
	set(config.KeyAttribute, r.ID)
	set(nameAttribute, r.Name)
	set(emailAttribute, r.Email)
	set(avatarAttribute, r.AvatarID)
	set(foreignAttribute, r.ForeignAvatarURL)
	set(fingerprintAttribute, r.Fingerprint)
	set(firstAvatarAttribute, r.FirstAvatarID)
	return item
}

// fromItem reads an item, also one that the earlier service wrote or somebody changed by hand: what
// is not a string counts as not there.
func fromItem(item map[string]types.AttributeValue) user.Record {
	r := user.Record{
		User: user.User{
			ID:               textOf(item, config.KeyAttribute),
			Name:             textOf(item, nameAttribute),
			Email:            textOf(item, emailAttribute),
			AvatarID:         textOf(item, avatarAttribute),
			ForeignAvatarURL: textOf(item, foreignAttribute),
		},
		Fingerprint:   textOf(item, fingerprintAttribute),
		FirstAvatarID: textOf(item, firstAvatarAttribute),
	}
	return r
}

func key(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{config.KeyAttribute: text(id)}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func textOf(item map[string]types.AttributeValue, attribute string) string {
	if s, ok := item[attribute].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}
