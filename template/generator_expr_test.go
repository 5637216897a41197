package template

import (
	"strconv"
)

// expression is of any type.
func (g *templateGenerator) expression() string {
	switch g.r.IntN(9) {
	case 0, 1, 2:
		return g.text()
	case 3, 4:
		return g.number()
	case 5:
		return g.list()
	case 6:
		return g.dict()
	case 7:
		return g.boolean()
	}
	if g.chance(30) {
		return "(" + g.text() + ")." + g.textQuestion()
	}
	return g.pick("nothing", "missing", "user.missing", "items[9]", "none", "mixed", "user['name']",
		"items[0].kind", "numbers[-1]")
}

// typed writes what f does, but sometimes something of another type, or a variable.
func (g *templateGenerator) typed(leaf, f func() string) string {
	g.depth++
	defer func() { g.depth-- }()
	if len(g.vars) > 0 && g.chance(6) {
		return g.vars[g.r.IntN(len(g.vars))]
	}
	if g.depth > 7 {
		return leaf()
	}
	if g.chance(1) {
		return g.expression()
	}
	if g.chance(35) {
		return leaf()
	}
	return f()
}

func (g *templateGenerator) literal() string {
	return g.pick("'abc'", `"it's"`, "'a b  c'", "''", "'<i>&'", "'x'", "'-'", `'line\nbreak'`, "'42'",
		"'7.9'", "'ñ'", "'Hello World'")
}

func (g *templateGenerator) text() string {
	return g.typed(
		func() string {
			return g.pick("name", "title", "empty", "path", "text", "unicode", "user.name", "user.id",
				g.literal())
		},
		func() string {
			switch g.r.IntN(8) {
			case 0:
				return g.text() + " ~ " + g.expression()
			case 1:
				return "(" + g.text() + " + " + g.text() + ")"
			case 2:
				return "(" + g.text() + ")." + g.textMethod()
			case 3:
				return g.list() + "|join" + g.pick("", "(', ')", "("+g.literal()+")")
			case 4:
				return "(" + g.text() + ")[" + g.slice() + "]"
			case 5:
				return "(" + g.text() + " if " + g.boolean() + g.pick("", " else "+g.text()) + ")"
			case 6:
				if g.chance(30) {
					return g.number() + "|" + g.pick("string", "tojson", "filesizeformat", "filesizeformat(true)",
						"e")
				}
				return g.formatted()
			}
			return "(" + g.text() + ")|" + g.textFilter()
		})
}

func (g *templateGenerator) small() string { return strconv.Itoa(g.r.IntN(24) - 4) }

func (g *templateGenerator) slice() string {
	bound := func() string { return g.pick("", "", g.small()) }
	switch g.r.IntN(3) {
	case 0:
		return g.small()
	case 1:
		return bound() + ":" + bound()
	}
	return bound() + ":" + bound() + ":" + g.pick("", "1", "2", "-1", "-2", "3")
}

func (g *templateGenerator) textFilter() string {
	return g.pick("upper", "lower", "capitalize", "title", "trim", "e", "escape", "safe", "string",
		"reverse", "striptags",
		"forceescape", "urlencode", "tojson", "first", "last", "urlize",
		"replace("+g.literal()+", "+g.literal()+")", "replace('a', 'b', 1)", "default('d')",
		"default('d', true)", "d",
		"truncate("+g.pick("5", "10", "20", "3")+g.pick("", ", true", ", false, '…'")+")",
		"center("+g.pick("10", "15", "3")+")",
		"indent("+g.pick("", "2", "2, true", "3, true, true", "'> '")+")",
		"wordwrap("+g.pick("5", "10", "12, false", "20")+")",
		"trim("+g.literal()+")", "format(1, 2)", "e|e", "unique|join")
}

