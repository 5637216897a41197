package syntax

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// TokenKind is what a token is.
type TokenKind uint8

// The kinds of tokens. The end is a token as well, without text.
const (
	TokenEnd TokenKind = iota
	TokenName
	TokenString
	TokenInteger
	TokenFloat
	TokenOperator
)

// A Token is one word of Jinja2's expression language.
type Token struct {
	Kind  TokenKind
	Text  string // name, operator, or a string's value
	Value any    // int64 or float64 of a number
	Pos   fault.Pos
	start int // offset of its first byte
}

// Is reports whether the token is of that kind and text.
func (t Token) Is(kind TokenKind, text string) bool { return t.Kind == kind && t.Text == text }

// Describe names the token for an error message.
func (t Token) Describe() string {
	switch t.Kind {
	case TokenEnd:
		return "the end of the tag"
	case TokenString:
		return "a string"
	case TokenInteger, TokenFloat:
		return "a number"
	}
	return strconv.Quote(t.Text)
}

// Operators are the operators and brackets, longest first.
var Operators = [...]string{"//", "**", "==", "!=", ">=", "<=",
	"+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"}

// A lexer cuts the inside of a tag into tokens. The scanner uses it to find where a tag ends, the
// parser to parse.
type lexer struct {
	src      string
	off      int
	pos      fault.Pos
	brackets []byte // the closing brackets that are expected, outermost first
	afterDot bool   // the last token was ".": what follows is an index, never a float
}

func (l *lexer) rest() string { return l.src[l.off:] }

// advance moves over n bytes and keeps the line and column.
func (l *lexer) advance(n int) {
	s := l.src[l.off : l.off+n]
	l.off += n
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		l.pos.Line += strings.Count(s, "\n")
		l.pos.Col = 1
		s = s[i+1:]
	}
	l.pos.Col += utf8.RuneCountInString(s)
}

// Tokens cuts the inside of a tag, which stands at a place of the source, into tokens. The last one
// is of kind TokenEnd; after a mistake, it is where that is.
func Tokens(src string, at fault.Pos) (all []Token, err error) {
	l := lexer{src: src, pos: at}
	for {
		t, err := l.next()
		if err != nil {
			return append(all, Token{Pos: t.Pos}), err
		}
		all = append(all, t)
		if t.Kind == TokenEnd {
			return all, nil
		}
	}
}

// PosOf is the place of the byte at an offset.
func PosOf(src string, offset int) fault.Pos {
	l := lexer{src: src, pos: fault.Pos{Line: 1, Col: 1}}
	l.advance(offset)
	return l.pos
}

func (l *lexer) skipSpace() {
	rest := l.rest()
	l.advance(len(rest) - len(strings.TrimLeftFunc(rest, python.IsSpace)))
}

// fail reports a syntax error at the current place.
func (l *lexer) fail(format string, args ...any) error {
	err := l.pos.Errorf(fault.ErrSyntax, format, args...)
	err.Near = fault.Near(l.rest())
	return err
}

// next returns the next token; at the end of src, one of kind TokenEnd.
func (l *lexer) next() (Token, error) {
	l.skipSpace()
	t := Token{Pos: l.pos, start: l.off}
	rest := l.rest()
	if rest == "" {
		return t, nil
	}
	afterDot := l.afterDot
	l.afterDot = false
	r, _ := utf8.DecodeRuneInString(rest)
	var n int
	var err error
	switch {
	case r >= '0' && r <= '9':
		n, err = l.number(&t, rest, afterDot)
	case r == '_' || unicode.IsLetter(r):
		n = python.IdentifierLength(rest)
		t.Kind, t.Text = TokenName, rest[:n]
	case r == '"' || r == '\'':
		n, err = l.str(&t, rest)
	default:
		n, err = l.operator(&t, rest)
	}
	if err != nil {
		return t, err
	}
	l.advance(n)
	return t, nil
}

func (l *lexer) operator(t *Token, rest string) (int, error) {
	for _, op := range Operators {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		t.Kind, t.Text = TokenOperator, op
		switch op {
		case "(":
			l.brackets = append(l.brackets, ')')
		case "[":
			l.brackets = append(l.brackets, ']')
		case "{":
			l.brackets = append(l.brackets, '}')
		case ")", "]", "}":
			last := len(l.brackets) - 1
			if last < 0 {
				return 0, l.fail("unexpected %q", op)
			}
			if l.brackets[last] != op[0] {
				return 0, l.fail("unexpected %q, expected %q", op, string(l.brackets[last]))
			}
			l.brackets = l.brackets[:last]
		case ".":
			l.afterDot = true
		}
		return len(op), nil
	}
	return 0, l.fail("unexpected character")
}

