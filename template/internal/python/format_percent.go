package python

import (
	"math"
	"strings"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// PercentFormat is format % values. Into markup, values are put escaped.
func (st *State) PercentFormat(format string, safe Safety, values any) (any, error) {
	f := percentFormatter{st: st, safe: safe != NotSafe, values: values, filler: st.NewFiller()}
	positional, isTuple := values.(*Tuple)
	if !isTuple {
		positional = &Tuple{Items: []any{values}}
	}
	f.positional = positional.Items
	if err := st.Scan(PerCharacter * len(format)); err != nil {
		return nil, err
	}
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			break
		}
		if err := f.write(format[:i]); err != nil {
			return nil, err
		}
		rest, err := f.verb(format[i+1:])
		if err != nil {
			return nil, err
		}
		format = rest
	}
	if err := f.write(format); err != nil {
		return nil, err
	}
	if f.next < len(f.positional) && (isTuple || !hasItems(values)) {
		return nil, fault.Errorf(fault.ErrType, "more values than the format has places")
	}
	return TextOf(string(f.out), Filled(safe)), nil
}

// hasItems reports whether Python takes a value for a mapping, which a format need not use up.
func hasItems(v any) bool {
	switch v.(type) {
	case *Dict, *List, *Range, *Undefined:
		return true
	}
	return false
}

type percentFormatter struct {
	st         *State
	safe       bool
	values     any
	positional []any
	next       int
	out        []byte
	filler     Filler
}

func (f *percentFormatter) write(s string) error {
	var err error
	f.out, err = f.st.AppendCopy(f.out, s)
	return err
}

func (f *percentFormatter) value() (any, error) {
	if f.next >= len(f.positional) {
		return nil, fault.Errorf(fault.ErrType, "fewer values than the format has places")
	}
	f.next++
	return f.positional[f.next-1], nil
}

// verb formats one value, for the verb that s begins with, and returns what follows.
func (f *percentFormatter) verb(s string) (rest string, err error) {
	if err := f.st.Step(); err != nil {
		return "", err
	}
	n := numberFormat{precision: -1, percent: true}
	value := Absent
	direct := strings.HasPrefix(s, "%")
	if strings.HasPrefix(s, "(") {
		if value, s, err = f.named(s); err != nil {
			return "", err
		}
	}
	if s, err = f.flags(&n, s); err != nil {
		return "", err
	}
	if s == "" {
		return "", fault.Errorf(fault.ErrType, "the format ends inside a place")
	}
	n.verb, s = s[0], s[1:]
	if n.verb == '%' {
		if direct { // "%%"
			return s, f.write("%")
		}
		if value == Absent {
			if _, err = f.value(); err != nil {
				return "", err
			}
		}
		return "", fault.Errorf(fault.ErrType, "between two %% nothing may stand")
	}
	if value == Absent {
		if value, err = f.value(); err != nil {
			return "", err
		}
	}
	text, err := f.format(&n, value)
	if err != nil {
		return "", err
	}
	if f.safe {
		f.out, err = f.filler.AppendText(f.out, text, max(SafetyOf(value), SafeText))
		return s, err
	}
	return s, f.write(text)
}

// named reads "(key)" and finds its value.
func (f *percentFormatter) named(s string) (value any, rest string, err error) {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth > 0 {
			continue
		}
		d, ok := f.values.(*Dict)
		if !ok {
			return nil, "", fault.Errorf(fault.ErrType, "the format needs a mapping")
		}
		value, ok, err := d.Get(f.st, s[1:i])
		if err == nil && !ok {
			err = fault.Errorf(fault.ErrType, "the format names a key that the mapping lacks")
		}
		f.next = len(f.positional)
		return value, s[i+1:], err
	}
	return nil, "", fault.Errorf(fault.ErrType, "a key of the format is not closed")
}

// flags reads what stands between % and the verb.
func (f *percentFormatter) flags(n *numberFormat, s string) (string, error) {
	for s != "" && strings.IndexByte("-+ #0", s[0]) >= 0 {
		switch s[0] {
		case '-':
			n.align = '<'
		case '+':
			n.sign = '+'
		case ' ':
			if n.sign == 0 {
				n.sign = ' '
			}
		case '#':
			n.alternate = true
		case '0':
			if n.align == 0 {
				n.align, n.fill = '=', "0"
			}
		}
		s = s[1:]
	}
	if n.align == '<' {
		n.fill = ""
	}
	var err error
	if n.width, s, err = f.number(s); err != nil {
		return "", err
	}
	if n.width < 0 { // from a *
		n.width, n.align, n.fill = -n.width, '<', ""
	}
	if strings.HasPrefix(s, ".") {
		if n.precision, s, err = f.number(s[1:]); err != nil {
			return "", err
		}
		n.precision = max(n.precision, 0)
	}
	if s != "" && strings.IndexByte("hlL", s[0]) >= 0 {
		s = s[1:]
	}
	return s, nil
}

// number reads digits, or a * that takes the next value.
func (f *percentFormatter) number(s string) (int64, string, error) {
	if strings.HasPrefix(s, "*") {
		v, err := f.value()
		if err != nil {
			return 0, "", err
		}
		i, ok := AsInt(v)
		if !ok || i < -math.MaxInt32 || i > math.MaxInt32 {
			return 0, "", fault.Errorf(fault.ErrType, "* needs an integer")
		}
		return i, s[1:], nil
	}
	return leadingNumber(s)
}

