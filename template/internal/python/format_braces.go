package python

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// A BraceFormatter is str.format(): '{} {name!r:>8} {0.attribute[key]}'. What is put into markup is
// escaped.
type BraceFormatter struct {
	State  *State
	Safe   bool
	Args   Args
	Named  *Dict // format_map's
	auto   int   // the next {} takes this argument; -1 once {0} has been used
	manual bool
}

const maxFormatNesting = 2 // {:{width}}

// Format replaces the fields of a format. Nesting is how many formats it stands in.
func (f *BraceFormatter) Format(format string, nesting int) (string, error) {
	if nesting > maxFormatNesting {
		return "", fault.Errorf(fault.ErrType, "the format nests too deeply")
	}
	var out []byte
	filler := f.State.NewFiller()
	write := func(s string) (err error) {
		out, err = f.State.AppendCopy(out, s)
		return err
	}
	if err := f.State.Scan(PerCharacter * len(format)); err != nil {
		return "", err
	}
	for format != "" {
		i := strings.IndexAny(format, "{}")
		if i < 0 {
			break
		}
		if err := write(format[:i]); err != nil {
			return "", err
		}
		rest := format[i+1:]
		if rest != "" && rest[0] == format[i] {
			if err := write(rest[:1]); err != nil {
				return "", err
			}
			format = rest[1:]
			continue
		}
		end := fieldEnd(rest)
		if format[i] == '}' || end < 0 {
			return "", fault.Errorf(fault.ErrType, "a brace in the format has no partner")
		}
		text, safe, err := f.field(rest[:end], nesting)
		if err != nil {
			return "", err
		}
		if f.Safe {
			out, err = filler.AppendText(out, text, max(safe, SafeText))
		} else {
			err = write(text)
		}
		if err != nil {
			return "", err
		}
		format = rest[end+1:]
	}
	err := write(format)
	return string(out), err
}