// digits returns the length of a run of digits with single underscores between them.
func digits(s string, valid func(byte) bool) int {
	n := 0
	for n < len(s) {
		switch {
		case valid(s[n]):
			n++
		case s[n] == '_' && n > 0 && n+1 < len(s) && valid(s[n+1]):
			n += 2
		default:
			return n
		}
	}
	return n
}

func octal(c byte) bool  { return c >= '0' && c <= '7' }
func binary(c byte) bool { return c == '0' || c == '1' }
func hex(c byte) bool    { return python.Decimal(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func (l *lexer) number(t *Token, s string, afterDot bool) (int, error) {
	if s[0] == '0' && len(s) > 2 {
		based := func(base int, valid func(byte) bool) (int, bool, error) {
			start := 2
			if s[2] == '_' {
				start = 3
			}
			n := digits(s[start:], valid)
			if n == 0 {
				return 0, false, nil
			}
			return start + n, true, l.integer(t, s[start:start+n], base)
		}
		var n int
		var ok bool
		var err error
		switch s[1] | 0x20 {
		case 'x':
			n, ok, err = based(16, hex)
		case 'o':
			n, ok, err = based(8, octal)
		case 'b':
			n, ok, err = based(2, binary)
		}
		if ok {
			return n, err
		}
	}
	n := digits(s, python.Decimal)
	if !afterDot {
		if m := floatTail(s[n:]); m > 0 {
			f, err := strconv.ParseFloat(strings.ReplaceAll(s[:n+m], "_", ""), 64)
			if err != nil && !math.IsInf(f, 0) {
				return 0, l.fail("not a number")
			}
			t.Kind, t.Value = TokenFloat, f
			return n + m, nil
		}
	}
	if s[0] == '0' { // 0 and 00 are integers, 07 is 0 and then 7, as in Jinja2
		n = digits(s, func(c byte) bool { return c == '0' })
	}
	return n, l.integer(t, s[:n], 10)
}

// floatTail returns the length of the fraction and exponent at the start of s; 0 if there is
// neither.
func floatTail(s string) int {
	n := 0
	if len(s) > 1 && s[0] == '.' && python.Decimal(s[1]) {
		n = 1 + digits(s[1:], python.Decimal)
	}
	if n < len(s) && s[n]|0x20 == 'e' {
		e := n + 1
		if e < len(s) && (s[e] == '+' || s[e] == '-') {
			e++
		}
		if d := digits(s[e:], python.Decimal); d > 0 {
			n = e + d
		}
	}
	return n
}

func (l *lexer) integer(t *Token, text string, base int) error {
	i, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), base, 64)
	if err != nil {
		return l.fail("integer beyond 64 bits")
	}
	t.Kind, t.Value = TokenInteger, i
	return nil
}

func (l *lexer) str(t *Token, s string) (int, error) {
	quote := s[0]
	for n := 1; n < len(s); n++ {
		switch s[n] {
		case '\\':
			n++
		case quote:
			value, err := unescape(s[1:n])
			if err != "" {
				return 0, l.fail("%s", err)
			}
			t.Kind, t.Text = TokenString, value
			return n + 1, nil
		}
	}
	return 0, l.fail("string not closed")
}

// simpleEscapes are the one-letter escapes of a string literal; any other letter keeps its
// backslash.
var simpleEscapes = map[byte]string{'n': "\n", 't': "\t", 'r': "\r", 'b': "\b", 'f': "\f",
	'v': "\v", 'a': "\a",
	'\\': `\`, '\'': "'", '"': `"`, '\n': ""}

// unescape decodes the escapes of Python's string literals. It returns what is wrong, if anything.
func unescape(s string) (value, problem string) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, ""
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if plain, ok := simpleEscapes[s[i]]; ok {
			b.WriteString(plain)
			continue
		}
		var width int
		base, start := 16, i+1
		switch c := s[i]; {
		case c == 'x':
			width = 2
		case c == 'u':
			width = 4
		case c == 'U':
			width = 8
		case c == 'N':
			return "", `\N{…} is not supported, use \u`
		case octal(c):
			base, start, width = 8, i, 1
			for width < 3 && start+width < len(s) && octal(s[start+width]) {
				width++
			}
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
			continue
		}
		if start+width > len(s) {
			return "", "truncated escape in a string"
		}
		r, err := strconv.ParseUint(s[start:start+width], base, 32)
		if err != nil || r > unicode.MaxRune {
			return "", "bad escape in a string"
		}
		b.WriteRune(rune(r))
		i = start + width - 1
	}
	return b.String(), ""
}

// HasValue tells the inside of {% set x = … %} from that of {% set x %}…{% endset %}.
func HasValue(text string) bool {
	l := lexer{src: text}
	for {
		t, err := l.next()
		if err != nil || t.Kind == TokenEnd || t.Is(TokenOperator, "|") {
			return false
		}
		if t.Is(TokenOperator, "=") {
			return true
		}
	}
}
