package template

import (
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// reserved are the names that are literals.
func reserved(name string) (value any, ok bool) {
	switch name {
	case "true", "True":
		return true, true
	case "false", "False":
		return false, true
	case "none", "None":
		return nil, true
	}
	return nil, false
}

func (p *parser) primary() expr {
	t := p.tok()
	switch {
	case t.kind == tokenName:
		p.advance()
		if v, ok := reserved(t.text); ok {
			return &constant{p.node(t.pos), v}
		}
		return newName(p.node(t.pos), t.text)
	case t.kind == tokenString:
		var b strings.Builder
		for p.tok().kind == tokenString { // 'a' 'b' is 'ab'
			b.WriteString(p.advance().text)
		}
		return &constant{p.node(t.pos), b.String()}
	case t.kind == tokenInteger || t.kind == tokenFloat:
		p.advance()
		return &constant{p.node(t.pos), t.value}
	case p.skipOp("("):
		e := p.tuple(tupleMode{parentheses: true})
		p.expectOp(")")
		return e
	case p.skipOp("["):
		items := p.list("]", p.expression)
		return &sequence{p.node(t.pos, items...), items, false}
	case p.skipOp("{"):
		return p.dict(t.pos)
	}
	p.fail(fault.ErrSyntax, t.pos, "unexpected %s", t.describe())
	return &constant{}
}

// list parses what stands between brackets, with commas between the items and one allowed at the
// end.
func (p *parser) list(end string, item func() expr) []expr {
	var items []expr
	for !p.isOp(end) && p.err == nil {
		items = append(items, item())
		if !p.skipOp(",") {
			break
		}
	}
	p.expectOp(end)
	return items
}

func (p *parser) dict(at fault.Pos) expr {
	var keys, values []expr
	p.list("}", func() expr {
		key := p.expression()
		p.expectOp(":")
		keys = append(keys, key)
		values = append(values, p.expression())
		return key
	})
	return &dictLiteral{p.node(at, append(keys[:len(keys):len(keys)], values...)...), keys, values}
}

func (p *parser) postfix(e expr) expr {
	for {
		t := p.tok()
		switch {
		case p.skipOp("."):
			e = p.attribute(e, t.pos)
		case p.skipOp("["):
			e = p.subscript(e, t.pos)
		case t.is(tokenOperator, "("):
			e = p.call(e)
		default:
			return e
		}
	}
}

func (p *parser) attribute(e expr, at fault.Pos) expr {
	t := p.advance()
	switch t.kind {
	case tokenName:
		return &attribute{p.node(at, e), e, t.text}
	case tokenInteger:
		key := &constant{p.node(t.pos), t.value}
		return &item{p.node(at, e, key), e, key}
	}
	p.fail(fault.ErrSyntax, t.pos, "expected a name or a number, got %s", t.describe())
	return e
}

func (p *parser) subscript(e expr, at fault.Pos) expr {
	if p.isOp(":") {
		return p.slice(e, nil, at)
	}
	key := p.expression()
	if p.isOp(":") {
		return p.slice(e, key, at)
	}
	if p.isOp(",") {
		keys := []expr{key}
		for p.skipOp(",") {
			keys = append(keys, p.expression())
		}
		key = &sequence{p.node(at, keys...), keys, true}
	}
	p.expectOp("]")
	return &item{p.node(at, e, key), e, key}
}

func (p *parser) slice(e, low expr, at fault.Pos) expr {
	bounds := [3]expr{low}
	for i := 1; i < 3 && p.skipOp(":"); i++ {
		if !p.isOp(":") && !p.isOp("]") {
			bounds[i] = p.expression()
		}
	}
	p.expectOp("]")
	return &slice{p.node(at, append(bounds[:], e)...), e, bounds}
}

// filtered parses filters, tests, and calls of their results.
func (p *parser) filtered(e expr) expr {
	for {
		switch {
		case p.skipOp("|"):
			e = p.filter(e)
		case p.isName("is"):
			e = p.test(e)
		case p.isOp("("):
			e = p.call(e)
		default:
			return e
		}
	}
}

// filter parses one filter, after its "|". A nil e is what a filter tag collects.
func (p *parser) filter(e expr) expr {
	at := p.tok().pos
	name := p.dotted()
	f, ok := p.env.Filters[name]
	if !ok {
		p.fail(fault.ErrUnknown, at, "no filter named %q", name)
	}
	args := p.optionalArguments()
	return p.newFilter(p.node(at, append(args.operands(), e)...), e, f, args)
}

// filterChain parses "|f|g" after a set tag; nil if there is none.
func (p *parser) filterChain(e expr) expr {
	for p.skipOp("|") {
		e = p.filter(e)
	}
	return e
}

func (p *parser) dotted() string {
	parts := []string{p.expectName()}
	for p.skipOp(".") {
		parts = append(parts, p.expectName())
	}
	return strings.Join(parts, ".")
}

func (p *parser) test(e expr) expr {
	at := p.advance().pos
	negated := p.skipName("not")
	name := p.dotted()
	t, ok := p.env.Tests[name]
	if !ok {
		p.fail(fault.ErrUnknown, at, "no test named %q", name)
	}
	args := arguments{}
	next := p.tok()
	switch {
	case next.is(tokenOperator, "("):
		args = p.arguments()
	case next.is(tokenName, "is"):
		p.fail(fault.ErrSyntax, next.pos, "tests cannot be chained with is")
	case next.is(tokenName, "else"), next.is(tokenName, "or"), next.is(tokenName, "and"):
	case next.kind == tokenName, next.kind == tokenString, next.kind == tokenInteger, next.kind == tokenFloat,
		next.is(tokenOperator, "["), next.is(tokenOperator, "{"):
		args.positional = []expr{p.postfix(p.primary())}
	}
	return p.newTest(p.node(at, append(args.operands(), e)...), e, t, args, negated)
}
