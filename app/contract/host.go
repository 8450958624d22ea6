package contract

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The forms of hosts. Names of containers have underscores. International names are written as
// browsers send them: xn--….
const (
	aName    = `[A-Za-z0-9_-]{1,63}([.][A-Za-z0-9_-]{1,63})*[.]?`
	anOrigin = `([Hh][Tt][Tt][Pp][Ss]?)://(` + aName + `|\[[0-9A-Fa-f:]+\])(:[0-9]+)?`
)

// Source: https://url.spec.whatwg.org/#ends-in-a-number-checker.
var endsInNumber = regexp.MustCompile(`(^|[.])([0-9]+|0[Xx][0-9A-Fa-f]*)[.]?$`)

// URL is an optional http or https URL with nothing behind its path. It drops a slash at the end.
func URL(field *string) Row {
	return Value(field, `^([Hh][Tt][Tt][Pp][Ss]?://[^/?#@ ]+(/[^?#]*)?)?$`,
		"an http or https URL without user, query or fragment, or empty",
		func(s string) (string, bool) {
			u, ok := parseURL(s)
			if !ok {
				return "", false
			}
			u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
			return u.String(), true
		}, itself,
	).Like("http://localstack:4566", "https://example.com/v1", "http://[2001:db8::7]:8000/%20/é")
}

// Hosts is a list of host names in lower case, some of them with *. in front, without a dot at
// their end.
func Hosts(field *[]string) Row {
	return List(field, `([*][.])?`+aName,
		"host names such as api.example.com, or *.example.com for every name below it, "+
			"separated by commas, without ports, or empty",
		func(s string) (string, bool) {
			return strings.ToLower(strings.TrimSuffix(s, ".")), !endsInNumber.MatchString(s)
		}, itself,
	).Like("api.example.com,*.internal", "web_1")
}

// Origins is a list of web origins, or a single *.
func Origins(field *[]string) Row {
	return List(field, "[*]|"+anOrigin,
		"origins such as https://example.com, separated by commas, or `*` for all, or empty", origin, itself,
	).Like("*", "https://example.com,http://localhost:3000,http://[2001:db8::7]").
		If(func() bool { return len(*field) < 2 || !slices.Contains(*field, "*") })
}

// origin returns an entry of [Origins] as browsers write it in the header Origin: in lower case,
// without the default port of the scheme.
func origin(s string) (string, bool) {
	u, ok := parseURL(s)
	if s == "*" || !ok {
		return s, s == "*"
	}
	host := u.Hostname()
	if a, err := netip.ParseAddr(host); err == nil {
		host, ok = a.String(), !a.Is4In6() // a browser writes the IPv4 address in it as hexadecimal
	} else {
		ok = !endsInNumber.MatchString(host) // a browser writes the IPv4 address that it stands for
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	usual := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	if port := strings.TrimLeft(u.Port(), "0"); port != "" && port != usual { // a port may have zeros in front
		host += ":" + port
	}
	return u.Scheme + "://" + host, ok
}

// parseURL parses what matches the pattern of [URL] or of an origin.
func parseURL(s string) (u *url.URL, ok bool) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, false
	}
	u.Host = strings.ToLower(u.Host)
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return u, (u.Port() == "" || err == nil && port > 0) && u.Hostname() != "" &&
		!strings.ContainsAny(u.Host, ",*") && !strings.HasSuffix(u.Host, ":")
}
