package contract

import (
	"net/netip"
	"net/url"
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
	hostList   = listOf(`([*][.])?` + aName)
	originList = listOf("[*]|" + anOrigin)
	// Source: https://url.spec.whatwg.org/#ends-in-a-number-checker.
	endsInNumber = regexp.MustCompile(`(^|[.])([0-9]+|0[Xx][0-9A-Fa-f]*)[.]?$`)
)

// hostEntry returns a host name, or *. and one, in lower case, without a dot at its end.
func hostEntry(s string) (string, bool) {
	name := strings.TrimPrefix(s, "*.")
	ok := hostName.MatchString(name) && !endsInNumber.MatchString(name)
	return strings.ToLower(strings.TrimSuffix(s, ".")), ok
}

// origin returns a web origin as browsers write it in the header Origin: in lower case, without the
// default port of the scheme.
func origin(s string) (string, bool) {
	u, ok := httpURL(s)
	if !ok || !originForm.MatchString(s) {
		return "", false
	}
	host := u.Hostname()
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Is4In6() { // a browser writes the IPv4 address in it as hexadecimal
			return "", false
		}
		host = a.String()
	} else if endsInNumber.MatchString(host) { // a browser writes the IPv4 address that it stands for
		return "", false
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	usual := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	if port := strings.TrimLeft(u.Port(), "0"); port != "" && port != usual { // a port may have zeros in front
		host += ":" + port
	}
	return u.Scheme + "://" + host, true
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
