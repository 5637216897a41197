package eval

import (
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/syntax"
)

// A parser turns the inside of one tag into expressions. The grammar and its precedences are
// Jinja2's:
//
//	conditional  a if b else c
//	or, and, not
//	comparison   == != < <= > >= in not in, chained
//	+ -
//	~
//	* / // %
//	**           from left to right, unlike Python
//	unary + -    binding tighter than **, unlike Python
//	postfix      .name .0 [item] [slice] (call) | filter  is test
//
// The first error sticks: from then on every token is the end, and what the methods return does not
// matter.
type parser struct {
	env    *Environment
	limit  int // of height and nesting
	tokens []syntax.Token
	next   int
	nested int
	err    error
}

func newParser(env *Environment, src string, at fault.Pos, depth int) *parser {
	p := &parser{env: env, limit: depth}
	p.tokens, p.err = syntax.Tokens(src, at)
	return p
}

func (p *parser) tok() syntax.Token {
	if p.err != nil {
		return p.tokens[len(p.tokens)-1]
	}
	return p.tokens[p.next]
}

func (p *parser) peek() syntax.Token {
	return p.tokens[min(p.next+1, len(p.tokens)-1)]
}

func (p *parser) advance() syntax.Token {
	t := p.tok()
	if p.next < len(p.tokens)-1 {
		p.next++
	}
	return t
}

func (p *parser) fail(kind error, at fault.Pos, format string, args ...any) {
	if p.err == nil {
		p.err = at.Errorf(kind, format, args...)
	}
}

func (p *parser) isOp(op string) bool    { return p.tok().Is(syntax.TokenOperator, op) }
func (p *parser) isName(n string) bool   { return p.tok().Is(syntax.TokenName, n) }
func (p *parser) atEnd() bool            { return p.tok().Kind == syntax.TokenEnd }
func (p *parser) skipOp(op string) bool  { return p.skip(syntax.TokenOperator, op) }
func (p *parser) skipName(n string) bool { return p.skip(syntax.TokenName, n) }

func (p *parser) skip(kind syntax.TokenKind, text string) bool {
	if p.tok().Is(kind, text) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) expectOp(op string) {
	if t := p.tok(); !p.skipOp(op) {
		p.fail(fault.ErrSyntax, t.Pos, "expected %q, got %s", op, t.Describe())
	}
}

func (p *parser) expectName() string {
	t := p.tok()
	if t.Kind != syntax.TokenName {
		p.fail(fault.ErrSyntax, t.Pos, "expected a name, got %s", t.Describe())
		return ""
	}
	p.advance()
	return t.Text
}

// finish checks that nothing is left, and returns the first error.
func (p *parser) finish() error {
	if t := p.tok(); t.Kind != syntax.TokenEnd {
		p.fail(fault.ErrSyntax, t.Pos, "expected the end of the tag, got %s", t.Describe())
	}
	return p.err
}

// node gives a new expression its place and its height above its operands, which bounds the stack
// that evaluating needs.
func (p *parser) node(at fault.Pos, operands ...expr) node {
	n := node{Pos: at, height: 1}
	for _, e := range operands {
		if e != nil {
			n.height = max(n.height, e.base().height+1)
		}
	}
	if n.height > p.limit {
		p.fail(fault.ErrTooDeep, at, "the limit is %d", p.limit)
	}
	return n
}

// nest bounds the recursion of the parser itself.
func (p *parser) nest(parse func() expr) expr {
	if p.nested++; p.nested > p.limit {
		p.fail(fault.ErrTooDeep, p.tok().Pos, "the limit is %d", p.limit)
	}
	defer func() { p.nested-- }()
	if p.err != nil {
		return &constant{}
	}
	return parse()
}

func (p *parser) expression() expr { return p.nest(p.conditional) }

func (p *parser) conditional() expr {
	e := p.or()
	for p.isName("if") {
		at := p.advance().Pos
		test := p.or()
		var otherwise expr
		if p.skipName("else") {
			otherwise = p.expression()
		}
		e = &conditional{p.node(at, e, test, otherwise), test, e, otherwise}
	}
	return e
}

// tupleMode says where a tuple without brackets of its own stands.
type tupleMode struct {
	noConditional bool   // "x if y" is not part of it: after for … in
	stop          string // a name that ends it
	parentheses   bool   // inside parentheses, where () is the empty tuple
}

// tuple parses one expression, or several with commas between them.
func (p *parser) tuple(mode tupleMode) expr {
	at := p.tok().Pos
	var items []expr
	isTuple := false
	for {
		if t := p.tok(); t.Kind == syntax.TokenEnd || t.Is(syntax.TokenOperator, ")") ||
			mode.stop != "" && t.Is(syntax.TokenName, mode.stop) {
			break
		}
		if mode.noConditional {
			items = append(items, p.nest(p.or))
		} else {
			items = append(items, p.expression())
		}
		if !p.skipOp(",") {
			break
		}
		isTuple = true
	}
	if !isTuple && len(items) == 1 {
		return items[0]
	}
	if !isTuple && !mode.parentheses {
		p.fail(fault.ErrSyntax, p.tok().Pos, "expected an expression, got %s", p.tok().Describe())
	}
	return &sequence{p.node(at, items...), items, true}
}

func (p *parser) or() expr  { return p.logical("or", p.and) }
func (p *parser) and() expr { return p.logical("and", p.not) }

func (p *parser) logical(name string, operand func() expr) expr {
	first := operand()
	if !p.isName(name) {
		return first
	}
	at := p.tok().Pos
	operands := []expr{first}
	for p.skipName(name) {
		operands = append(operands, operand())
	}
	return &logical{p.node(at, operands...), operands, name == "or"}
}

func (p *parser) not() expr {
	if at := p.tok().Pos; p.skipName("not") {
		e := p.nest(p.not)
		return &not{p.node(at, e), e}
	}
	return p.comparison()
}

func (p *parser) comparison() expr {
	first := p.sum()
	var rest []comparand
	operands := []expr{first}
	for {
		t := p.tok()
		op := t.Text
		switch {
		case t.Kind == syntax.TokenOperator &&
			(op == "==" || op == "!=" || op == "<" || op == "<=" || op == ">" || op == ">="),
			t.Is(syntax.TokenName, "in"):
			p.advance()
		case t.Is(syntax.TokenName, "not") && p.peek().Is(syntax.TokenName, "in"):
			p.advance()
			p.advance()
			op = "not in"
		default:
			if rest == nil {
				return first
			}
			return &comparison{p.node(rest[0].pos, operands...), first, rest}
		}
		e := p.sum()
		operands = append(operands, e)
		rest = append(rest, comparand{t.Pos, op, e})
	}
}

// leftBinary parses operators of one precedence, from left to right.
func (p *parser) leftBinary(operand func() expr, ops ...string) expr {
	e := operand()
	for {
		t := p.tok()
		op := ""
		for _, o := range ops {
			if t.Is(syntax.TokenOperator, o) {
				op = o
			}
		}
		if op == "" {
			return e
		}
		p.advance()
		right := operand()
		e = &binaryOp{p.node(t.Pos, e, right), op, e, right}
	}
}

func (p *parser) sum() expr     { return p.leftBinary(p.concat, "+", "-") }
func (p *parser) product() expr { return p.leftBinary(p.power, "*", "/", "//", "%") }
func (p *parser) power() expr   { return p.leftBinary(func() expr { return p.unary(true) }, "**") }

func (p *parser) concat() expr {
	first := p.product()
	if !p.isOp("~") {
		return first
	}
	at := p.tok().Pos
	operands := []expr{first}
	for p.skipOp("~") {
		operands = append(operands, p.product())
	}
	return &concat{p.node(at, operands...), operands}
}

// unary parses signs and what follows a primary; a filter after a sign applies to the signed value.
func (p *parser) unary(filters bool) expr {
	var e expr
	if t := p.tok(); t.Is(syntax.TokenOperator, "-") || t.Is(syntax.TokenOperator, "+") {
		p.advance()
		operand := p.nest(func() expr { return p.unary(false) })
		e = &sign{p.node(t.Pos, operand), operand, t.Text == "-"}
	} else {
		e = p.primary()
	}
	e = p.postfix(e)
	if filters {
		e = p.filtered(e)
	}
	return e
}
