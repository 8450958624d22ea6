package config

import (
	"fmt"
	"net/url"
	"strings"
)

// A Fault is one variable whose value is not allowed.
type Fault struct {
	Variable string
	Value    string // "(hidden)" for a secret
	Allowed  string
}

// String hides the password of a URL.
func (f Fault) String() string {
	value := f.Value
	if u, err := url.Parse(value); err == nil && u.User != nil {
		value = u.Redacted()
	}
	return fmt.Sprintf("%s=%q must be %s", f.Variable, value, plain(f.Allowed))
}

// An Error is every fault of an environment at once.
type Error struct {
	Faults []Fault
}

func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Load reads the contract from an environment in the form of [os.Environ]. It warns of variables
// that nobody should set any more. The error, if any, is an [*Error] with every fault.
//
// An empty variable counts as not set, except for a secret: somebody forgot to fill it, and without
// it everybody would be let in.
func Load(environ []string) (c Config, warnings []string, err error) {
	set, empty := map[string]string{}, map[string]bool{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && value != "" {
			set[name] = value
		} else if ok {
			empty[name] = true
		}
	}
	var faults []Fault
	for _, f := range c.fields() {
		variable, value := f.Variable, set[f.Variable]
		for _, former := range f.Formerly {
			switch {
			case set[former] == "":
			case value != "":
				warnings = append(warnings, former+" is ignored because "+f.Variable+" is set; delete it")
			default:
				warnings = append(warnings, former+" is deprecated; set "+f.Variable+" instead")
				variable, value = former, set[former]
			}
		}
		if f.Secret && value == "" && empty[variable] {
			allowed := "left out rather than empty, if that is what is meant"
			faults = append(faults, Fault{Variable: variable, Allowed: allowed})
			continue
		}
		if value == "" {
			value = f.Default
		}
		if !f.parse(value) {
			faults = append(faults, f.fault(variable, value))
		}
	}
	for _, variable := range Removed() {
		if set[variable] != "" {
			warnings = append(warnings, variable+" was removed: it has no effect any more; delete it")
		}
	}
	if len(faults) > 0 {
		return Config{}, warnings, &Error{Faults: faults}
	}
	return c, warnings, nil
}

// A Variable is one entry of an environment.
type Variable struct {
	Name   string
	Value  string
	Secret bool // see [Setting]
}

// Environ returns the variables that [Load] reads as c, in the order of [Settings]. It leaves out
// settings that are empty, which means the same.
func (c Config) Environ() []Variable {
	var variables []Variable
	for _, f := range c.fields() {
		if value := f.format(); value != "" {
			variables = append(variables, Variable{Name: f.Variable, Value: value, Secret: f.Secret})
		}
	}
	return variables
}

// Validate returns what [Load] would find wrong with c's variables, as an [*Error]; nil if nothing.
func (c Config) Validate() error {
	var faults []Fault
	var scratch Config
	rules := scratch.fields()
	for i, f := range c.fields() {
		if value := f.format(); !rules[i].parse(value) {
			faults = append(faults, f.fault(f.Variable, value))
		}
	}
	if len(faults) > 0 {
		return &Error{Faults: faults}
	}
	return nil
}
