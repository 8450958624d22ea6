// Package contract is the machinery of what a service and whatever deploys it agree on: settings,
// each an environment variable, and the resources in AWS that settings name. The rows of a service
// are in a package of its own, such as app/config. Both sides import that, so neither can call
// anything by another name.
//
// The package imports the standard library alone, so that an infrastructure program compiles
// nothing else for it.
package contract

// A Setting describes one variable.
type Setting struct {
	Variable string
	Default  string // as in the environment
	Meaning  string
	Allowed  string // the values, as the end of a sentence "must be …"
	// Choices are all values, if they are few.
	Choices []string
	// Pattern is a regular expression, of Go and of JavaScript, that every value matches. Other texts
	// may match too. It is empty for settings with Choices and for secrets.
	Pattern string
	// Least and Most bound a number or a size. Both are 0 for all other settings.
	Least, Most int64
	// Examples are values that are allowed. At least one of them is not the default.
	Examples []string
	// Formerly names variables of earlier versions that are still accepted.
	Formerly []string
	// Secret values belong into a Secret, and never into a ConfigMap, a log or an error.
	Secret bool
}

// A Row is a setting that is tied to a field of one configuration. Start from one of the kinds,
// such as [Integer], [Text] or [Table].
type Row struct {
	Setting
	// Field points to the field.
	Field any
	// Parse sets the field to the value of a text. It reports whether the text is allowed.
	Parse func(string) bool
	// Format returns the field as the text that Parse reads back as the same value.
	Format func() string
	// Resource is what the setting names; nil if it names nothing.
	Resource *Resource
}

// Of names the row.
func (r Row) Of(variable, defaults, meaning string) Row {
	r.Variable, r.Default, r.Meaning = variable, defaults, meaning
	return r
}

// Former adds variables of earlier versions.
func (r Row) Former(variables ...string) Row {
	r.Formerly = append(r.Formerly, variables...)
	return r
}

// Hidden makes the setting a secret.
func (r Row) Hidden() Row {
	r.Secret, r.Pattern = true, ""
	return r
}

// A RuntimeVariable is read by something other than the service's own code, and the service depends
// on it.
type RuntimeVariable struct {
	Variable string
	Reader   string
	Meaning  string
	Secret   bool
}

// RemovedNotice returns the error text for a variable whose setting was removed.
func RemovedNotice(variable string) string {
	return variable + " was removed: it has no effect; delete it from your values"
}
