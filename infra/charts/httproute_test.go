package charts_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// httpRoute is as much of gateway.networking.k8s.io/v1 as the chart writes; the Gateway API is not part of Kubernetes' own.
//
// Source: https://gateway-api.sigs.k8s.io/reference/spec/#httproute.
type httpRoute struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		ParentRefs []struct {
			Name        string `json:"name"`
			Namespace   string `json:"namespace"`
			SectionName string `json:"sectionName"`
		} `json:"parentRefs"`
		Hostnames []string `json:"hostnames"`
		Rules     []struct {
			Matches []struct {
				Path struct {
					Type  string `json:"type"`
					Value string `json:"value"`
				} `json:"path"`
			} `json:"matches"`
			BackendRefs []struct {
				Name string `json:"name"`
				Port int    `json:"port"`
			} `json:"backendRefs"`
		} `json:"rules"`
	} `json:"spec"`
}

func (r *httpRoute) DeepCopyObject() runtime.Object { c := *r; return &c }

// Ensure the route leads from the Gateway to the Service's port.
func TestHTTPRoute(t *testing.T) {
	t.Parallel()
	v := extremeAPI()
	route := one[*httpRoute](t, objects(t, mustRender(t, "prima-api", v)))
	assert.Equal(t, "gateway.networking.k8s.io/v1", route.APIVersion)
	assert.Equal(t, "public", route.Spec.ParentRefs[0].Name)
	assert.Equal(t, v.HTTPRoute.Hostnames, route.Spec.Hostnames)
	assert.Equal(t, "/", route.Spec.Rules[0].Matches[0].Path.Value)
	backend := route.Spec.Rules[0].BackendRefs[0]
	assert.Equal(t, v.FullnameOverride, backend.Name)
	assert.Equal(t, v.Service.Port, backend.Port)
}
