package eval

import (
	"slices"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
	"github.com/mixpeek/webhooks-go/template/internal/syntax"
)

// Jinja2 compiles a name that the top level assigns to a variable of the top level from the
// beginning: what runs before the assignment and has a scope of its own, such as a loop or a macro,
// finds the variable without a value, and not the data of that name. Only where the top level
// itself reads the name first, or assigns to it in a branch, does it begin with the data.

// hiddenNames returns the names whose data a template hides so.
func hiddenNames(env *Environment, segments []syntax.Segment) []string {
	h := hiding{env: env, read: map[string]bool{}}
	for i := range segments {
		if segments[i].Kind == syntax.SegmentTag && segments[i].Name == "block" {
			return nil // a block sees the data until the top level has assigned
		}
	}
	for i := range segments {
		h.segment(&segments[i])
	}
	return h.names
}

type hiding struct {
	env      *Environment
	open     []string // the blocks around
	scopes   int      // how many of them have a scope of their own
	branches int      // how many of them run only sometimes
	read     map[string]bool
	names    []string
}

func (h *hiding) segment(s *syntax.Segment) {
	switch s.Kind {
	case syntax.SegmentText:
	case syntax.SegmentPrint:
		h.reads(tokensOf(s))
	case syntax.SegmentTag:
		h.tag(s)
	}
}

func (h *hiding) tag(s *syntax.Segment) {
	if n := len(h.open); n > 0 {
		kind := h.env.Blocks[h.open[n-1]]
		if s.Name == kind.End {
			h.open = h.open[:n-1]
			h.count(kind.name, -1)
			return
		}
		if kind.hasMiddle(s.Name) {
			h.reads(tokensOf(s))
			return
		}
	}
	kind, ok := h.env.Blocks[s.Name]
	if !ok {
		return // refused later
	}
	inside := tokensOf(s)
	switch s.Name {
	case "set":
		h.set(inside)
	case "macro":
		if len(inside) > 0 {
			h.assigns(inside[:1])
		}
	default:
		h.reads(inside)
	}
	if kind.End != "" && (kind.inline == nil || !kind.inline(s.Text)) {
		h.open = append(h.open, s.Name)
		h.count(s.Name, 1)
	}
}

func (h *hiding) count(block string, by int) {
	if block == "if" || block == "autoescape" {
		h.branches += by
	} else {
		h.scopes += by
	}
}

// set is a set tag, with its value first: it is computed before it is assigned.
func (h *hiding) set(tokens []syntax.Token) {
	targets, value := tokens, []syntax.Token(nil)
	if i := slices.IndexFunc(tokens,
		func(t syntax.Token) bool { return t.Is(syntax.TokenOperator, "=") }); i >= 0 {
		targets, value = tokens[:i], tokens[i+1:]
	} else if i := slices.IndexFunc(tokens,
		func(t syntax.Token) bool { return t.Is(syntax.TokenOperator, "|") }); i >= 0 {
		targets = tokens[:i]
	}
	h.reads(value)
	if slices.ContainsFunc(targets,
		func(t syntax.Token) bool { return t.Is(syntax.TokenOperator, ".") }) { // of a namespace
		h.reads(targets)
		return
	}
	h.assigns(targets)
}

// reads takes all names of an expression for variables: a filter's name too, which at worst leaves
// the data visible.
func (h *hiding) reads(tokens []syntax.Token) {
	if h.scopes > 0 {
		return
	}
	for i, t := range tokens {
		if t.Kind == syntax.TokenName && (i == 0 || !tokens[i-1].Is(syntax.TokenOperator, ".")) {
			h.read[t.Text] = true
		}
	}
}

func (h *hiding) assigns(tokens []syntax.Token) {
	if h.scopes > 0 {
		return
	}
	for _, t := range tokens {
		if t.Kind == syntax.TokenName && h.branches == 0 && !h.read[t.Text] {
			h.names = append(h.names, t.Text)
		}
		h.read[t.Text] = true
	}
}

// tokensOf are the tokens inside a tag, up to the first mistake.
func tokensOf(s *syntax.Segment) []syntax.Token {
	all, _ := syntax.Tokens(s.Text, s.Pos)
	return all[:len(all)-1]
}

// hide gives the names their beginning: variables without a value.
func (st *rendering) hide(names []string) error {
	for _, name := range names {
		if err := st.Step(); err != nil {
			return err
		}
		if err := st.set(name, &python.Undefined{Kind: fault.ErrUndefined,
			Why: python.Quoted(name) + " is undefined"}); err != nil {
			return err
		}
	}
	return nil
}