// fieldEnd finds the brace that closes a field, over those inside its specification.
func fieldEnd(s string) int {
	depth := 1
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// field is one value, and how safe it was.
func (f *BraceFormatter) field(field string, nesting int) (string, Safety, error) {
	if err := f.State.Spend(1 + PerCharacter*len(field)/BytesPerStep); err != nil {
		return "", NotSafe, err
	}
	name, spec := field, ""
	if i := strings.IndexAny(field, ":!"); i >= 0 {
		name, spec = field[:i], field[i:]
	}
	v, err := f.lookup(name)
	if err != nil {
		return "", NotSafe, err
	}
	if strings.HasPrefix(spec, "!") {
		if len(spec) < 2 || len(spec) > 2 && spec[2] != ':' {
			return "", NotSafe, fault.Errorf(fault.ErrType, "a conversion in the format is not one of !s, !r and !a")
		}
		if v, err = f.convert(v, spec[1]); err != nil {
			return "", NotSafe, err
		}
		spec = spec[2:]
	}
	spec = strings.TrimPrefix(spec, ":")
	if strings.IndexByte(spec, '{') >= 0 {
		if spec, err = f.Format(spec, nesting+1); err != nil {
			return "", NotSafe, err
		}
	}
	text, err := f.value(v, spec)
	if err != nil || !f.Safe {
		return text, NotSafe, err
	}
	if _, ok := v.(Markup); !ok {
		v = text
	}
	b, err := f.State.escaped(v)
	return string(b), SafetyOf(v), err
}

func (f *BraceFormatter) convert(v any, conversion byte) (any, error) {
	switch conversion {
	case 's':
		s, _, err := f.State.Text(v)
		return s, err
	case 'a':
		return f.State.asciiRepr(v)
	case 'r':
		b, err := f.State.AppendRepr(nil, v, 0)
		return string(b), err
	}
	return nil, fault.Errorf(fault.ErrType, "a conversion in the format is not one of !s, !r and !a")
}

// lookup finds what "0.name[key]" stands for.
func (f *BraceFormatter) lookup(name string) (any, error) {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	v, err := f.argument(name[:end])
	for rest := name[end:]; rest != "" && err == nil; {
		if err := f.State.Step(); err != nil {
			return nil, err
		}
		if rest[0] == '.' {
			rest = rest[1:]
			if end = strings.IndexAny(rest, ".["); end < 0 {
				end = len(rest)
			}
			v, err = f.State.Attribute(v, rest[:end])
			if u, ok := v.(*Undefined); ok && u.Why != "" { // the name may come from the data
				v = &Undefined{Kind: u.Kind, Why: "a name in the format leads to nothing"}
			}
			rest = rest[end:]
			continue
		}
		if end = strings.IndexByte(rest, ']'); rest[0] != '[' || end < 0 {
			return nil, fault.Errorf(fault.ErrType, "a name in the format is not valid")
		}
		var key any = rest[1:end]
		if i, ok := ParseInt(rest[1:end], 10); ok && Decimal(rest[1]) {
			key = i
		}
		v, err = f.State.Item(v, key)
		rest = rest[end+1:]
	}
	return v, err
}

func (f *BraceFormatter) argument(name string) (any, error) {
	index := f.auto
	switch n, err := strconv.Atoi(name); {
	case name == "":
		if f.manual {
			return nil, fault.Errorf(fault.ErrType, "the format mixes {} and {0}")
		}
		f.auto++
	case err == nil && Decimal(name[0]):
		if f.auto > 0 {
			return nil, fault.Errorf(fault.ErrType, "the format mixes {} and {0}")
		}
		f.manual = true
		index = n
	default:
		if f.Named != nil {
			if v, ok, err := f.Named.Get(f.State, name); ok || err != nil {
				return v, err
			}
		}
		if err := f.State.Spend(len(f.Args.Names)); err != nil {
			return nil, err
		}
		if i := slices.Index(f.Args.Names, name); i >= 0 {
			return f.Args.Values[i], nil
		}
		return nil, fault.Errorf(fault.ErrType, "the format names an argument that it was not given")
	}
	if index >= len(f.Args.Positional) {
		return nil, fault.Errorf(fault.ErrType, "fewer arguments than the format has places")
	}
	return f.Args.Positional[index], nil
}

// value is format(v, spec).
func (f *BraceFormatter) value(v any, spec string) (string, error) {
	if spec == "" {
		s, _, err := f.State.Text(v)
		return s, err
	}
	n, err := parseSpec(spec)
	if err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string:
		return f.text(v, &n)
	case Markup:
		if f.Safe {
			return "", fault.Errorf(fault.ErrType, "markup takes no specification in a format of markup")
		}
		return f.text(v.Text, &n)
	case float64:
		return f.float(v, &n)
	case bool, int64:
		i, _ := AsInt(v)
		return f.integer(v, i, &n)
	case BigInt:
		return f.bigInteger(v, &n)
	case *Undefined:
		return "", v.Fail()
	}
	return "", fault.Errorf(fault.ErrType, "%s takes no specification in a format", TypeName(v))
}

func (f *BraceFormatter) text(s string, n *numberFormat) (string, error) {
	if n.verb != 0 && n.verb != 's' || n.noNegativeZero || n.sign != 0 || n.comma != 0 ||
		n.alternate || n.align == '=' && !n.zero {
		return "", fault.Errorf(fault.ErrType, "the specification is not one for text")
	}
	s, err := n.cut(f.State, s)
	if err != nil {
		return "", err
	}
	return n.text(f.State, s, '<')
}

func (f *BraceFormatter) float(x float64, n *numberFormat) (string, error) {
	if n.verb == 0 {
		if n.precision < 0 {
			return n.finish(f.State, n.positiveZero(string(AppendFloat(nil, x))), "")
		}
		n.verb = 'g'
		s, err := n.float(f.State, x)
		if err != nil {
			return "", err
		}
		if strings.Trim(s, "-0123456789") == "" &&
			int64(len(strings.TrimPrefix(s, "-"))) < max(n.precision, 1) {
			s += ".0" // a float without a verb always shows that it is one
		}
		return n.finish(f.State, s, "")
	}
	if strings.IndexByte("eEfFgGn%", n.verb) < 0 || n.comma != 0 && n.verb == 'n' {
		return "", fault.Errorf(fault.ErrType, "the specification is not one for a float")
	}
	s, err := n.float(f.State, x)
	if err != nil {
		return "", err
	}
	return n.finish(f.State, s, "")
}

