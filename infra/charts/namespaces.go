package charts

// Namespaces is the values of the chart namespaces. They are a chart of their own, because a
// namespace must be there before what is put into it.
type Namespaces struct {
	// Namespaces to make.
	Namespaces []Namespace `json:"namespaces" jsonschema:"required"`
}

// Namespace is a namespace with a Pod Security Standard.
type Namespace struct {
	// Name of the namespace.
	Name string `json:"name" jsonschema:"required,maxLength=63,pattern=^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"`
	// Pod Security Standard that is enforced, warned of and recorded.
	PodSecurity string `json:"podSecurity" jsonschema:"required,enum=privileged,enum=baseline,enum=restricted"`
	// Additional labels of the namespace.
	Labels map[string]string `json:"labels,omitzero"`
}

// DefaultNamespaces returns what values.yaml of the chart namespaces holds. LocalStack's image runs
// as root, which restricted does not allow.
func DefaultNamespaces() Namespaces {
	return Namespaces{Namespaces: []Namespace{
		{Name: "prima", PodSecurity: "restricted"},
		{Name: "localstack", PodSecurity: "baseline"},
	}}
}
