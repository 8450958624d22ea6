package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// errValue says only that a value is not allowed; the fault that is made of it says what is.
var errValue = errors.New("not allowed")

// A value reads and writes one field of a Config as the text of an environment variable.
// What format writes, parse reads back as the same value.
type value struct {
	allowed string
	choices []string // see Setting
	pattern string
	least   int64 // see Setting
	most    int64
	parse   func(string) error
	format  func() string
}

// How numbers are written: in one way, which the templates of charts know too.
var (
	wholeNumber = regexp.MustCompile(`^[0-9]+$`)
	aDuration   = regexp.MustCompile(`^(0|([0-9]+([.][0-9]+)?(ns|us|µs|ms|s|m|h))+)$`)
	aSize       = regexp.MustCompile(`^[0-9]+(KiB|MiB)?$`)
)

func integer[T int | int64](p *T, least, most T) value {
	return value{
		allowed: fmt.Sprintf("a whole number from %d to %d", least, most),
		pattern: "^" + numbers(int64(least), int64(most)) + "$",
		least:   int64(least),
		most:    int64(most),
		parse: func(s string) error {
			if !wholeNumber.MatchString(s) { // strconv takes a sign
				return errValue
			}
			n, err := strconv.ParseInt(s, 10, 64)
			return assign(p, T(n), err, least, most)
		},
		format: func() string { return strconv.FormatInt(int64(*p), 10) },
	}
}

func boolean(p *bool) value {
	return value{
		allowed: "true or false",
		choices: []string{"true", "false"},
		parse: func(s string) error {
			if s != "true" && s != "false" {
				return errValue
			}
			*p = s == "true"
			return nil
		},
		format: func() string { return strconv.FormatBool(*p) },
	}
}

func duration(p *time.Duration, least, most time.Duration) value {
	return value{
		allowed: fmt.Sprintf("a duration from %s to %s, such as 500ms, 10s or 1m30s", brief(least), brief(most)),
		pattern: aDuration.String(),
		parse: func(s string) error {
			if !aDuration.MatchString(s) { // time takes a sign, and half a number
				return errValue
			}
			d, err := time.ParseDuration(s)
			return assign(p, d, err, least, most)
		},
		format: func() string { return brief(*p) },
	}
}

// brief writes a duration without the zero units that its String ends with.
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

