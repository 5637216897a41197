package eval

import (
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/syntax"
)

// arguments are what a call, filter or test is given.
type arguments struct {
	positional []expr
	names      []string // of the keyword arguments
	values     []expr
	spread     expr // *sequence
	spreadDict expr // **mapping
}

func (a *arguments) operands() []expr {
	all := append([]expr{a.spread, a.spreadDict}, a.positional...)
	return append(all, a.values...)
}

func (p *parser) call(e expr) expr {
	at := p.tok().Pos
	args := p.arguments()
	return &call{p.node(at, append(args.operands(), e)...), e, args}
}

func (p *parser) optionalArguments() arguments {
	if p.isOp("(") {
		return p.arguments()
	}
	return arguments{}
}

func (p *parser) arguments() (a arguments) {
	at := p.tok().Pos
	p.expectOp("(")
	var given map[string]bool
	p.list(")", func() expr {
		ok := a.spreadDict == nil
		switch {
		case p.skipOp("*"):
			ok = ok && a.spread == nil
			a.spread = p.expression()
		case p.skipOp("**"):
			a.spreadDict = p.expression()
		case p.tok().Kind == syntax.TokenName && p.peek().Is(syntax.TokenOperator, "="):
			name := p.advance().Text
			p.advance()
			if given[name] {
				p.fail(fault.ErrSyntax, at, "keyword argument %q repeated", name)
			}
			if given == nil {
				given = map[string]bool{}
			}
			given[name] = true
			a.names = append(a.names, name)
			a.values = append(a.values, p.expression())
		default:
			ok = ok && a.spread == nil && len(a.names) == 0
			a.positional = append(a.positional, p.expression())
		}
		if !ok {
			p.fail(fault.ErrSyntax, at, "invalid order of arguments")
		}
		return nil
	})
	return a
}

// signature is the parameter list of a macro or a call block.
type signature struct {
	names     []string
	positions map[string]int // of the names
	defaults  []expr         // of the last len(defaults) parameters
}

func (p *parser) signature() (s signature) {
	p.expectOp("(")
	s.positions = map[string]int{}
	p.list(")", func() expr {
		at := p.tok().Pos
		name := p.target(false)
		if _, ok := s.positions[name.name]; ok {
			p.fail(fault.ErrSyntax, at, "parameter %q repeated", name.name)
		}
		s.positions[name.name] = len(s.names)
		s.names = append(s.names, name.name)
		switch {
		case p.skipOp("="):
			s.defaults = append(s.defaults, p.expression())
		case name.name == "caller":
			p.fail(fault.ErrSyntax, at, `the parameter "caller" needs a default`)
		case s.defaults != nil:
			p.fail(fault.ErrSyntax, at, "a parameter without a default follows one with a default")
		}
		return nil
	})
	return s
}

// A target is what a value is assigned to: a name, an attribute of a namespace, or several targets
// that unpack it.
type target struct {
	pos   fault.Pos
	name  string
	attr  string   // namespace attribute; "" for a plain name
	parts []target // unpack
}

// target parses one name, or with attributes allowed also ns.attr.
func (p *parser) target(attributes bool) target {
	t := target{pos: p.tok().Pos}
	t.name = p.expectName()
	if _, ok := reserved(t.name); ok {
		p.fail(fault.ErrSyntax, t.pos, "cannot assign to %q", t.name)
	}
	if attributes && p.skipOp(".") {
		t.attr = p.expectName()
	}
	return t
}

// targets parses a target with its commas and parentheses, up to the name stop or an operator that
// ends it.
func (p *parser) targets(attributes bool, stop string) target {
	first := p.tok().Pos
	var parts []target
	tuple := false
	for !p.atEnd() && !p.isOp(")") && !p.isOp("=") && !p.isOp("|") && (stop == "" || !p.isName(stop)) {
		if p.skipOp("(") {
			if p.nested++; p.nested > p.limit {
				p.fail(fault.ErrTooDeep, first, "the limit is %d", p.limit)
				return target{}
			}
			parts = append(parts, p.targets(attributes, ""))
			p.nested--
			p.expectOp(")")
		} else {
			parts = append(parts, p.target(attributes))
		}
		if !p.skipOp(",") {
			break
		}
		tuple = true
	}
	if len(parts) == 0 {
		p.fail(fault.ErrSyntax, first, "expected a name to assign to, got %s", p.tok().Describe())
		return target{}
	}
	if !tuple && len(parts) == 1 {
		return parts[0]
	}
	return target{pos: first, parts: parts}
}
