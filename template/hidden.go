package template

import (
	"slices"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// Jinja2 compiles a name that the top level assigns to a variable of the top level from the
// beginning: what runs before the assignment and has a scope of its own, such as a loop or a macro,
// finds the variable without a value, and not the data of that name. Only where the top level
// itself reads the name first, or assigns to it in a branch, does it begin with the data.

// hiddenNames returns the names whose data a template hides so.
func hiddenNames(env *environment, segments []segment) []string {
	h := hiding{env: env, read: map[string]bool{}}
	for i := range segments {
		if segments[i].kind == segmentTag && segments[i].name == "block" {
			return nil // a block sees the data until the top level has assigned
		}
	}
	for i := range segments {
		h.segment(&segments[i])
	}
	return h.names
}

type hiding struct {
	env      *environment
	open     []string // the blocks around
	scopes   int      // how many of them have a scope of their own
	branches int      // how many of them run only sometimes
	read     map[string]bool
	names    []string
}

func (h *hiding) segment(s *segment) {
	switch s.kind {
	case segmentText:
	case segmentPrint:
		h.reads(tokensOf(s.text))
	case segmentTag:
		h.tag(s)
	}
}

func (h *hiding) tag(s *segment) {
	if n := len(h.open); n > 0 {
		kind := h.env.blocks[h.open[n-1]]
		if s.name == kind.end {
			h.open = h.open[:n-1]
			h.count(kind.name, -1)
			return
		}
		if kind.hasMiddle(s.name) {
			h.reads(tokensOf(s.text))
			return
		}
	}
	kind, ok := h.env.blocks[s.name]
	if !ok {
		return // refused later
	}
	tokens := tokensOf(s.text)
	switch s.name {
	case "set":
		h.set(tokens)
	case "macro":
		if len(tokens) > 0 {
			h.assigns(tokens[:1])
		}
	default:
		h.reads(tokens)
	}
	if kind.end != "" && (kind.inline == nil || !kind.inline(s.text)) {
		h.open = append(h.open, s.name)
		h.count(s.name, 1)
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
func (h *hiding) set(tokens []token) {
	targets, value := tokens, []token(nil)
	if i := slices.IndexFunc(tokens, func(t token) bool { return t.is(tokenOperator, "=") }); i >= 0 {
		targets, value = tokens[:i], tokens[i+1:]
	} else if i := slices.IndexFunc(tokens, func(t token) bool { return t.is(tokenOperator, "|") }); i >= 0 {
		targets = tokens[:i]
	}
	h.reads(value)
	if slices.ContainsFunc(targets, func(t token) bool { return t.is(tokenOperator, ".") }) { // of a namespace
		h.reads(targets)
		return
	}
	h.assigns(targets)
}

// reads takes all names of an expression for variables: a filter's name too, which at worst leaves
// the data visible.
func (h *hiding) reads(tokens []token) {
	if h.scopes > 0 {
		return
	}
	for i, t := range tokens {
		if t.kind == tokenName && (i == 0 || !tokens[i-1].is(tokenOperator, ".")) {
			h.read[t.text] = true
		}
	}
}

func (h *hiding) assigns(tokens []token) {
	if h.scopes > 0 {
		return
	}
	for _, t := range tokens {
		if t.kind == tokenName && h.branches == 0 && !h.read[t.text] {
			h.names = append(h.names, t.text)
		}
		h.read[t.text] = true
	}
}

// tokensOf cuts the inside of a tag into tokens, up to the first mistake.
func tokensOf(text string) []token {
	var tokens []token
	l := lexer{src: text}
	for {
		t, err := l.next()
		if err != nil || t.kind == tokenEnd {
			return tokens
		}
		tokens = append(tokens, t)
	}
}

// hide gives the names their beginning: variables without a value.
func (st *rendering) hide(names []string) error {
	for _, name := range names {
		if err := st.Step(); err != nil {
			return err
		}
		if err := st.set(name, &python.Undefined{Kind: fault.ErrUndefined, Why: python.Quoted(name) + " is undefined"}); err != nil {
			return err
		}
	}
	return nil
}
