package template

import (
	"math"
	"strings"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// percentFormat is format % values. Into markup, values are put escaped.
func (st *state) percentFormat(format string, safe safety, values any) (any, error) {
	f := percentFormatter{st: st, safe: safe != notSafe, values: values}
	positional, isTuple := values.(*tuple)
	if !isTuple {
		positional = &tuple{items: []any{values}}
	}
	f.positional = positional.items
	if err := st.scan(perCharacter * len(format)); err != nil {
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
	return textOf(string(f.out), filled(safe)), nil
}

// hasItems reports whether Python takes a value for a mapping, which a format need not use up.
func hasItems(v any) bool {
	switch v.(type) {
	case *dict, *list, *rangeValue, *undefined:
		return true
	}
	return false
}

type percentFormatter struct {
	st         *state
	safe       bool
	values     any
	positional []any
	next       int
	out        []byte
}

func (f *percentFormatter) write(s string) error {
	var err error
	f.out, err = f.st.appendCopy(f.out, s)
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
	if err := f.st.step(); err != nil {
		return "", err
	}
	n := numberFormat{precision: -1, percent: true}
	value := absent
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
		if value == absent {
			if _, err = f.value(); err != nil {
				return "", err
			}
		}
		return "", fault.Errorf(fault.ErrType, "between two %% nothing may stand")
	}
	if value == absent {
		if value, err = f.value(); err != nil {
			return "", err
		}
	}
	text, err := f.format(&n, value)
	if err != nil {
		return "", err
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
		d, ok := f.values.(*dict)
		if !ok {
			return nil, "", fault.Errorf(fault.ErrType, "the format needs a mapping")
		}
		value, ok, err := d.get(f.st, s[1:i])
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
		i, ok := asInt(v)
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
	for s != "" && decimal(s[0]) {
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
				b, err = st.appendEscaped(nil, s)
			}
		case n.verb == 'r':
			b, err = st.appendRepr(nil, v, 0)
			if f.safe && err == nil {
				b, err = st.appendEscaped(nil, string(b))
			}
		case f.safe:
			b, err = st.appendEscaped(nil, v)
		default:
			b, err = st.appendString(nil, v)
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
		if i, ok := asInt(v); ok && i >= 0 && i <= 0x10ffff {
			return n.text(st, string(rune(i)), '>')
		}
		if s, ok := asString(v); ok && len(s) <= utf8.UTFMax && utf8.RuneCountInString(s) == 1 {
			return n.text(st, s, '>')
		}
		return "", fault.Errorf(fault.ErrType, "%%c needs an integer or one character")
	}
	if u, ok := v.(*undefined); ok {
		return "", u.fail()
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
	if err := st.readDigits(v, nil); err != nil {
		return "", err
	}
	x, ok := asFloat(v)
	if s, isText := asString(v); isText && f.safe {
		if err := st.spend(len(s)); err != nil {
			return "", err
		}
		x, ok = parseFloat(s)
	}
	if !ok {
		return "", fault.Errorf(fault.ErrType, "the format needs a number, not %s", typeName(v))
	}
	digits, err := n.float(st, x)
	if err != nil {
		return "", err
	}
	return n.finish(st, digits, "")
}

func (f *percentFormatter) integer(n *numberFormat, v any) (string, error) {
	if b, ok := v.(bigInteger); ok {
		digits, prefix, err := n.bigInteger(f.st, b)
		if err != nil {
			return "", err
		}
		return f.digits(n, digits, prefix)
	}
	if s, isText := asString(v); isText && f.safe && strings.IndexByte("diu", n.verb) >= 0 { // Markup makes int() of it
		if err := f.st.spend(len(s)); err != nil {
			return "", err
		}
		if parsed, ok := parseInt(s, 10); ok {
			v = parsed
		}
		if b, ok := v.(bigInteger); ok {
			return f.digits(n, string(b), "")
		}
	}
	i, ok := asInt(v)
	if x, isFloat := v.(float64); isFloat && strings.IndexByte("diu", n.verb) >= 0 {
		if i, ok = floatToInt(x); !ok {
			return "", fault.Errorf(fault.ErrArithmetic, "the number is beyond 64 bits")
		}
	}
	if !ok {
		return "", fault.Errorf(fault.ErrType, "the format needs an integer, not %s", typeName(v))
	}
	digits, prefix := n.integer(i)
	return f.digits(n, digits, prefix)
}

// digits fills an integer up to its precision, and puts sign, prefix and blanks around it.
func (f *percentFormatter) digits(n *numberFormat, digits, prefix string) (string, error) {
	if n.precision >= 0 {
		negative := strings.HasPrefix(digits, "-")
		padded, err := f.st.pad(strings.TrimPrefix(digits, "-"), n.precision, "0", padLeft)
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
func (n *numberFormat) cut(st *state, s string) (string, error) {
	if n.precision < 0 {
		return s, nil
	}
	if err := st.read(s); err != nil {
		return "", err
	}
	return s[:runeOffset(s, int(min(n.precision, math.MaxInt32)))], nil
}