func (g *templateGenerator) textMethod() string {
	return g.pick("upper()", "lower()", "title()", "capitalize()", "swapcase()", "casefold()",
		"strip()", "split()|first", "zfill(12)", "replace('a', '_')", "replace("+g.literal()+", '+', 1)",
		"ljust(9, '.')",
		"rjust(9)", "center(10, '*')", "lstrip('ac')", "rstrip()", "removeprefix('a')",
		"removesuffix('s')", "expandtabs(4)",
		"join(words)", "format(1)", "partition('/')|last", "rpartition('a')|first")
}

// textQuestion is a method whose result is no text.
func (g *templateGenerator) textQuestion() string {
	return g.pick("split('a')", "rsplit('/', 1)", "split("+g.literal()+")", "splitlines()",
		"partition('/')", "startswith('a')",
		"endswith(('s', 'e'))", "find('o')", "rfind('o')", "count('a')", "isdigit()", "isalpha()",
		"isupper()", "islower()",
		"isspace()", "istitle()", "isalnum()", "split('a', 1)", "rsplit(none, 1)", "find('a', 2)",
		"isidentifier()", "index('a')",
		"join(numbers)", "nope()", "splitlines(true)", "rindex('b', 0, 4)")
}

func (g *templateGenerator) formatted() string {
	if g.chance(50) {
		spec := g.pick("s", "d", "f", "x", "e", "g", "r", "c", "o", "i", "5s", "-8s", "05d", "+d", ".2f",
			"8.3f", "-8.1f", "#x",
			"%", "X", "5.1s", "+.1e", " d", "06.2f", ".3g", ".0f")
		return "('<%" + spec + ">' % " + g.pick(g.number(), g.text(), "("+g.expression()+",)") + ")"
	}
	spec := g.pick("", ":>8", ":<8", ":^9", ":*^9", "!r", "!s:>6", ":d", ":,", ":.2f", ":08.2f", ":+d",
		":x", ":#x", ":b", ":e", ":%",
		":.1%", ":5", ":05d", ":g", ":_", ":s", ":.2", ":>+8", ":=+6", ":c", ":o", ":n")
	return "'<{" + spec + "}>'.format(" + g.pick(g.number(), g.text(), g.expression()) + ")"
}

func (g *templateGenerator) number() string {
	return g.typed(
		func() string {
			return g.pick("n", "neg", "zero", "big", "ratio", "price", "one", "user.age", "2", "3", "10",
				"0.1", "1e3", "2.5", "-1", "yes")
		},
		func() string {
			switch g.r.IntN(6) {
			case 0, 1:
				op := g.pick("+", "-", "*", "/", "//", "%", "+", "-")
				return "(" + g.number() + " " + op + " " + g.number() + ")"
			case 2:
				return "((" + g.number() + ")|abs ** " + g.pick("2", "0", "-1", "3", "0.5", "1.5") + ")"
			case 3:
				return g.list() + "|" + g.pick("length", "sum", "max", "min", "first", "last", "count")
			case 4:
				return "-" + g.number()
			}
			if g.chance(25) {
				return "(" + g.text() + ")|" + g.pick("int", "float", "length", "wordcount", "int(5)",
					"float(0.5)", "int(base=16)", "count")
			}
			return g.number() + "|" + g.pick("abs", "int", "float", "round", "round(1)", "round(2, 'floor')",
				"round(0, 'ceil')", "round(-1)",
				"default(1)", "round(1, 'ceil')")
		})
}

