package dynamo

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"prima.internal/app/config"
	"prima.internal/app/user"
)

// The attributes of an item beside its key. All are strings; empty ones are not stored.
const (
	nameAttribute    = "name"
	emailAttribute   = "email"
	avatarAttribute  = "avatar_id"
	foreignAttribute = "avatar_url" // written by the earlier service, where it may be empty
	// On items that were created with an Idempotency-Key.
	fingerprintAttribute = "idempotency_fingerprint"
	firstAvatarAttribute = "idempotency_avatar_id"
)

func toItem(r user.Record) map[string]types.AttributeValue {
	item := map[string]types.AttributeValue{}
	for attribute, value := range map[string]string{
		config.KeyAttribute: r.ID, nameAttribute: r.Name, emailAttribute: r.Email,
		avatarAttribute: r.AvatarID, foreignAttribute: r.ForeignAvatarURL,
		fingerprintAttribute: r.Fingerprint, firstAvatarAttribute: r.FirstAvatarID,
	} {
		if value != "" {
			item[attribute] = text(value)
		}
	}
	return item
}

// fromItem reads an item, also one that the earlier service wrote or that was changed by hand:
// what is not a string is left out.
func fromItem(item map[string]types.AttributeValue) user.Record {
	return user.Record{
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
