package localaws

import (
	"strconv"
	"strings"
)

// decimal is a DynamoDB number: 0.digits × 10^exponent, digits without zeros at either end.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

// Limits of https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
const (
	maxDigits   = 38
	maxExponent = 126
	minExponent = -129
)

func parseDecimal(s string) (decimal, error) {
	wrong := validation("The parameter cannot be converted to a numeric value: " + s)
	mantissa, power := strings.TrimSpace(s), 0
	if i := strings.IndexAny(mantissa, "eE"); i >= 0 {
		var err error
		if power, err = strconv.Atoi(mantissa[i+1:]); err != nil {
			return decimal{}, wrong
		}
		mantissa = mantissa[:i]
	}
	var d decimal
	if d.negative = strings.HasPrefix(mantissa, "-"); d.negative {
		mantissa = mantissa[1:]
	} else {
		mantissa = strings.TrimPrefix(mantissa, "+")
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return decimal{}, wrong
	}
	significant := strings.TrimLeft(digits, "0")
	d.exponent = len(whole) + power - (len(digits) - len(significant))
	d.digits = strings.TrimRight(significant, "0")
	switch {
	case d.digits == "":
		return decimal{}, nil
	case len(d.digits) > maxDigits:
		return d, validation("Attempting to store more than 38 significant digits in a Number")
	case d.exponent > maxExponent:
		return d, validation("Number overflow. Attempting to store a number with magnitude larger than supported range")
	case d.exponent < minExponent:
		return d, validation("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	}
	return d, nil
}

// String returns the number without an exponent, as DynamoDB answers it.
func (d decimal) String() string {
	var s string
	switch {
	case d.digits == "":
		return "0"
	case d.exponent <= 0:
		s = "0." + strings.Repeat("0", -d.exponent) + d.digits
	case d.exponent >= len(d.digits):
		s = d.digits + strings.Repeat("0", d.exponent-len(d.digits))
	default:
		s = d.digits[:d.exponent] + "." + d.digits[d.exponent:]
	}
	if d.negative {
		return "-" + s
	}
	return s
}

// sortable returns a string that compares byte by byte as the numbers do.
func (d decimal) sortable() string {
	if d.digits == "" {
		return "\x80"
	}
	// The exponents from minExponent to maxExponent are 256.
	b := append([]byte{0x81, byte(d.exponent - minExponent)}, d.digits...) //nolint:gosec // and so fit into a byte
	if !d.negative {
		return string(b)
	}
	for i := range b {
		b[i] = ^b[i]
	}
	return string(append(b, 0xff))
}
