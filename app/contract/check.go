package contract

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

var (
	variableForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	idForm       = regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
)

// Check returns what is wrong with the rows of a service, for a test of its own. Each fault begins
// with the variable of the row or, without one, with its number.
func Check[C any](rows func(*C) []Row) error {
	var faults []error
	c := new(C)
	fields, variables, ids := map[any]bool{}, map[string]bool{}, map[string]bool{}
	for i, r := range rows(c) {
		name := r.Variable
		if name == "" {
			name = fmt.Sprintf("row %d", i+1)
		}
		must := func(ok bool, format string, args ...any) {
			if !ok {
				faults = append(faults, fmt.Errorf("%s: "+format, append([]any{name}, args...)...))
			}
		}
		must(variableForm.MatchString(r.Variable), "the variable must be capitals, digits and underscores")
		must(r.Meaning != "", "no meaning")
		must(!fields[r.Field], "another row has the same field")
		fields[r.Field] = true
		for _, variable := range append(r.Formerly, r.Variable) {
			must(!variables[variable], "another row has %s too", variable)
			variables[variable] = true
		}
		other := false
		for _, value := range append(r.Examples, r.Default) {
			must(r.Parse(value), "%q must be %s", value, r.Allowed)
			other = other || value != r.Default
		}
		must(other, "no example but the default: add one with Like")
		must(r.Format() == r.Default, "the default %q must be written %q", r.Default, r.Format())
		if r.Resource != nil {
			must(!ids[r.Resource.ID], "another resource is called %q", r.Resource.ID)
			ids[r.Resource.ID] = true
			r.Resource.check(must)
		}
	}
	value := reflect.ValueOf(c).Elem()
	for i := range value.NumField() {
		if !fields[value.Field(i).Addr().Interface()] {
			faults = append(faults, fmt.Errorf("the field %s has no row", value.Type().Field(i).Name))
		}
	}
	return errors.Join(faults...)
}

func (r Resource) check(must func(ok bool, format string, args ...any)) {
	must(idForm.MatchString(r.ID), "the id %q of the resource must be letters and digits", r.ID)
	must((r.Key != "") == (r.Kind == TableKind),
		"a %s with the key %q: each table has one, and nothing else", r.Kind, r.Key)
	must(len(r.permissions) > 0, "no role may do anything with it")
	service := map[Kind]string{TableKind: "dynamodb:", BucketKind: "s3:"}[r.Kind]
	for _, p := range r.permissions {
		must(p.role != "" && len(p.Action) > 0, "a permission without a role or without actions")
		for _, action := range p.Action {
			must(strings.HasPrefix(action, service), "the action %q must begin with %s", action, service)
		}
	}
}
