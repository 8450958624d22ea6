package contract

import (
	"fmt"
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

func (r Row) among(choices ...string) Row {
	r.Choices = choices
	return r.Like(choices...)
}

func (r Row) between(least, most int64, unit Unit) Row {
	r.Least, r.Most, r.Unit = least, most, unit
	return r
}

// The forms of numbers. ParseInt and ParseDuration take more, such as signs and "1.".
var (
	wholeNumber = regexp.MustCompile(`^[0-9]+$`)
	aDuration   = regexp.MustCompile(`^(0|([0-9]+([.][0-9]+)?(ns|us|µs|ms|s|m|h))+)$`)
	aSize       = regexp.MustCompile(`^([0-9]+)(KiB|MiB)?$`)
)

// Integer is a whole number within bounds.
func Integer[T int | int64](field *T, least, most T) Row {
	format := func(n T) string { return strconv.FormatInt(int64(n), 10) }
	return Value(field, wholeNumber, fmt.Sprintf("a whole number from %d to %d", least, most),
		func(s string) (T, bool) {
			n, err := strconv.ParseInt(s, 10, 64)
			return T(n), err == nil && int64(least) <= n && n <= int64(most)
		}, format,
	).between(int64(least), int64(most), Number).Like(format(least), format(most))
}

// Boolean is true or false.
func Boolean(field *bool) Row {
	return Value(field, nil, "true or false",
		func(s string) (bool, bool) { return s == "true", s == "true" || s == "false" },
		strconv.FormatBool,
	).among("true", "false")
}

// OneOf is one of the choices.
func OneOf(field *string, choices ...string) Row {
	last := len(choices) - 1
	return Value(field, nil, strings.Join(choices[:last], ", ")+" or "+choices[last],
		func(s string) (string, bool) { return s, slices.Contains(choices, s) }, itself,
	).among(choices...)
}

func itself(s string) string { return s }

// Duration is a duration within bounds.
func Duration(field *time.Duration, least, most time.Duration) Row {
	return Value(field, aDuration,
		fmt.Sprintf("a duration from %s to %s, such as 500ms, 10s or 1m30s", brief(least), brief(most)),
		func(s string) (time.Duration, bool) {
			d, err := time.ParseDuration(s)
			return d, err == nil && least <= d && d <= most
		}, brief,
	).between(int64(least), int64(most), Nanoseconds).Like(brief(least), brief(most))
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
	allowed := fmt.Sprintf("a number of bytes from %s to %s, plain or with KiB or MiB", bytes(least), bytes(most))
	return Value(field, aSize, allowed,
		func(s string) (int64, bool) {
			digits, unit := strings.TrimRight(s, "KMiB"), int64(1)
			switch s[len(digits):] {
			case "KiB":
				unit = 1 << 10
			case "MiB":
				unit = 1 << 20
			}
			n, err := strconv.ParseInt(digits, 10, 64)
			return n * unit, err == nil && n <= most/unit && n*unit >= least
		}, bytes,
	).between(least, most, Bytes).Like(bytes(least), bytes(most))
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

// Text is a text that matches a pattern. It has no control characters, even if the pattern lets them
// pass, because not every way to a variable keeps them.
func Text(field *string, pattern, allowed string) Row {
	return Value(field, regexp.MustCompile(pattern), allowed,
		func(s string) (string, bool) { return s, !strings.ContainsFunc(s, unicode.IsControl) }, itself)
}

var anIP = regexp.MustCompile(`^([0-9]{1,3}([.][0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)?$`)

// IP is an optional IP address.
func IP(field *string) Row {
	return Value(field, anIP, "an IPv4 address or an IPv6 address without brackets and zone, or empty",
		func(s string) (string, bool) {
			if s == "" {
				return "", true
			}
			a, err := netip.ParseAddr(s)
			return a.String(), err == nil && a.Zone() == ""
		}, itself,
	).Like("127.0.0.1", "2001:db8::7", "::ffff:192.0.2.1")
}

var aURL = regexp.MustCompile(`^([Hh][Tt][Tt][Pp][Ss]?://[^/?#@ ]+(/[^?#]*)?)?$`)

// URL is an optional http or https URL with nothing behind its path. It drops a slash at the end.
func URL(field *string) Row {
	return Value(field, aURL, "an http or https URL without user, query or fragment, or empty",
		func(s string) (string, bool) {
			if s == "" {
				return "", true
			}
			u, ok := httpURL(s)
			if !ok {
				return "", false
			}
			u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
			return u.String(), true
		}, itself,
	).Like("http://localstack:4566", "https://example.com/v1", "http://[2001:db8::7]:8000/%20/é")
}

// Origins is a list of web origins, or a single *.
func Origins(field *[]string) Row {
	return Value(field, originList,
		"origins such as https://example.com, separated by commas, or `*` for all, or empty",
		func(s string) ([]string, bool) {
			if strings.TrimSpace(s) == "*" {
				return []string{"*"}, true
			}
			return entries(s, origin)
		}, commas,
	).Like("*", "https://example.com,http://localhost:3000,http://[2001:db8::7]")
}

// Hosts is a list of host names, some of them with *. in front.
func Hosts(field *[]string) Row {
	return Value(field, hostList,
		"host names such as api.example.com, or *.example.com for every name below it, "+
			"separated by commas, without ports, or empty",
		func(s string) ([]string, bool) { return entries(s, hostEntry) }, commas,
	).Like("api.example.com,*.internal", "web_1")
}

// listOf matches a list whose entries match a pattern, with white space around them. White space is
// whatever is not printable ASCII: Go and JavaScript differ about it.
func listOf(entry string) *regexp.Regexp {
	return regexp.MustCompile(`^([^!-~]*(` + entry + `)[^!-~]*(,|$))*$`)
}

// entries parses a list, separated by commas. It drops entries that repeat.
func entries(s string, parse func(string) (entry string, ok bool)) (list []string, ok bool) {
	if s == "" {
		return nil, true
	}
	for text := range strings.SplitSeq(s, ",") {
		entry, ok := parse(strings.TrimSpace(text))
		if !ok {
			return nil, false
		}
		if !slices.Contains(list, entry) {
			list = append(list, entry)
		}
	}
	return list, true
}

func commas(list []string) string { return strings.Join(list, ",") }
