package config

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// The forms of hosts. Names of containers have underscores. International names are written as
// browsers send them: xn--….
const (
	aName    = `[A-Za-z0-9_-]{1,63}([.][A-Za-z0-9_-]{1,63})*[.]?`
	anOrigin = `([Hh][Tt][Tt][Pp][Ss]?)://(` + aName + `|\[[0-9A-Fa-f:]+\])(:[0-9]+)?`
)

var (
	hostName   = regexp.MustCompile(`^` + aName + `$`)
	originForm = regexp.MustCompile(`^` + anOrigin + `$`)
	// Source: https://url.spec.whatwg.org/#ends-in-a-number-checker.
	endsInNumber = regexp.MustCompile(`(^|[.])([0-9]+|0[Xx][0-9A-Fa-f]*)[.]?$`)
)

// origin returns a web origin as browsers write it in the header Origin: in lower case, without the
// default port of the scheme.
func origin(s string) (string, bool) {
	parts := originForm.FindStringSubmatch(s)
	if parts == nil {
		return "", false
	}
	scheme, host, port := strings.ToLower(parts[1]), strings.ToLower(parts[2]), parts[4]
	if literal, ok := strings.CutPrefix(host, "["); ok {
		address, err := netip.ParseAddr(strings.TrimSuffix(literal, "]"))
		if err != nil || address.Is4In6() { // a browser writes an IPv4 address in it as hexadecimal
			return "", false
		}
		host = "[" + address.String() + "]"
	} else if _, err := netip.ParseAddr(host); err != nil && endsInNumber.MatchString(host) {
		return "", false // a browser writes it as the IPv4 address that it stands for
	}
	if port != "" {
		number, err := strconv.ParseUint(port[1:], 10, 16)
		if err != nil || number == 0 {
			return "", false
		}
		if number != map[string]uint64{"http": 80, "https": 443}[scheme] {
			host += ":" + strconv.FormatUint(number, 10)
		}
	}
	return scheme + "://" + host, true
}
