package template

// corner is a piece from the corners of the language, where differences from Jinja2 have been
// found: scopes of variables that are assigned later, defaults of macros, filters that do nothing
// before they are used, arguments that are not used, keys that are equal, the order of objects,
// formats of integers, printed ranges.
func (g *templateGenerator) corner() string {
	switch g.r.IntN(10) {
	case 0:
		if g.depth > 1 {
			return g.defaults() // see SYNTAX.md about variables that an inner scope assigns later
		}
		return g.later()
	case 1:
		return g.defaults()
	case 2:
		return g.tag("set unused = "+g.expression()+"|"+g.pick("map", "map('nope') if false", "select",
			"unique", "batch(2)", "slice(3)", "items",
			"map(attribute='x')", "reject('odd')", "selectattr('a')", "rejectattr('a', 'eq', 1)",
			"map('upper')")) + g.pick("", "{{ unused is iterable }}", "{{ unused|list }}",
			"{% for u in unused %}{{ u }}{% else %}-{% endfor %}")
	case 3:
		return "{{ " + g.expression() + "|" + g.pick("urlize('40')", "urlize(10)", "int(0, 'x')",
			"int(1, 16)", "float('d')", "default(missing.x) if false", "truncate(500, false, 1)",
			"indent(2, 'x', 0)", "round(1, 'nope') if false", "join(', ', none)", "title", "e|title",
			"e|capitalize", "escape|lower", "safe|title", "upper|e|reverse") + " }}"
	case 4:
		return "{{ {" + g.key() + ": 1, " + g.key() + ": 2, " + g.key() + ": 3}" + g.pick("",
			"["+g.key()+"]", "|length", "|list", ".get("+g.key()+")", "|dictsort(by='value')",
			"|tojson") + " }}"
	case 5:
		return "{{ " + g.pick("object", "object.a", "at", "items[0]", "user", "dict(object)",
			"dict(user, b=2, a=1)", "{'b': 1, 'a': 2}") +
			g.pick("", "|items|list", "|list", ".keys()|list", ".values()|list", "|tojson", "|dictsort",
				"|string|length", "|first", "|xmlattr", "|urlencode", "|join(',')", ".__class__|string|length",
				".__k__", "['__class__']", ".popitem() if false", "|length", "|map('string')|list",
				"|tojson(2)") + " }}"
	case 6:
		spec := g.pick(":,", ":_", ":_x", ":_X", ":_b", ":_o", ":+,", ":>30,", ":030,", ":020_x", ":#_x",
			":z.1f", ":z.0f", ":z", ":,.2f", ":z.2%", ":+z.1f", ":,d", "!a", "!a:>12", ":e", ":.3g", ":d",
			":30", ":^31d", ":08_b", ":x")
		return "{{ '{" + spec + "}'.format(" + g.pick("big", "big2", "n", "neg", "-0.01", "0.0", "-0.0",
			"-0.2", "61680", "1000000000000000", "zero", "unicode", "title", "14680064", "yes", "ratio",
			g.number()) + ") }}"
	case 7:
		return "{{ '[" + g.pick("%5%", "%%", "%-%", "%a", "%10a", "%d", "%i", "%5d", "%x", "%s",
			"%r") + "]'" + g.pick("", "|safe", "|e") + " % " + g.pick("'42'", "n", "unicode", "title", "'x'",
			"[1]", "big2", "' 7 '", "ratio") + " }}"
	case 8:
		r := g.pick("range(3)", "range(0, 10, 3)", "range(10, 0, -4)", "range(2, 2)", "range(-5, 5)",
			"range(7, 1)")
		return "{{ " + r + g.pick("", "["+g.slice()+"]", "["+g.slice()+"]", "|list", "|string", "|last",
			"|length", "|sum", " == range(3)", "|reverse|list", "[::2][1:]") + " }}"
	}
	return "{{ " + g.pick("n", "ratio", "yes", "big2", "neg", "name", "words",
		g.number()) + "." + g.pick("real", "imag", "numerator", "denominator", "nope") + " }}"
}

// later reads a variable in an inner scope, at the top level or both, and assigns to it afterwards.
func (g *templateGenerator) later() string {
	v := g.pick("name", "title", "n", "words")
	read := "{{ " + v + g.pick("", "", "|default('-')", " is defined", "|length") + " }}"
	inner := g.pick(
		g.tag("for i in [1, 2]")+read+g.tag("endfor"),
		g.tag("macro later()")+read+g.tag("endmacro")+"{{ later() }}",
		g.tag("with q = 1")+read+g.tag("endwith"),
		g.tag("filter upper")+read+g.tag("endfilter"), g.tag("set s")+read+g.tag("endset")+"{{ s }}",
		g.tag("if yes")+read+g.tag("endif"), "")
	assign := g.pick(g.tag("set "+v+" = 'x'"), g.tag("set "+v+" = "+v+" ~ 'x'"),
		g.tag("set "+v)+"y"+g.tag("endset"), g.tag("if no")+g.tag("set "+v+" = 1")+g.tag("endif"),
		g.tag("set q, "+v+" = 1, 2"), g.tag("macro "+v+"()")+"m"+g.tag("endmacro"),
		g.tag("for "+v+" in [1]")+g.tag("endfor"))
	return g.pick("", "", read) + inner + assign + g.pick("", read, inner)
}

// defaults is a macro whose defaults name parameters and variables.
func (g *templateGenerator) defaults() string {
	value := func() string { return g.pick("name", "title", "p", "q", "1", "p|default('d')", "n + 1") }
	return g.tag("macro deft(p="+value()+", q="+value()+", name="+value()+")") + "[{{ p }}|{{ q }}|{{ name }}]" + g.tag("endmacro") +
		"{{ deft(" + g.pick("", "1", "q=2", "name='x'", "p=name, q=title", "1, 2, 3") + ") }}"
}

func (g *templateGenerator) key() string {
	return g.pick("1", "1.0", "true", "'1'", "'a'", "0", "false", "none", "(1, 2)", "(1.0, 2)", "2",
		"big2", "-1", "''", "0.5")
}
