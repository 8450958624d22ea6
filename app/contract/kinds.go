package contract

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Value is a row of any kind. form, if not nil, is what texts match that parse takes; format is the
// opposite of parse. allowed is how [Setting] describes the values.
func Value[T any](
	field *T, form *regexp.Regexp, allowed string, parse func(string) (T, bool), format func(T) string,
) Row {
	r := Row{
		Setting: Setting{Allowed: allowed}, Field: field,
		Parse: func(s string) bool {
			v, ok := parse(s)
			*field = v
			return ok && (form == nil || form.MatchString(s))
		},
		Format: func() string { return format(*field) },
	}
	if form != nil {
		r.Pattern = form.String()
	}
	return r
}

// Like adds examples of values.
func (r Row) Like(examples ...string) Row {
	r.Examples = append(r.Examples, examples...)
	return r
}

// The forms of numbers. ParseInt and ParseDuration take more, such as signs and "1.".
var (
	wholeNumber = regexp.MustCompile(`^[0-9]+$`)
	aDuration   = regexp.MustCompile(`^(0|([0-9]+([.][0-9]+)?(ns|us|µs|ms|s|m|h))+)$`)
	aSize       = regexp.MustCompile(`^([0-9]+)(KiB|MiB)?$`)
)

// bounded is a number in a unit. allowed has a %s for each bound.
func bounded[T int | int64 | time.Duration](
	field *T, least, most T, unit Unit, form *regexp.Regexp, allowed string,
	parse func(string) (T, error), format func(T) string,
) Row {
	r := Value(field, form, fmt.Sprintf(allowed, format(least), format(most)),
		func(s string) (T, bool) {
			v, err := parse(s)
			return v, err == nil && least <= v && v <= most
		}, format,
	).Like(format(least), format(most))
	r.Least, r.Most, r.Unit = int64(least), int64(most), unit
	return r
}

// Integer is a whole number within bounds.
func Integer[T int | int64](field *T, least, most T) Row {
	return bounded(field, least, most, Number, wholeNumber, "a whole number from %s to %s",
		func(s string) (T, error) {
			n, err := strconv.ParseInt(s, 10, 64)
			return T(n), err
		},
		func(n T) string { return strconv.FormatInt(int64(n), 10) })
}

// Duration is a duration within bounds.
func Duration(field *time.Duration, least, most time.Duration) Row {
	return bounded(field, least, most, Nanoseconds, aDuration,
		"a duration from %s to %s, such as 500ms, 10s or 1m30s", time.ParseDuration, brief)
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

// Size is a number of bytes within bounds.
func Size(field *int64, least, most int64) Row {
	return bounded(field, least, most, Bytes, aSize,
		"a number of bytes from %s to %s, plain or with KiB or MiB", parseSize, bytes)
}

func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "KMiB")
	n, err := strconv.ParseInt(digits, 10, 64)
	shift := map[string]int{"KiB": 10, "MiB": 20}[s[len(digits):]]
	if err == nil && n > math.MaxInt64>>shift {
		err = strconv.ErrRange
	}
	return n << shift, err
}

func bytes(n int64) string {
	switch {
	case n > 0 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "MiB"
	case n > 0 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + "KiB"
	}
	return strconv.FormatInt(n, 10)
}

// Boolean is true or false.
func Boolean(field *bool) Row {
	r := Value(field, nil, "true or false",
		func(s string) (bool, bool) { return s == "true", s == "true" || s == "false" },
		strconv.FormatBool,
	).Like("true", "false")
	r.Choices = r.Examples
	return r
}

// OneOf is one of the choices.
func OneOf(field *string, choices ...string) Row {
	last := len(choices) - 1
	r := Value(field, nil, strings.Join(choices[:last], ", ")+" or "+choices[last],
		func(s string) (string, bool) { return s, slices.Contains(choices, s) }, itself,
	).Like(choices...)
	r.Choices = choices
	return r
}

func itself(s string) string { return s }

// Text is a text that matches a pattern. It has no control characters, even if the pattern lets
// them pass, because not every way to a variable keeps them.
func Text(field *string, pattern, allowed string) Row {
	return Value(field, regexp.MustCompile(pattern), allowed,
		func(s string) (string, bool) { return s, !strings.ContainsFunc(s, unicode.IsControl) }, itself)
}

// optional lets a kind of text be empty too.
func optional(parse func(string) (string, bool)) func(string) (string, bool) {
	return func(s string) (string, bool) {
		if s == "" {
			return "", true
		}
		return parse(s)
	}
}

var anIP = regexp.MustCompile(`^([0-9]{1,3}([.][0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)?$`)

// IP is an optional IP address.
func IP(field *string) Row {
	return Value(field, anIP, "an IPv4 address or an IPv6 address without brackets and zone, or empty",
		optional(func(s string) (string, bool) {
			a, err := netip.ParseAddr(s)
			return a.String(), err == nil && a.Zone() == ""
		}), itself,
	).Like("127.0.0.1", "2001:db8::7", "::ffff:192.0.2.1")
}

var aURL = regexp.MustCompile(`^([Hh][Tt][Tt][Pp][Ss]?://[^/?#@ ]+(/[^?#]*)?)?$`)

// URL is an optional http or https URL with nothing behind its path. It drops a slash at the end.
func URL(field *string) Row {
	return Value(field, aURL, "an http or https URL without user, query or fragment, or empty",
		optional(func(s string) (string, bool) {
			u, ok := httpURL(s)
			if !ok {
				return "", false
			}
			u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
			return u.String(), true
		}), itself,
	).Like("http://localstack:4566", "https://example.com/v1", "http://[2001:db8::7]:8000/%20/é")
}

// List is a list of entries, separated by commas.
func List[T any](
	field *[]T, form *regexp.Regexp, allowed string, parse func(string) (T, bool), format func(T) string,
) Row {
	return Value(field, form, allowed,
		func(s string) (list []T, ok bool) {
			for text := range strings.SplitSeq(s, ",") {
				entry, ok := parse(strings.TrimSpace(text))
				if !ok {
					return nil, s == ""
				}
				list = append(list, entry)
			}
			return list, true
		},
		func(list []T) string {
			entries := make([]string, len(list))
			for i, entry := range list {
				entries[i] = format(entry)
			}
			return strings.Join(entries, ",")
		})
}

// Origins is a list of web origins, or a single *.
func Origins(field *[]string) Row {
	r := List(field, originList,
		"origins such as https://example.com, separated by commas, or `*` for all, or empty", origin, itself,
	).Like("*", "https://example.com,http://localhost:3000,http://[2001:db8::7]")
	parse := r.Parse
	r.Parse = func(s string) bool {
		if strings.TrimSpace(s) == "*" {
			*field = []string{"*"}
			return true
		}
		return parse(s)
	}
	return r
}

// Hosts is a list of host names, some of them with *. in front.
func Hosts(field *[]string) Row {
	return List(field, hostList,
		"host names such as api.example.com, or *.example.com for every name below it, "+
			"separated by commas, without ports, or empty", hostEntry, itself,
	).Like("api.example.com,*.internal", "web_1")
}

// listOf matches a list whose entries match a pattern, with white space around them. White space is
// whatever is not printable ASCII: Go and JavaScript differ about it.
func listOf(entry string) *regexp.Regexp {
	return regexp.MustCompile(`^([^!-~]*(` + entry + `)[^!-~]*(,|$))*$`)
}
