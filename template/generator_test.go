package template

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A templateGenerator writes random templates: of the right types most of the time, so that they
// get far, and of wrong ones often enough to compare what fails. The same seed always writes the
// same.
//
// It leaves out what cannot be compared: values that print their address, and random choices.
type templateGenerator struct {
	r     *rand.Rand
	vars  []string // set so far
	depth int
}

func newTemplateGenerator(seed uint64) *templateGenerator {
	return &templateGenerator{r: rand.New(rand.NewPCG(seed, 1))}
}

// generatorJSON is what the random templates look at: its objects are not in the order of their
// keys.
const generatorJSON = `{"big2": 123456789012345678901234567890, "object": {"z": 1, "a": {"y": [{"d": 1, "c": 2}], "x": null}, "__class__": "k", "__k__": "u", "m": "<b>"},
	"at": {"1": "one", "true": "yes", "1.0": "float"}}`

// generatorData is what the random templates look at besides.
func generatorData() map[string]any {
	return map[string]any{
		"name": "clips", "title": `a <b>bold</b> & "brave" title`, "empty": "",
		"path":  "s3://bucket/dir/file.mp4",
		"words": []any{"pear", "Apple", "fig", "apple", "kiwi-fruit"},
		"text":  "The quick brown fox jumps\nover the lazy dog",
		"n":     7, "neg": -3, "zero": 0, "big": 123456789, "ratio": 0.5, "price": 19.99, "one": 1.0,
		"yes": true, "no": false, "nothing": nil, "unicode": "naïve café ☕ straße",
		"numbers": []any{5, 3, 8, 1, 3}, "mixed": []any{1, "a", nil, true, 2.5}, "vacant": []any{},
		"user":   map[string]any{"id": "u1", "name": "Ann", "age": 41, "tags": []any{"x", "y"}},
		"counts": map[string]any{"ok": 12, "failed": 3, "skipped": 0},
		"items": []any{
			map[string]any{"id": "a1", "kind": "video", "size": 300, "done": true},
			map[string]any{"id": "b2", "kind": "image", "size": 120, "done": false},
			map[string]any{"id": "c3", "kind": "Video", "size": 45, "done": true},
		},
		"matrix": []any{[]any{1, 2}, []any{3, 4}},
	}
}

func (g *templateGenerator) pick(options ...string) string { return options[g.r.IntN(len(options))] }

func (g *templateGenerator) chance(percent int) bool { return g.r.IntN(100) < percent }

// template is a few pieces of text, expressions and blocks.
func (g *templateGenerator) template() string {
	g.vars, g.depth = nil, 0
	return g.body(1 + g.r.IntN(4))
}

func (g *templateGenerator) body(n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(g.piece())
	}
	return b.String()
}

func (g *templateGenerator) piece() string {
	g.depth++
	defer func() { g.depth-- }()
	roll := g.r.IntN(22)
	if g.depth > 3 && roll >= 10 {
		roll %= 10
	}
	switch {
	case roll < 3:
		return g.pick("text ", "\n", " a { b } ", "\n  ", "- ", "</p>")
	case roll < 10:
		return "{{" + g.mark() + g.expression() + g.mark() + "}}"
	case roll < 12:
		return g.tag("if "+g.boolean()) + g.body(1) + g.orElse() + g.tag("endif")
	case roll < 15:
		return g.loop()
	case roll < 17:
		return g.set()
	case roll == 17:
		return g.tag("with a = "+g.expression()+", b = "+g.number()) + g.scoped([]string{"a", "b"},
			1) + g.tag("endwith")
	case roll == 18:
		return g.tag("filter "+g.pick("upper", "trim", "replace('a', 'b')", "title",
			"indent(2)")) + g.body(1) + g.tag("endfilter")
	case roll >= 20:
		return g.corner()
	}
	return g.macro()
}

func (g *templateGenerator) mark() string { return g.pick("", "", "", "", "", "-") }

func (g *templateGenerator) tag(s string) string {
	return "{%" + g.mark() + " " + s + " " + g.mark() + "%}"
}

func (g *templateGenerator) orElse() string {
	switch g.r.IntN(3) {
	case 0:
		return g.tag("else") + g.body(1)
	case 1:
		return g.tag("elif "+g.boolean()) + g.body(1)
	}
	return ""
}

// scoped is a body in which more variables are set.
func (g *templateGenerator) scoped(vars []string, n int) string {
	before := g.vars
	g.vars = append(append([]string{}, before...), vars...)
	defer func() { g.vars = before }()
	return g.body(n)
}

func (g *templateGenerator) loop() string {
	switch g.r.IntN(4) {
	case 0:
		return g.tag("for k, v in "+g.pick("counts.items()", "user|dictsort", "counts|items")) +
			"{{ k }}={{ v }}" + g.pick("", ", ", "{{ loop.index }}") + g.scoped([]string{"k"},
			1) + g.tag("endfor")
	case 1:
		return g.tag("for i in "+g.list()+" if "+g.pick("i", "i is string", "i != 3",
			"not i")) + "{{ loop.index }}:{{ i }}" +
			g.pick("", ",", "{{ ',' if not loop.last }}") + g.orNothing() + g.tag("endfor")
	}
	info := g.pick("index", "index0", "first", "last", "length", "revindex", "revindex0", "previtem",
		"nextitem", "depth",
		"cycle('a', 'b')", "changed(i)")
	return g.tag("for i in "+g.list()) + "{{ loop." + info + " }}" + g.scoped([]string{"i"},
		1) + g.orNothing() + g.tag("endfor")
}

func (g *templateGenerator) orNothing() string {
	if g.chance(30) {
		return g.tag("else") + "nothing"
	}
	return ""
}

func (g *templateGenerator) set() string {
	v := g.pick("a", "b", "c")
	switch g.r.IntN(4) {
	case 0:
		defer func() { g.vars = append(g.vars, v) }()
		return g.tag("set "+v+g.pick("", " | upper", " | trim")) + g.body(1) + g.tag("endset")
	case 1:
		defer func() { g.vars = append(g.vars, "a", "b") }()
		return g.tag("set a, b = " + g.expression() + ", " + g.expression())
	case 2:
		return g.tag("set ns = namespace(x="+g.number()+")") + g.tag("for i in range(3)") +
			g.tag("set ns.x = ns.x + i") + g.tag("endfor") + "{{ ns.x }}"
	}
	e := g.expression()
	g.vars = append(g.vars, v)
	return g.tag("set " + v + " = " + e)
}

func (g *templateGenerator) macro() string {
	name := fmt.Sprintf("m%d", g.r.IntN(100))
	if g.chance(40) {
		return g.tag("macro "+name+"(p)") + "[{{ p }}|{{ caller() }}]" + g.tag("endmacro") +
			g.tag("call "+name+"("+g.expression()+")") + g.body(1) + g.tag("endcall")
	}
	return g.tag("macro "+name+"(p, q="+g.number()+")") + "{{ q }}" + g.scoped([]string{"p", "q"},
		1) + g.tag("endmacro") +
		"{{ " + name + "(" + g.pick("", g.expression(), g.expression()+", "+g.expression(),
		g.text()+", q=2", "z=1") + ") }}"
}
