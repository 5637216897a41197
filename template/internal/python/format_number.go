package python

import (
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// A numberFormat is what Python's two formatting languages have in common: '%+08.2f' and
// '{:+08.2f}'.
type numberFormat struct {
	fill           string // one character; "" is a blank
	align          byte   // '<', '>', '^', '=', or 0 for the default of the type
	sign           byte   // '+', ' ', or '-'
	alternate      bool   // '#'
	noNegativeZero bool   // 'z'
	zero           bool   // zeros asked for by a 0 before the width, which mean nothing for text
	width          int64
	precision      int64 // -1 if not given
	comma          byte  // ',' or '_' between thousands
	percent        bool  // of the percent language
	verb           byte  // d, f, e, g, x, …; 0 if not given
}

const maxPrecision = 1000 // digits after the point; a float has fewer

// float formats f with the verb e, f, g or %, in either case.
func (n *numberFormat) float(st *State, f float64) (string, error) {
	precision := int(min(max(n.precision, 0), maxPrecision))
	if err := st.Spend(StepsOfRounding + precision/BytesPerDigitStep); err != nil {
		return "", err
	}
	return n.positiveZero(n.digits(f)), nil
}

// positiveZero drops the sign of what has been rounded to zero, if z asks for that.
func (n *numberFormat) positiveZero(digits string) string {
	if mantissa, _, _ := strings.Cut(digits, "e"); n.noNegativeZero &&
		strings.Trim(mantissa, "-0.%") == "" {
		return strings.TrimPrefix(digits, "-")
	}
	return digits
}

func (n *numberFormat) digits(f float64) string {
	verb := n.verb
	precision := int(min(n.precision, maxPrecision))
	if precision < 0 {
		precision = 6
	}
	suffix := ""
	if verb == '%' {
		f *= 100
		verb, suffix = 'f', "%"
	}
	lower := verb | 0x20
	var s string
	switch {
	case math.IsNaN(f):
		s = "nan"
	case math.IsInf(f, 0):
		s = strings.TrimLeft(strconv.FormatFloat(f, 'g', -1, 64), "+")
		s = strings.ToLower(s)
	case lower == 'g' || lower == 'n':
		s = generalFloat(f, max(precision, 1), n.alternate)
	default:
		s = strconv.FormatFloat(f, lower, precision, 64)
		if n.alternate && precision == 0 {
			s = addPoint(s)
		}
	}
	if verb != lower {
		s = strings.ToUpper(s)
	}
	return s + suffix
}

// generalFloat is %g: an exponent where the number is very large or small, and no zeros at the end.
func generalFloat(f float64, precision int, alternate bool) string {
	s := strconv.FormatFloat(f, 'e', precision-1, 64)
	mantissa, exponent, _ := strings.Cut(s, "e")
	x, _ := strconv.Atoi(exponent)
	exponent = "e" + exponent
	if x >= -4 && x < precision {
		mantissa, exponent = strconv.FormatFloat(f, 'f', precision-1-x, 64), ""
	}
	switch {
	case !alternate:
		mantissa = trimZeros(mantissa)
	case strings.IndexByte(mantissa, '.') < 0:
		mantissa += "."
	}
	return mantissa + exponent
}

func trimZeros(s string) string {
	if strings.IndexByte(s, '.') < 0 {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

func addPoint(s string) string {
	if i := strings.IndexByte(s, 'e'); i >= 0 {
		return s[:i] + "." + s[i:]
	}
	return s + "."
}

// integer formats digits of an integer with the verb d, x, X, o, b. prefix is written if alternate.
func (n *numberFormat) integer(i int64) (digits, prefix string) {
	switch n.verb {
	case 'x':
		digits, prefix = strconv.FormatInt(i, 16), "0x"
	case 'X':
		digits, prefix = strings.ToUpper(strconv.FormatInt(i, 16)), "0X"
	case 'o':
		digits, prefix = strconv.FormatInt(i, 8), "0o"
	case 'b':
		digits, prefix = strconv.FormatInt(i, 2), "0b"
	default:
		digits = strconv.FormatInt(i, 10)
	}
	if !n.alternate {
		prefix = ""
	}
	return digits, prefix
}

// bigInteger is integer for one beyond 64 bits.
func (n *numberFormat) bigInteger(st *State, v BigInt) (digits, prefix string, err error) {
	base, ok := map[byte]int{'x': 16, 'X': 16, 'o': 8, 'b': 2}[n.verb]
	if !ok {
		return string(v), "", st.Alloc(len(v))
	}
	const growth = 4 // of digits in base 2
	if err := st.Alloc(growth * len(v)); err != nil {
		return "", "", err
	}
	if err := st.Spend(len(v)); err != nil {
		return "", "", err
	}
	i, ok := new(big.Int).SetString(string(v), 10)
	if !ok {
		return "", "", fault.Errorf(fault.ErrInternal, "an integer is no integer")
	}
	_, prefix = n.integer(0)
	if digits = i.Text(base); n.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	return digits, prefix, nil
}

// finish puts the sign, prefix, separators and padding around the digits of a number.
func (n *numberFormat) finish(st *State, digits, prefix string) (string, error) {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	} else if n.sign == '+' || n.sign == ' ' {
		sign = string(n.sign)
	}
	fill, align := n.fill, n.align
	if n.comma != 0 {
		every := 3
		if n.comma == '_' && strings.IndexByte("xXob", n.verb) >= 0 && n.verb != 0 {
			every = 4
		}
		width := 0
		if align == '=' && fill == "0" {
			width = int(min(n.width, math.MaxInt32)) - len(sign) - len(prefix)
			if err := st.AllocTimes(4, n.width); err != nil {
				return "", err
			}
		}
		digits = groupDigits(digits, n.comma, every, width)
	}
	if align == '=' {
		if fill == "" {
			fill = " "
		}
		padded, err := st.Pad(digits, n.width-int64(len(sign)+len(prefix)), fill, PadLeft)
		return sign + prefix + padded, err
	}
	return n.text(st, sign+prefix+digits, '>')
}

// groupDigits separates the digits before the point, filled up with zeros to width.
func groupDigits(s string, comma byte, every, width int) string {
	end := strings.IndexFunc(s, func(r rune) bool {
		return r == '.' || (r == 'e' || r == 'E') && every == 3 || r == '%'
	})
	if end < 0 {
		end = len(s)
	}
	whole, rest := s[:end], s[end:]
	var out []byte
	for count := 0; whole != "" || len(out)+len(rest) < width; count++ {
		if count > 0 && count%every == 0 {
			out = append(out, comma)
		}
		if whole == "" {
			out = append(out, '0')
			continue
		}
		out = append(out, whole[len(whole)-1])
		whole = whole[:len(whole)-1]
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out) + rest
}

// text pads a string.
func (n *numberFormat) text(st *State, s string, align byte) (string, error) {
	if n.align != 0 && n.align != '=' {
		align = n.align
	}
	fill := n.fill
	if fill == "" || n.align == '=' && n.percent {
		fill = " "
	}
	switch align {
	case '<':
		return st.Pad(s, n.width, fill, PadRight)
	case '^':
		runes, err := st.Runes(s)
		if err != nil {
			return "", err
		}
		missing := max(0, n.width-int64(runes))
		s, err := st.Pad(s, n.width-(missing-missing/2), fill, PadLeft)
		if err != nil {
			return "", err
		}
		return st.Pad(s, n.width, fill, PadRight)
	}
	return st.Pad(s, n.width, fill, PadLeft)
}
