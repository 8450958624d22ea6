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

func (f Fault) String() string {
	return fmt.Sprintf("%s=%q must be %s", f.Variable, shown(f.Value), plain(f.Allowed))
}

func (f field) fault(variable, value string) Fault {
	if f.Secret {
		value = "(hidden)"
	}
	return Fault{Variable: variable, Value: value, Allowed: f.allowed}
}

// shown hides the password of a URL.
func shown(value string) string {
	if u, err := url.Parse(value); err == nil && u.User != nil {
		return u.Redacted()
	}
	return value
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

// A Deprecation is a variable in the environment that nobody should set any more.
type Deprecation struct {
	Variable string
	Use      string // the variable to set instead; empty if the setting was removed
	Ignored  bool   // Use is set too, and wins, or the setting was removed
}

// Load reads the contract from an environment in the form of [os.Environ]. An empty variable
// counts as not set, but for a secret: that one was to be filled by somebody who did not, and to go on as if there were
// none would let everybody in. The error, if any, is an [*Error] that holds every fault.
func Load(environ []string) (Config, []Deprecation, error) {
	set, empty := map[string]string{}, map[string]bool{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && value != "" {
			set[name] = value
		} else if ok {
			empty[name] = true
		}
	}

	var (
		c            Config
		deprecations []Deprecation
		faults       []Fault
	)
	for _, f := range c.fields() {
		variable, value := f.Variable, set[f.Variable]
		for _, former := range f.Formerly {
			if set[former] == "" {
				continue
			}
			deprecations = append(deprecations, Deprecation{Variable: former, Use: f.Variable, Ignored: value != ""})
			if value == "" {
				variable, value = former, set[former]
			}
		}
		if f.Secret && value == "" && empty[variable] {
			faults = append(faults, Fault{Variable: variable, Allowed: "left out rather than empty, if that is what is meant"})
			continue
		}
		if value == "" {
			value = f.Default
		}
		if err := f.parse(value); err != nil {
			faults = append(faults, f.fault(variable, value))
		}
	}
	for _, variable := range Removed() {
		if set[variable] != "" {
			deprecations = append(deprecations, Deprecation{Variable: variable, Ignored: true})
		}
	}
	if len(faults) > 0 {
		return Config{}, deprecations, &Error{Faults: faults}
	}
	return c, deprecations, nil
}

// A Variable is one entry of an environment.
type Variable struct {
	Name   string
	Value  string
	Secret bool // see [Setting]
}

// Environ returns the variables that [Load] reads as c, in the order of [Settings]. A setting that
// is empty is left out: for everything that reads these variables, that is the same.
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
		if err := rules[i].parse(f.format()); err != nil {
			faults = append(faults, f.fault(f.Variable, f.format()))
		}
	}
	if len(faults) > 0 {
		return &Error{Faults: faults}
	}
	return nil
}
