package config

import (
	"net/netip"
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

var (
	hostName   = regexp.MustCompile(`^` + aName + `$`)
	originForm = regexp.MustCompile(`^` + anOrigin + `$`)
	// Source: https://url.spec.whatwg.org/#ends-in-a-number-checker.
	endsInNumber = regexp.MustCompile(`(^|[.])([0-9]+|0[Xx][0-9A-Fa-f]*)[.]?$`)
)

// HostAllowed reports whether the API may be called under a host: a name, or an IP address without
// brackets, in either case without a port. IP addresses and localhost are always allowed, because
// no DNS server decides where they lead.
func (c Config) HostAllowed(host string) bool {
	if len(c.AllowedHosts) == 0 {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(host); err == nil || matches("localhost", host) || matches("*.localhost", host) {
		return true
	}
	return slices.ContainsFunc(c.AllowedHosts, func(entry string) bool { return matches(entry, host) })
}

// matches reports whether a host is that of an entry, or below that of an entry with *. in front.
func matches(entry, host string) bool {
	if domain, ok := strings.CutPrefix(entry, "*"); ok {
		return len(host) > len(domain) && strings.HasSuffix(host, domain)
	}
	return host == entry
}

// hostEntry returns an entry of ALLOWED_HOSTS in lower case, without a dot at its end.
func hostEntry(s string) (string, bool) {
	name := strings.TrimPrefix(s, "*.")
	ok := hostName.MatchString(name) && !endsInNumber.MatchString(name)
	return strings.ToLower(strings.TrimSuffix(s, ".")), ok
}

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
