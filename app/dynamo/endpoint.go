package dynamo

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	transport "github.com/aws/smithy-go/endpoints"
)

// endpoints is the SDK's resolver, which is asked again only when something is not as it was in the last call, and all calls go
// to one table. The SDK evaluates its rules in each, at a fortieth of what a call costs.
type endpoints struct {
	dynamodb.EndpointResolverV2

	last atomic.Pointer[endpoint]
}

type endpoint struct {
	parameters dynamodb.EndpointParameters
	resolved   transport.Endpoint
}

// ResolveEndpoint implements [dynamodb.EndpointResolverV2].
func (e *endpoints) ResolveEndpoint(ctx context.Context, parameters dynamodb.EndpointParameters) (transport.Endpoint, error) {
	if last := e.last.Load(); last != nil && same(last.parameters, parameters) {
		return last.resolved, nil
	}
	resolved, err := e.EndpointResolverV2.ResolveEndpoint(ctx, parameters)
	if err == nil {
		e.last.Store(&endpoint{parameters, resolved})
	}
	return resolved, err
}

// same reports whether all parameters are the same: TestEndpoints sees when the SDK has new ones.
func same(a, b dynamodb.EndpointParameters) bool {
	return equal(a.Region, b.Region) && equal(a.UseDualStack, b.UseDualStack) && equal(a.UseFIPS, b.UseFIPS) && equal(a.Endpoint, b.Endpoint) &&
		equal(a.AccountId, b.AccountId) && equal(a.AccountIdEndpointMode, b.AccountIdEndpointMode) && equal(a.ResourceArn, b.ResourceArn) &&
		slices.Equal(a.ResourceArnList, b.ResourceArnList) && equal(a.IsSearchOperation, b.IsSearchOperation)
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }
