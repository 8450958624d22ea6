package dynamo

import (
	"context"
	"errors"
	"net/url"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	transport "github.com/aws/smithy-go/endpoints"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A resolver counts how often it is asked.
type resolver struct {
	asked int
	err   error
}

func (r *resolver) ResolveEndpoint(context.Context, dynamodb.EndpointParameters) (transport.Endpoint, error) {
	r.asked++
	return transport.Endpoint{URI: url.URL{Host: "host", Fragment: string(rune('0' + r.asked))}}, r.err
}

// Ensure the SDK's rules are asked once for the same, and again for whatever differs in any parameter that there is.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	r := &resolver{}
	e := &endpoints{EndpointResolverV2: r}
	asks := func(p dynamodb.EndpointParameters) bool {
		before := r.asked
		resolved, err := e.ResolveEndpoint(t.Context(), p)
		require.NoError(t, err)
		assert.Equal(t, string(rune('0'+r.asked)), resolved.URI.Fragment)
		return r.asked > before
	}
	kind := reflect.TypeFor[dynamodb.EndpointParameters]()
	for i := range kind.NumField() {
		r.asked = 0
		var p dynamodb.EndpointParameters
		set := func(value any) {
			field := reflect.ValueOf(&p).Elem().Field(i)
			require.True(t, reflect.TypeOf(value).AssignableTo(field.Type()), "a parameter that same does not know: %s", kind.Field(i).Name)
			field.Set(reflect.ValueOf(value))
		}
		var values [2][2]any // the same twice, then another twice
		switch kind.Field(i).Type {
		case reflect.TypeFor[*string]():
			values = [2][2]any{{aws.String("a"), aws.String("a")}, {aws.String("b"), aws.String("b")}}
		case reflect.TypeFor[*bool]():
			values = [2][2]any{{aws.Bool(false), aws.Bool(false)}, {aws.Bool(true), aws.Bool(true)}}
		default:
			values = [2][2]any{{[]string{"a"}, []string{"a"}}, {[]string{"a", "b"}, []string{"a", "b"}}}
		}
		e.last.Store(nil)
		assert.True(t, asks(p))
		assert.False(t, asks(p))
		for _, value := range values {
			set(value[0])
			assert.True(t, asks(p), kind.Field(i).Name)
			set(value[1])
			assert.False(t, asks(p), kind.Field(i).Name)
		}
	}

	r.err = errors.New("no such region")
	_, err := e.ResolveEndpoint(t.Context(), dynamodb.EndpointParameters{Region: aws.String("nowhere")})
	require.ErrorIs(t, err, r.err)
	r.err = nil
	_, err = e.ResolveEndpoint(t.Context(), dynamodb.EndpointParameters{Region: aws.String("nowhere")})
	require.NoError(t, err, "a failure is not kept")
}

// Ensure an endpoint is the one that the SDK would find.
func TestEndpointsAreTheSDKs(t *testing.T) {
	t.Parallel()
	sdk := dynamodb.NewDefaultEndpointResolverV2()
	e := &endpoints{EndpointResolverV2: sdk}
	for _, p := range []dynamodb.EndpointParameters{
		{Region: aws.String("eu-central-1")},
		{Region: aws.String("eu-central-1"), AccountId: aws.String("123456789012"), AccountIdEndpointMode: aws.String("preferred")},
		{Region: aws.String("us-east-1"), UseFIPS: aws.Bool(true)},
		{Region: aws.String("us-east-1"), Endpoint: aws.String("http://localhost:4566")},
	} {
		want, err := sdk.ResolveEndpoint(t.Context(), p)
		require.NoError(t, err)
		for range 2 {
			got, err := e.ResolveEndpoint(t.Context(), p)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		}
	}
}
