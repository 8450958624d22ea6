package contract

import (
	"cmp"
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

// Load reads a configuration from an environment in the form of [os.Environ]. It warns of variables
// that nobody should set any more: those of earlier versions and those that were removed. The
// error, if any, is an [*Error] with every fault.
//
// An empty variable counts as not set. An empty secret is a fault, because without it everybody
// would be let in.
func Load[C any](environ []string, rows func(*C) []Row, removed []string) (c C, warnings []string, err error) {
	set := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		set[name] = value
	}
	var faults []Fault
	for _, r := range rows(&c) {
		variable, value := r.Variable, set[r.Variable]
		for _, former := range r.Formerly {
			switch {
			case set[former] == "":
			case value != "":
				warnings = append(warnings, former+" is ignored because "+r.Variable+" is set; delete it")
			default:
				warnings = append(warnings, former+" is deprecated; set "+r.Variable+" instead")
				variable, value = former, set[former]
			}
		}
		if _, there := set[variable]; r.Secret && there && value == "" {
			allowed := "left out rather than empty, if that is what is meant"
			faults = append(faults, Fault{Variable: variable, Allowed: allowed})
			continue
		}
		value = cmp.Or(value, r.Default)
		if !r.Parse(value) {
			if r.Secret {
				value = "(hidden)"
			}
			faults = append(faults, Fault{Variable: variable, Value: value, Allowed: r.Allowed})
		}
	}
	for _, variable := range removed {
		if set[variable] != "" {
			warnings = append(warnings, variable+" was removed: it has no effect any more; delete it")
		}
	}
	if len(faults) > 0 {
		var none C
		return none, warnings, &Error{Faults: faults}
	}
	return c, warnings, nil
}

// A Variable is one entry of an environment.
type Variable struct {
	Name   string
	Value  string
	Secret bool // see [Setting]
}

// Environ returns the variables that [Load] reads as the configuration of the rows. It leaves out
// settings that are empty, which means the same.
func Environ(rows []Row) []Variable {
	var variables []Variable
	for _, r := range rows {
		if value := r.Format(); value != "" {
			variables = append(variables, Variable{Name: r.Variable, Value: value, Secret: r.Secret})
		}
	}
	return variables
}

// Settings returns what the rows describe.
func Settings(rows []Row) []Setting {
	settings := make([]Setting, len(rows))
	for i, r := range rows {
		settings[i] = r.Setting
	}
	return settings
}