func size(p *int64, least, most int64) value {
	return value{
		allowed: fmt.Sprintf("a number of bytes from %s to %s, plain or with KiB or MiB", units(least), units(most)),
		pattern: "^" + sizes(least, most) + "$",
		least:   least,
		most:    most,
		parse: func(s string) error {
			if !aSize.MatchString(s) {
				return errValue
			}
			number, unit := s, int64(1)
			if n, ok := strings.CutSuffix(s, "KiB"); ok {
				number, unit = n, 1<<10
			} else if n, ok := strings.CutSuffix(s, "MiB"); ok {
				number, unit = n, 1<<20
			}
			n, err := strconv.ParseInt(number, 10, 64)
			if n > most { // before the product can overflow
				return errValue
			}
			return assign(p, n*unit, err, least, most)
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

// sizes returns the pattern of the sizes that are no less than least and no more than most, in bytes.
func sizes(least, most int64) string {
	alternatives := []string{numbers(least, most)}
	for _, unit := range []struct {
		name  string
		bytes int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}} {
		if low, high := (least+unit.bytes-1)/unit.bytes, most/unit.bytes; low <= high {
			alternatives = append(alternatives, numbers(low, high)+unit.name)
		}
	}
	return anyOf(alternatives)
}

// numbers returns the pattern of the whole numbers from least, which is not negative, to most, which is no less. They may begin with zeros.
func numbers(least, most int64) string {
	low, high := strconv.FormatInt(least, 10), strconv.FormatInt(most, 10)
	var alternatives []string
	for ; len(low) < len(high); low = "1" + strings.Repeat("0", len(low)) {
		alternatives = append(alternatives, between(low, strings.Repeat("9", len(low))))
	}
	return "0*" + anyOf(append(alternatives, between(low, high)))
}

// between returns the pattern of the numbers from low to high, which have as many digits.
func between(low, high string) string {
	if low == "" {
		return ""
	}
	first, last, rest := low[0], high[0], len(low)-1
	if first == last {
		return low[:1] + between(low[1:], high[1:])
	}
	zeros, nines := strings.Repeat("0", rest), strings.Repeat("9", rest)
	var alternatives []string
	if low[1:] != zeros {
		alternatives = append(alternatives, low[:1]+between(low[1:], nines))
		first++
	}
	end := ""
	if high[1:] != nines {
		end = high[:1] + between(zeros, high[1:])
		last--
	}
	if first <= last {
		alternatives = append(alternatives, digits(first, last, 1)+digits('0', '9', rest))
	}
	if end != "" {
		alternatives = append(alternatives, end)
	}
	return anyOf(alternatives)
}

// digits returns the pattern of so many digits, each from first to last.
func digits(first, last byte, n int) string {
	pattern := string(first)
	if first < last {
		pattern = fmt.Sprintf("[%c-%c]", first, last)
	}
	switch n {
	case 0:
		return ""
	case 1:
		return pattern
	}
	return fmt.Sprintf("%s{%d}", pattern, n)
}

func anyOf(alternatives []string) string {
	if len(alternatives) == 1 {
		return alternatives[0]
	}
	return "(" + strings.Join(alternatives, "|") + ")"
}

func text(p *string, pattern, allowed string) value {
	expression := regexp.MustCompile(pattern)
	return value{
		allowed: allowed,
		pattern: pattern,
		parse: func(s string) error {
			if !expression.MatchString(s) {
				return errValue
			}
			*p = s
			return nil
		},
		format: func() string { return *p },
	}
}

func oneOf(p *string, choices ...string) value {
	return value{
		allowed: strings.Join(choices[:len(choices)-1], ", ") + " or " + choices[len(choices)-1],
		choices: choices,
		parse: func(s string) error {
			if !slices.Contains(choices, s) {
				return errValue
			}
			*p = s
			return nil
		},
		format: func() string { return *p },
	}
}

// address is an optional http or https URL with nothing behind its path. A slash at its end is dropped.
func address(p *string) value {
	return value{
		allowed: "an http or https URL without user, query or fragment, or empty",
		pattern: `^([Hh][Tt][Tt][Pp][Ss]?://[^/?#@ ]+(/[^?#]*)?)?$`,
		parse: func(s string) error {
			if s == "" {
				*p = ""
				return nil
			}
			u, err := httpURL(s)
			if err != nil {
				return err
			}
			u.Path = strings.TrimRight(u.Path, "/")
			u.RawPath = ""
			*p = u.String()
			return nil
		},
		format: func() string { return *p },
	}
}

// origins is a list of web origins, separated by commas, or a single *.
func origins(p *[]string) value {
	return value{
		allowed: "origins such as https://example.com, separated by commas, or `*` for all, or empty",
		// Between a comma and an origin there may be any white space, which the two languages do not agree about.
		pattern: `^([^!-~]*([*]|[Hh][Tt][Tt][Pp][Ss]?://[^/?#,]+)[^!-~]*(,|$))*$`,
		parse: func(s string) error {
			if s == "" {
				*p = nil
				return nil
			}
			var list []string
			for origin := range strings.SplitSeq(s, ",") {
				origin = strings.TrimSpace(origin)
				if origin == "*" && strings.TrimSpace(s) == "*" {
					list = append(list, origin)
					continue
				}
				u, err := httpURL(origin)
				if err != nil || u.Path != "" {
					return errValue
				}
				list = append(list, u.String())
			}
			*p = list
			return nil
		},
		format: func() string { return strings.Join(*p, ",") },
	}
}

func httpURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errValue
	}
	u.Host = strings.ToLower(u.Host)
	port := u.Port()
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errValue
		}
	}
	// A comma would read as the end of an entry in a list, and is in no host's name.
	wrong := (u.Scheme != "http" && u.Scheme != "https") || u.Opaque != "" || u.Hostname() == "" ||
		u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.ContainsAny(u.Host, ", \t*") ||
		strings.HasSuffix(s, "#") || strings.HasSuffix(u.Host, ":")
	if wrong {
		return nil, errValue
	}
	return u, nil
}

func assign[T cmp.Ordered](p *T, v T, err error, least, most T) error {
	if err != nil || v < least || v > most {
		return errValue
	}
	*p = v
	return nil
}