func (g *templateGenerator) list() string {
	return g.typed(
		func() string {
			return g.pick("words", "numbers", "mixed", "vacant", "user.tags", "matrix", "[1, 2, 3]",
				"['a', 'b']", "(1, 'x')", "range(4)|list",
				"range(8, 1, -3)|list", "[]", "[[1, 'a'], [2]]")
		},
		func() string {
			switch g.r.IntN(6) {
			case 0:
				return "(" + g.list() + " + " + g.list() + ")"
			case 1:
				return "(" + g.list() + ")[" + g.slice() + "]"
			case 2:
				return "[" + g.expression() + ", " + g.expression() + "]"
			case 3:
				return "items|" + g.pick("map(attribute='id')|list", "map(attribute='nope', default='-')|list",
					"selectattr('done')|map(attribute='id')|list",
					"rejectattr('size', '>', 100)|map(attribute='kind')|list", "groupby('kind')|map('first')|list",
					"groupby('kind', case_sensitive=true)|map('first')|list",
					"sort(attribute='size')|map(attribute='id')|list",
					"sort(attribute='kind,size', reverse=true)|map(attribute='id')|list", "map('tojson')|list",
					"map('length')|list",
					"unique(attribute='kind')|map(attribute='id')|list", "batch(2)|map('length')|list",
					"sum(attribute='size')")
			case 4:
				return g.list() + "|" + g.pick("map('string')|list", "map('upper')|list",
					"select('string')|list", "select('number')|list",
					"reject('none')|list", "select|list", "reject|list", "select('gt', 2)|list",
					"map('default', 'x')|list",
					"select('in', numbers)|list", "map('length')|list")
			}
			return g.list() + "|" + g.pick("sort", "sort(reverse=true)", "sort(case_sensitive=true)",
				"unique|list", "reverse|list", "list",
				"batch(2)|list", "batch(3, 0)|list", "slice(2)|list", "slice(3, 'x')|list", "join|list",
				"first", "tojson", "string",
				"default([1])", "tojson(indent=2)", "map('int')|list")
		})
}

func (g *templateGenerator) dict() string {
	return g.typed(
		func() string {
			return g.pick("user", "counts", "{'a': 1, 'b': 'x'}", "{}", "items[1]", "dict(a=1, b=name)")
		},
		func() string {
			switch g.r.IntN(5) {
			case 0:
				return "{" + g.literal() + ": " + g.expression() + ", 'k': " + g.expression() + "}"
			case 1:
				return g.dict() + "|" + g.pick("dictsort", "items|list", "length", "list", "tojson", "first",
					"xmlattr", "urlencode", "string",
					"dictsort(reverse=true)", "tojson(2)", "last", "join(',')", "max", "default(1)")
			case 2:
				return "(" + g.dict() + ")" + g.pick(".keys()|list", ".values()|list", ".items()|list",
					".get('name')", ".get('nope', 3)", "['id']", ".id", ".nope",
					".get('a')", ".keys()", ".copy()")
			case 3:
				return "dict(user, " + g.pick("z", "id") + "=" + g.expression() + ")"
			}
			return "dict(" + g.pick("counts", "[['a', 1]]", "items[0]") + ")"
		})
}

func (g *templateGenerator) boolean() string {
	return g.typed(
		func() string {
			return g.pick("yes", "no", "true", "false", "n", "empty", "missing", "nothing",
				"none")
		},
		func() string {
			switch g.r.IntN(8) {
			case 0:
				return g.number() + " " + g.comparison() + " " + g.number()
			case 1:
				return g.text() + " " + g.comparison() + " " + g.text()
			case 2:
				return "(" + g.boolean() + " " + g.pick("and", "or") + " " + g.boolean() + ")"
			case 3:
				return "not " + g.boolean()
			case 4:
				return g.text() + g.pick(" in ", " not in ") + g.pick("words", "title", "user", "name", "mixed",
					"['a', 'b']")
			case 5:
				return g.number() + " < " + g.number() + " <= " + g.number()
			case 6:
				return g.expression() + " == " + g.expression()
			}
			return g.expression() + g.pick(" is ", " is not ") + g.pick("defined", "undefined", "none",
				"string", "number", "integer", "float",
				"boolean", "mapping", "sequence", "iterable", "callable", "odd", "even", "divisibleby 3",
				"divisibleby(2)", "lower", "upper",
				"true", "false", "eq 3", "gt(2)", "in [1, 'a']", "sameas none", "escaped", "ne 'x'", "le 7",
				"filter", "test")
		})
}

func (g *templateGenerator) comparison() string { return g.pick("==", "!=", "<", "<=", ">", ">=") }
