package charts

// Namespaces is the values of the chart namespaces. They are a chart of their own, because a
// namespace must be there before what is put into it.
type Namespaces struct {
	Namespaces []Namespace `json:"namespaces"`
}

// Namespace is a namespace with a Pod Security Standard, which is enforced, warned of and recorded.
type Namespace struct {
	Name        string            `json:"name"`
	PodSecurity string            `json:"podSecurity"` // privileged, baseline or restricted
	Labels      map[string]string `json:"labels,omitzero"`
}
