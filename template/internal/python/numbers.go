package python

import (
	"math"
	"strconv"
	"strings"
)

// ParseInt is Python's int(s, base).
func ParseInt(s string, base int) (any, bool) {
	s = strings.TrimFunc(s, IsSpace)
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || base < 0 || base == 1 || base > 36 {
		return nil, false
	}
	negative := strings.HasPrefix(s, "-")
	prefixed := false
	if len(digits) > 2 && digits[0] == '0' {
		prefixBase := map[byte]int{'x': 16, 'o': 8, 'b': 2}[digits[1]|0x20]
		if prefixBase != 0 && (base == 0 || base == prefixBase) {
			base, digits, prefixed = prefixBase, digits[2:], true
		}
	}
	if base == 0 {
		base = 10
		if strings.HasPrefix(digits, "0") && strings.Trim(digits, "0_") != "" {
			return nil, false
		}
	}
	if prefixed {
		digits = strings.TrimPrefix(digits, "_")
	}
	if digits == "" || digits[0] == '_' || strings.HasSuffix(digits, "_") ||
		strings.Contains(digits, "__") {
		return nil, false
	}
	digits = strings.ReplaceAll(digits, "_", "")
	if digits[0] == '+' || digits[0] == '-' {
		return nil, false
	}
	signed := digits
	if negative {
		signed = "-" + digits
	}
	i, err := strconv.ParseInt(signed, base, 64)
	if err == nil {
		return i, true
	}
	if base != 10 || strings.Trim(digits, "0123456789") != "" {
		return nil, false
	}
	digits = strings.TrimLeft(digits, "0")
	if len(digits) > maxDigits {
		return nil, false
	}
	if negative {
		digits = "-" + digits
	}
	return BigInt(digits), true
}

// ParseFloat is Python's float(s).
func ParseFloat(s string) (float64, bool) {
	s = strings.TrimFunc(s, IsSpace)
	if strings.ContainsAny(s, "xXpP") || strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") ||
		strings.Contains(s, "__") {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	return f, err == nil || math.IsInf(f, 0)
}

// StepsOfRounding is what it costs to write a number with all its digits and to read it again.
const StepsOfRounding = 8