// leadingNumber reads decimal digits at the start of s.
func leadingNumber(s string) (int64, string, error) {
	n := int64(0)
	for s != "" && Decimal(s[0]) {
		if n = n*10 + int64(s[0]-'0'); n > math.MaxInt32 {
			return 0, "", fault.Errorf(fault.ErrType, "a number in the format is too large")
		}
		s = s[1:]
	}
	return n, s, nil
}

func (f *percentFormatter) format(n *numberFormat, v any) (string, error) {
	st := f.st
	switch n.verb {
	case 's', 'r', 'a':
		var b []byte
		var err error
		switch {
		case n.verb == 'a':
			var s string
			s, err = st.asciiRepr(v)
			b = []byte(s)
			if f.safe && err == nil {
				b, err = st.escaped(s)
			}
		case n.verb == 'r':
			b, err = st.AppendRepr(nil, v, 0)
			if f.safe && err == nil {
				b, err = st.escaped(string(b))
			}
		case f.safe:
			b, err = st.escaped(v)
		default:
			b, err = st.AppendString(nil, v)
		}
		if err != nil {
			return "", err
		}
		s, err := n.cut(st, string(b))
		if err != nil {
			return "", err
		}
		return n.text(st, s, '>')
	case 'c':
		if f.safe {
			return "", fault.Errorf(fault.ErrType, "%%c does not work in a format that is markup")
		}
		if i, ok := AsInt(v); ok && i >= 0 && i <= 0x10ffff {
			return n.text(st, string(rune(i)), '>')
		}
		if s, ok := AsString(v); ok && len(s) <= utf8.UTFMax && utf8.RuneCountInString(s) == 1 {
			return n.text(st, s, '>')
		}
		return "", fault.Errorf(fault.ErrType, "%%c needs an integer or one character")
	}
	if u, ok := v.(*Undefined); ok {
		return "", u.Fail()
	}
	if strings.IndexByte("diuxXo", n.verb) >= 0 {
		if f.safe && strings.IndexByte("diu", n.verb) < 0 {
			return "", fault.Errorf(fault.ErrType, "%%%c does not work in a format that is markup", n.verb)
		}
		return f.integer(n, v)
	}
	if strings.IndexByte("eEfFgG", n.verb) < 0 {
		return "", fault.Errorf(fault.ErrType, "the format has an unknown place")
	}
	if err := st.ReadDigits(v, nil); err != nil {
		return "", err
	}
	x, ok := AsFloat(v)
	if s, isText := AsString(v); isText && f.safe {
		if err := st.Spend(len(s)); err != nil {
			return "", err
		}
		x, ok = ParseFloat(s)
	}
	if !ok {
		return "", fault.Errorf(fault.ErrType, "the format needs a number, not %s", TypeName(v))
	}
	digits, err := n.float(st, x)
	if err != nil {
		return "", err
	}
	return n.finish(st, digits, "")
}

func (f *percentFormatter) integer(n *numberFormat, v any) (string, error) {
	if b, ok := v.(BigInt); ok {
		digits, prefix, err := n.bigInteger(f.st, b)
		if err != nil {
			return "", err
		}
		return f.digits(n, digits, prefix)
	}
	if s, isText := AsString(v); isText && f.safe &&
		strings.IndexByte("diu", n.verb) >= 0 { // Markup makes int() of it
		if err := f.st.Spend(len(s)); err != nil {
			return "", err
		}
		if parsed, ok := ParseInt(s, 10); ok {
			v = parsed
		}
		if b, ok := v.(BigInt); ok {
			return f.digits(n, string(b), "")
		}
	}
	i, ok := AsInt(v)
	if x, isFloat := v.(float64); isFloat && strings.IndexByte("diu", n.verb) >= 0 {
		if i, ok = FloatToInt(x); !ok {
			return "", fault.Errorf(fault.ErrArithmetic, "the number is beyond 64 bits")
		}
	}
	if !ok {
		return "", fault.Errorf(fault.ErrType, "the format needs an integer, not %s", TypeName(v))
	}
	digits, prefix := n.integer(i)
	return f.digits(n, digits, prefix)
}

// digits fills an integer up to its precision, and puts sign, prefix and blanks around it.
func (f *percentFormatter) digits(n *numberFormat, digits, prefix string) (string, error) {
	if n.precision >= 0 {
		negative := strings.HasPrefix(digits, "-")
		padded, err := f.st.Pad(strings.TrimPrefix(digits, "-"), n.precision, "0", PadLeft)
		if err != nil {
			return "", err
		}
		if digits = padded; negative {
			digits = "-" + digits
		}
	}
	return n.finish(f.st, digits, prefix)
}

// cut keeps the first precision characters.
func (n *numberFormat) cut(st *State, s string) (string, error) {
	if n.precision < 0 {
		return s, nil
	}
	if err := st.Read(s); err != nil {
		return "", err
	}
	return s[:RuneOffset(s, int(min(n.precision, math.MaxInt32)))], nil
}
