package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A field is a setting that is tied to its place in one Config.
type field struct {
	Setting
	parse  func(string) (ok bool)
	format func() string // as text that parse reads back as the same value
}

// of names a field.
func (f field) of(variable, defaults, meaning string) field {
	f.Variable, f.Default, f.Meaning = variable, defaults, meaning
	return f
}

func (f field) formerly(variables ...string) field {
	f.Formerly = variables
	return f
}

func (f field) secret() field {
	f.Secret, f.Pattern = true, ""
	return f
}

func (f field) fault(variable, value string) Fault {
	if f.Secret {
		value = "(hidden)"
	}
	return Fault{Variable: variable, Value: value, Allowed: f.Allowed}
}

// The forms of numbers. The templates of the charts read durations and sizes too.
var (
	wholeNumber = regexp.MustCompile(`^[0-9]+$`)
	aDuration   = regexp.MustCompile(`^(0|([0-9]+([.][0-9]+)?(ns|us|µs|ms|s|m|h))+)$`)
	aSize       = regexp.MustCompile(`^([0-9]+)(KiB|MiB)?$`)
)

func integer[T int | int64](p *T, least, most T) field {
	return field{
		Setting: Setting{
			Allowed: fmt.Sprintf("a whole number from %d to %d", least, most),
			Pattern: wholeNumber.String(), Least: int64(least), Most: int64(most),
		},
		parse: func(s string) bool {
			n, err := strconv.ParseInt(s, 10, 64)
			// ParseInt takes a sign.
			return wholeNumber.MatchString(s) && err == nil && assign(p, T(n), least, most)
		},
		format: func() string { return strconv.FormatInt(int64(*p), 10) },
	}
}

func boolean(p *bool) field {
	return field{
		Setting: Setting{Allowed: "true or false", Choices: []string{"true", "false"}},
		parse: func(s string) bool {
			*p = s == "true"
			return *p || s == "false"
		},
		format: func() string { return strconv.FormatBool(*p) },
	}
}

func duration(p *time.Duration, least, most time.Duration) field {
	return field{
		Setting: Setting{
			Allowed: fmt.Sprintf("a duration from %s to %s, such as 500ms, 10s or 1m30s",
				brief(least), brief(most)),
			Pattern: aDuration.String(),
		},
		parse: func(s string) bool {
			d, err := time.ParseDuration(s)
			// ParseDuration takes a sign, and numbers such as "1.".
			return aDuration.MatchString(s) && err == nil && assign(p, d, least, most)
		},
		format: func() string { return brief(*p) },
	}
}

// brief writes a duration without the zeros at its end.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func size(p *int64, least, most int64) field {
	return field{
		Setting: Setting{
			Allowed: fmt.Sprintf("a number of bytes from %s to %s, plain or with KiB or MiB",
				units(least), units(most)),
			Pattern: aSize.String(), Least: least, Most: most,
		},
		parse: func(s string) bool {
			parts := aSize.FindStringSubmatch(s)
			if parts == nil {
				return false
			}
			unit := map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20}[parts[2]]
			n, err := strconv.ParseInt(parts[1], 10, 64)
			return err == nil && n <= most/unit && assign(p, n*unit, least, most)
		},
		format: func() string { return units(*p) },
	}
}

func units(n int64) string {
	switch {
	case n > 0 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "MiB"
	case n > 0 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + "KiB"
	}
	return strconv.FormatInt(n, 10)
}

func assign[T int | int64 | time.Duration](p *T, v, least, most T) bool {
	if v < least || v > most {
		return false
	}
	*p = v
	return true
}

func text(p *string, pattern, allowed string) field {
	expression := regexp.MustCompile(pattern)
	return field{
		Setting: Setting{Allowed: allowed, Pattern: pattern},
		parse: func(s string) bool {
			*p = s
			return expression.MatchString(s)
		},
		format: func() string { return *p },
	}
}

func oneOf(p *string, choices ...string) field {
	last := len(choices) - 1
	return field{
		Setting: Setting{
			Allowed: strings.Join(choices[:last], ", ") + " or " + choices[last], Choices: choices,
		},
		parse: func(s string) bool {
			*p = s
			return slices.Contains(choices, s)
		},
		format: func() string { return *p },
	}
}

// ip is an optional IP address.
func ip(p *string) field {
	return field{
		Setting: Setting{
			Allowed: "an IPv4 address or an IPv6 address without brackets and zone, or empty",
			Pattern: `^([0-9]{1,3}([.][0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)?$`,
		},
		parse: func(s string) bool {
			a, err := netip.ParseAddr(s)
			if err == nil {
				*p = a.String()
			}
			return s == "" || (err == nil && a.Zone() == "")
		},
		format: func() string { return *p },
	}
}

// address is an optional URL with nothing behind its path. It drops a slash at the end.
func address(p *string) field {
	return field{
		Setting: Setting{
			Allowed: "an http or https URL without user, query or fragment, or empty",
			Pattern: `^([Hh][Tt][Tt][Pp][Ss]?://[^/?#@ ]+(/[^?#]*)?)?$`,
		},
		parse: func(s string) bool {
			u, ok := httpURL(s)
			if ok {
				u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
				*p = u.String()
			}
			return ok || s == ""
		},
		format: func() string { return *p },
	}
}

// origins is a list of web origins, or a single *.
func origins(p *[]string) field {
	return field{
		Setting: Setting{
			Allowed: "origins such as https://example.com, separated by commas, or `*` for all, or empty",
			Pattern: listOf("[*]|" + anOrigin),
		},
		parse: func(s string) bool {
			if strings.TrimSpace(s) == "*" {
				*p = []string{"*"}
				return true
			}
			return entries(p, s, origin)
		},
		format: func() string { return strings.Join(*p, ",") },
	}
}

// hosts is a list of host names, some of them with *. in front.
func hosts(p *[]string) field {
	return field{
		Setting: Setting{
			Allowed: "host names such as api.example.com, or *.example.com for every name below it, " +
				"separated by commas, without ports, or empty",
			Pattern: listOf(`([*][.])?` + aName),
		},
		parse:  func(s string) bool { return entries(p, s, hostEntry) },
		format: func() string { return strings.Join(*p, ",") },
	}
}

// listOf returns the pattern of a list whose entries have a pattern, with white space around them.
func listOf(entry string) string {
	// White space is whatever is not printable ASCII: Go and JavaScript differ about it.
	return `^([^!-~]*(` + entry + `)[^!-~]*(,|$))*$`
}

// entries parses a list, separated by commas. It drops entries that repeat.
func entries(p *[]string, s string, parse func(string) (entry string, ok bool)) bool {
	*p = nil
	if s == "" {
		return true
	}
	for text := range strings.SplitSeq(s, ",") {
		entry, ok := parse(strings.TrimSpace(text))
		if !ok {
			return false
		}
		if !slices.Contains(*p, entry) {
			*p = append(*p, entry)
		}
	}
	return true
}

// httpURL parses an http or https URL without user, query and fragment.
func httpURL(s string) (u *url.URL, ok bool) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, false
	}
	u.Host = strings.ToLower(u.Host)
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, false
		}
	}
	wrong := (u.Scheme != "http" && u.Scheme != "https") || u.Opaque != "" || u.Hostname() == "" ||
		u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" ||
		strings.ContainsAny(u.Host, ", \t*") || strings.HasSuffix(u.Host, ":") || strings.HasSuffix(s, "#")
	return u, !wrong
}
