package eval

import (
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/syntax"
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
	case t.Kind == syntax.TokenName:
		p.advance()
		if v, ok := reserved(t.Text); ok {
			return &constant{p.node(t.Pos), v}
		}
		return newName(p.node(t.Pos), t.Text)
	case t.Kind == syntax.TokenString:
		var b strings.Builder
		for p.tok().Kind == syntax.TokenString { // 'a' 'b' is 'ab'
			b.WriteString(p.advance().Text)
		}
		return &constant{p.node(t.Pos), b.String()}
	case t.Kind == syntax.TokenInteger || t.Kind == syntax.TokenFloat:
		p.advance()
		return &constant{p.node(t.Pos), t.Value}
	case p.skipOp("("):
		e := p.tuple(tupleMode{parentheses: true})
		p.expectOp(")")
		return e
	case p.skipOp("["):
		items := p.list("]", p.expression)
		return &sequence{p.node(t.Pos, items...), items, false}
	case p.skipOp("{"):
		return p.dict(t.Pos)
	}
	p.fail(fault.ErrSyntax, t.Pos, "unexpected %s", t.Describe())
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
			e = p.attribute(e, t.Pos)
		case p.skipOp("["):
			e = p.subscript(e, t.Pos)
		case t.Is(syntax.TokenOperator, "("):
			e = p.call(e)
		default:
			return e
		}
	}
}

func (p *parser) attribute(e expr, at fault.Pos) expr {
	t := p.advance()
	switch t.Kind {
	case syntax.TokenName:
		return &attribute{p.node(at, e), e, t.Text}
	case syntax.TokenInteger:
		key := &constant{p.node(t.Pos), t.Value}
		return &item{p.node(at, e, key), e, key}
	}
	p.fail(fault.ErrSyntax, t.Pos, "expected a name or a number, got %s", t.Describe())
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
	at := p.tok().Pos
	name := p.dotted()
	f, ok := p.env.Filters[name]
	if !ok {
		p.fail(fault.ErrUnknown, at, "no filter named %q", name)
	}
	args := p.optionalArguments()
	return p.newFilter(p.node(at, append(args.operands(), e)...), e, f, args)
}

// filterChain parses "|f|g" of a set block or, after the first, of a filter tag; nil if there is none.
func (p *parser) filterChain(e expr) expr {
	for p.skipOp("|") {
		e = p.filter(e)
	}
	for at := e; at != nil; {
		f, _ := at.(*filterCall)
		f.block, at = true, f.input
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
	at := p.advance().Pos
	negated := p.skipName("not")
	name := p.dotted()
	t, ok := p.env.Tests[name]
	if !ok {
		p.fail(fault.ErrUnknown, at, "no test named %q", name)
	}
	args := arguments{}
	next := p.tok()
	switch {
	case next.Is(syntax.TokenOperator, "("):
		args = p.arguments()
	case next.Is(syntax.TokenName, "is"):
		p.fail(fault.ErrSyntax, next.Pos, "tests cannot be chained with is")
	case next.Is(syntax.TokenName, "else"), next.Is(syntax.TokenName, "or"),
		next.Is(syntax.TokenName, "and"):
	case next.Kind == syntax.TokenName, next.Kind == syntax.TokenString,
		next.Kind == syntax.TokenInteger, next.Kind == syntax.TokenFloat,
		next.Is(syntax.TokenOperator, "["), next.Is(syntax.TokenOperator, "{"):
		args.positional = []expr{p.postfix(p.primary())}
	}
	return p.newTest(p.node(at, append(args.operands(), e)...), e, t, args, negated)
}
