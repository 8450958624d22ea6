package contract

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Value is a row of any kind. Its texts match a pattern, which may take more than parse does. An
// empty text that matches is the zero value. format is the opposite of parse. allowed is how
// [Setting] describes the values.
func Value[T any](field *T, pattern, allowed string, parse func(string) (T, bool), format func(T) string) Row {
	return Row{
		Setting: Setting{Allowed: allowed, Pattern: pattern}, Field: field,
		Parse: func(s string) (ok bool) {
			*field = *new(T)
			if ok = regexp.MustCompile(pattern).MatchString(s); ok && s != "" {
				*field, ok = parse(s)
			}
			return ok
		},
		Format: func() string { return format(*field) },
	}
}

// Like adds examples of values.
func (r Row) Like(examples ...string) Row {
	r.Examples = append(r.Examples, examples...)
	return r
}

// If adds a condition that the field meets once a text is parsed.
func (r Row) If(holds func() bool) Row {
	parse := r.Parse
	r.Parse = func(s string) bool { return parse(s) && holds() }
	return r
}

// bounded is a number with a unit. allowed has a %s for each bound.
func bounded[T int | int64 | time.Duration](
	field *T, least, most T, pattern, allowed string, parse func(string) (T, error), format func(T) string,
) Row {
	return Value(field, pattern, fmt.Sprintf(allowed, format(least), format(most)),
		func(s string) (T, bool) {
			v, err := parse(s)
			return v, err == nil && least <= v && v <= most
		}, format,
	).Like(format(least), format(most))
}

// Integer is a whole number within bounds.
func Integer[T int | int64](field *T, least, most T) Row {
	r := bounded(field, least, most, `^[0-9]+$`, "a whole number from %s to %s",
		func(s string) (T, error) {
			n, err := strconv.ParseInt(s, 10, 64)
			return T(n), err
		},
		func(n T) string { return strconv.FormatInt(int64(n), 10) })
	r.Least, r.Most = int64(least), int64(most)
	return r
}

// Duration is a duration within bounds.
func Duration(field *time.Duration, least, most time.Duration) Row {
	zeros := strings.NewReplacer("h0m0s", "h", "m0s", "m") // at the end of 1h0m0s and 1m0s
	return bounded(field, least, most, `^(0|([0-9]+([.][0-9]+)?(ns|us|µs|ms|s|m|h))+)$`,
		"a duration from %s to %s, such as 500ms, 10s or 1m30s", time.ParseDuration,
		func(d time.Duration) string { return zeros.Replace(d.String()) })
}

// Size is a number of bytes within bounds.
func Size(field *int64, least, most int64) Row {
	r := bounded(field, least, most, `^([0-9]+)(KiB|MiB)?$`,
		"a number of bytes from %s to %s, plain or with KiB or MiB", parseSize, bytes)
	r.Least, r.Most = least, most
	return r
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
	return choice(field, func(s string) (bool, bool) { return s == "true", true }, strconv.FormatBool, "true", "false")
}

// OneOf is one of the choices.
func OneOf(field *string, choices ...string) Row {
	return choice(field, func(s string) (string, bool) { return s, true }, itself, choices...)
}

func choice[T any](field *T, parse func(string) (T, bool), format func(T) string, choices ...string) Row {
	last := len(choices) - 1
	allowed := strings.Join(choices[:last], ", ") + " or " + choices[last]
	r := Value(field, "^("+strings.Join(choices, "|")+")$", allowed, parse, format).Like(choices...)
	r.Choices, r.Pattern = choices, ""
	return r
}

func itself(s string) string { return s }

// Text is a text that matches a pattern. It has no control characters, even if the pattern lets
// them pass, because not every way to a variable keeps them.
func Text(field *string, pattern, allowed string) Row {
	return Value(field, pattern, allowed,
		func(s string) (string, bool) { return s, !strings.ContainsFunc(s, unicode.IsControl) }, itself)
}

// IP is an optional IP address.
func IP(field *string) Row {
	return Value(field, `^([0-9]{1,3}([.][0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)?$`,
		"an IPv4 address or an IPv6 address without brackets and zone, or empty",
		func(s string) (string, bool) {
			a, err := netip.ParseAddr(s)
			return a.String(), err == nil
		}, itself,
	).Like("127.0.0.1", "2001:db8::7", "::ffff:192.0.2.1")
}

// List is a list of entries, separated by commas, with white space around them. White space is
// whatever is not printable ASCII, because Go and JavaScript differ about it. pattern is that of an
// entry.
func List[T any](field *[]T, pattern, allowed string, parse func(string) (T, bool), format func(T) string) Row {
	entry := regexp.MustCompile("^(" + pattern + ")$")
	return Value(field, `^([^!-~]*(`+pattern+`)[^!-~]*(,|$))*$`, allowed,
		func(s string) (list []T, ok bool) {
			for text := range strings.SplitSeq(s, ",") {
				text = strings.TrimSpace(text)
				v, ok := parse(text)
				if !ok || !entry.MatchString(text) {
					return nil, false
				}
				list = append(list, v)
			}
			return list, true
		},
		func(list []T) string {
			entries := make([]string, len(list))
			for i, v := range list {
				entries[i] = format(v)
			}
			return strings.Join(entries, ",")
		})
}