func (f *BraceFormatter) integer(v any, i int64, n *numberFormat) (string, error) {
	switch {
	case n.comma != 0 && n.verb != 0 && strings.IndexByte("cn", n.verb) >= 0, n.comma == ',' &&
		n.verb != 0 && strings.IndexByte("boxX", n.verb) >= 0,
		n.verb == 'c' && (n.sign != 0 || n.precision >= 0):
		return "", fault.Errorf(fault.ErrType, "the specification is not one for an integer")
	case n.verb == 'c' && i >= 0 && i <= 0x10ffff:
		return n.text(f.State, string(rune(i)), '<')
	case n.verb != 0 && strings.IndexByte("eEfFgG%", n.verb) >= 0:
		x, _ := AsFloat(v)
		return f.float(x, n)
	case n.verb != 0 && strings.IndexByte("dnxXob", n.verb) < 0, n.precision >= 0, n.noNegativeZero:
		return "", fault.Errorf(fault.ErrType, "the specification is not one for an integer")
	}
	digits, prefix := n.integer(i)
	return n.finish(f.State, digits, prefix)
}

// bigInteger formats an integer beyond 64 bits.
func (f *BraceFormatter) bigInteger(v BigInt, n *numberFormat) (string, error) {
	switch {
	case n.verb != 0 && strings.IndexByte("eEfFgG%", n.verb) >= 0:
		if err := f.State.ReadDigits(v, nil); err != nil {
			return "", err
		}
		x, _ := AsFloat(v)
		return f.float(x, n)
	case n.verb != 0 && strings.IndexByte("dnxXob", n.verb) < 0, n.precision >= 0, n.noNegativeZero,
		n.verb == 'n' && n.comma != 0,
		n.comma == ',' && n.verb != 0 && strings.IndexByte("boxX", n.verb) >= 0:
		return "", fault.Errorf(fault.ErrType, "the specification is not one for an integer")
	}
	digits, prefix, err := n.bigInteger(f.State, v)
	if err != nil {
		return "", err
	}
	return n.finish(f.State, digits, prefix)
}

// parseSpec reads [[fill]align][sign][z][#][0][width][,][.precision][verb].
func parseSpec(spec string) (numberFormat, error) {
	n := numberFormat{precision: -1}
	bad := fault.Errorf(fault.ErrType, "a specification in the format is not valid")
	_, size := SplitRune(spec)
	if len(spec) > size && strings.IndexByte("<>=^", spec[size]) >= 0 {
		n.fill, n.align, spec = spec[:size], spec[size], spec[size+1:]
	} else if strings.IndexByte("<>=^", spec[0]) >= 0 {
		n.align, spec = spec[0], spec[1:]
	}
	take := func(set string) byte {
		if spec == "" || strings.IndexByte(set, spec[0]) < 0 {
			return 0
		}
		c := spec[0]
		spec = spec[1:]
		return c
	}
	n.sign = take("+- ")
	n.noNegativeZero = take("z") != 0
	n.alternate = take("#") != 0
	if take("0") != 0 {
		if n.fill == "" {
			n.fill = "0"
		}
		if n.align == 0 {
			n.align, n.zero = '=', true
		}
	}
	var err error
	if n.width, spec, err = leadingNumber(spec); err != nil {
		return n, err
	}
	n.comma = take(",_")
	if take(".") != 0 {
		if spec == "" || !Decimal(spec[0]) {
			return n, bad
		}
		if n.precision, spec, err = leadingNumber(spec); err != nil {
			return n, err
		}
	}
	if len(spec) > 1 {
		return n, bad
	}
	if spec != "" {
		n.verb = spec[0]
	}
	return n, nil
}
