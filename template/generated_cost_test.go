package template

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/template/internal/eval"
	"github.com/mixpeek/webhooks-go/template/internal/python"
	"github.com/mixpeek/webhooks-go/template/internal/syntax"
)

// costRounds is how often TestEveryNameIsBounded applies each name to other operands, and by tens
// how many random programs TestRandomProgramsAreBounded runs.
var costRounds = flag.Int("template.cost", 1, "how often the tests of costs apply each name")

// thorough reports whether the tests of costs measure every combination. Without it they measure
// every second name, and every tag, each with a part of the values, bodies and loops that it is
// combined with, and every fifth of the other attacks.
func thorough() bool { return *costRounds > 1 }

// attacks returns those of all that are measured.
func attacks(all []string) []string {
	if thorough() {
		return all
	}
	var some []string
	for i := 0; i < len(all); i += 5 {
		some = append(some, all[i])
	}
	return some
}

// costSeed makes other templates of the same kind.
var costSeed = flag.Uint64("template.seed", 1, "the seed of the tests of costs")

// A costGenerator writes templates that apply everything that has a name to operands that are as
// expensive as possible. The names come from the tables that templates use, so that a new one is
// tested without further ado.
type costGenerator struct {
	r          *rand.Rand
	env        *eval.Environment
	library    *Library // with everything that is ready-made
	operations []costOperation
}

// costOperation is an expression of v and w with arguments.
type costOperation struct {
	name      string
	format    string // with one %s for the arguments, or none
	signature python.ParamSpec
	operands  []string // what v should be, more often than not
}

// textOperands have a %d for a size in units of about a byte.
func textOperands() []string {
	return []string{"'a' * %d", "'a ' * (%d // 2)", `'\n' * %d`, "'a--b ' * (%d // 5)",
		"'<&>' * (%d // 3)", "'ß' * (%d // 2)",
		"'Σİ ' * (%d // 5)", "'1' * %d", "'http://a.bc/d ' * (%d // 14)", "'www.' * (%d // 4)",
		"' ' * %d", "'%%s{}' * (%d // 4)", "'a.' * (%d // 2)",
		`'é"\\' * (%d // 4)`, `'\t' * %d`, "'&amp' * (%d // 4)", "('a<' * (%d // 2))|safe", "'-' * %d",
		"'aß\u2028' * (%d // 6)", "'(' * %d", "'%%(a)s' * (%d // 5)",
		"'{0.a[b]}' * (%d // 8)", "'İ' * (%d // 2)", "'ŉ' * (%d // 2)", `'\x01' * %d`,
		"'\U0001f600' * (%d // 4)", "'_' * %d", "'0x1_' * (%d // 4)"}
}

// textSizes: what is refused at once, what just fits, what a loop can do often.
func textSizes() []int { return []int{4_000_000, 400_000, 60_000, 1_000} }

func listOperands() []string {
	return []string{"[1] * 250000", "range(100000)", "range(60000)|list", "('a' * 1000,) * 20000",
		"[[1, 'a'], [2, 'b']] * 30000",
		"[{'a': 1, 'b': 'x'}] * 50000", "range(50000)|map('string')", "['A' * 100000] * 1000",
		"data.bigs", "data.deep", "data.wide", "data.strings",
		"data.floats", "range(30000)|map('string')|list", "[none, 1, 'a', 2.5] * 10000",
		"[data.wide] * 100", "((1, 2), (1, 2)) * 30000",
		"['<' * 4000] * 2000", "data.texts", "[1, 2] * 20", "data.numbers"}
}

func dictOperands() []string {
	return []string{"dict(range(40000)|batch(2))", "data.object", "data", "{'a': 'b' * 1000000}",
		"{'a' * 1000000: 1}", "namespace(a=1, b=2)",
		"dict(range(20000)|map('string')|batch(2))", "{1: 2, 'a': [1] * 1000}", "data.counts"}
}

func scalarOperands() []string {
	return []string{"1", "-9223372036854775807", "1.5e300", "2.5", "2000000000", "none", "nothing",
		"true", "data.big", "data.long", "'12.5'", "''",
		"data.bigs[0]", "9 ** 15"}
}

func (g *costGenerator) pick(from []string) string { return from[g.r.IntN(len(from))] }

func (g *costGenerator) text() string {
	sizes := textSizes()
	return fmt.Sprintf(g.pick(textOperands()), sizes[g.r.IntN(len(sizes))])
}

func (g *costGenerator) operand() string {
	switch g.r.IntN(6) {
	case 0, 1:
		return g.text()
	case 2, 3:
		return g.pick(listOperands())
	case 4:
		return g.pick(dictOperands())
	}
	return g.pick(scalarOperands())
}

// costData is what a sender may put into a payload of up to 1 MiB, and a few values of other Go
// types.
func costData() map[string]any {
	const many = 40_000
	bigs := make([]any, 2_000)
	floats, texts, numbers, strs := make([]any, many), make([]any, many), make([]any, many),
		make([]string, many)
	for i := range bigs {
		bigs[i] = json.Number(strings.Repeat("7", 380) + fmt.Sprintf("%06d", i*7919%1_000_000))
	}
	for i := range many {
		floats[i] = json.Number(fmt.Sprintf("%d.%de%d", i%10, i, i%600-300))
		texts[i] = fmt.Sprintf("Text %d", i*7919%many)
		strs[i] = fmt.Sprintf("key_%d", i)
		numbers[i] = json.Number(strconv.Itoa(i * 7919 % many))
	}
	object, counts := map[string]any{}, map[string]int{}
	for i := range many / 4 {
		object[strings.Repeat("k", 50)+strconv.Itoa(i)] = i
		counts[strconv.Itoa(i)] = i
	}
	var deep any = []any{1}
	for range 150 {
		deep = []any{deep, map[string]any{"a": deep}}
	}
	return map[string]any{"data": map[string]any{"bigs": bigs, "floats": floats, "texts": texts,
		"numbers": numbers, "strings": strs,
		"object": object, "counts": counts, "deep": deep, "wide": make([]any, many),
		"big":  json.Number("123456789012345678901234567890"),
		"long": json.Number("1." + strings.Repeat("3", 1_000_000))}}
}

func newCostGenerator(t testing.TB, seed uint64) *costGenerator {
	t.Helper()
	library, err := NewLibrary(LibraryConfig{Ready: ReadyAll})
	require.NoError(t, err)
	env := library.env
	g := &costGenerator{r: rand.New(rand.NewPCG(seed, 2)), env: env, library: library}
	add := func(name, format string, signature python.ParamSpec, operands []string) {
		g.operations = append(g.operations, costOperation{name, format, signature, operands})
	}
	for _, name := range slices.Sorted(maps.Keys(env.Filters)) {
		add("filter "+name, "v|"+name+"(%s)", env.Filters[name].Signature, nil)
		add("map by "+name, "v|map('"+name+"')|list|length", python.ParamSpec{}, nil)
	}
	for _, name := range slices.Sorted(maps.Keys(env.Tests)) {
		signature := env.Tests[name].Signature
		if python.IdentifierLength(name) == len(name) {
			add("test "+name, "v is "+name+"(%s)", signature, nil)
		}
		add("select by "+name, "v|select('"+name+"', w)|list|length", python.ParamSpec{}, nil)
	}
	var texts []string
	for _, size := range textSizes() {
		for _, operand := range textOperands() {
			texts = append(texts, fmt.Sprintf(operand, size))
		}
	}
	for _, table := range []struct {
		name     string
		methods  map[string]*python.Method
		operands []string
	}{
		{"text", env.Methods.Text, texts},
		{"list", env.Methods.List, listOperands()},
		{"tuple", env.Methods.Tuple, []string{"(1, 2) * 100000", "range(100000)",
			"('a' * 100000,) * 1000"}},
		{"dict", env.Methods.Dict, dictOperands()},
		{"cycler", env.Methods.Cycler, []string{"cycler(1, 'a' * 1000000)", "cycler(*range(50000))"}},
	} {
		for _, name := range slices.Sorted(maps.Keys(table.methods)) {
			add("method of "+table.name+" "+name, "v."+name+"(%s)", table.methods[name].Signature,
				table.operands)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env.Methods.Loop)) {
		add("method of loop "+name, "loop."+name+"(v, w, *v)", python.ParamSpec{}, nil)
	}
	for _, name := range slices.Sorted(maps.Keys(env.Globals)) {
		f, ok := env.Globals[name].(*python.Function)
		require.True(t, ok, "the global %s is not called in these tests", name)
		add("global "+name, name+"(%s)", f.Signature, nil)
	}
	for _, op := range syntax.Operators {
		switch op {
		case "+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=":
			add("operator "+op, "v "+op+" w", python.ParamSpec{}, nil)
			add("operators "+op, "v "+strings.Repeat(op+" w ", 3), python.ParamSpec{}, nil)
		case "[", "]", "(", ")", "{", "}", ".", ":", ",", "|", ";", "=": // in the expressions below
		default:
			require.Fail(t, "these tests do not know the operator "+op)
		}
	}
	for _, expression := range []string{"v in w", "v not in w", "v and w", "v or w", "not v", "-v",
		"+v", "v if w else v", "v[0]", "v[-1]", "v[100:-100]", "v[::-7]",
		"v[::3]", "v[w]", "v.a.b", "v['a']", "v|attr(w)", "v.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"[v, w] == [v, w]", "{v: w}", "{(v, w): 1}", "(v, w) < (w, v)",
		"[v, w]|string|length", "[v, w]|tojson|length", "{'a': v, 'b': w}|tojson|length",
		"'%s %r' % (v, w)", "'%1000.5s' % v", "'%d' % v", "'%.900f' % v", "'%0900000d' % 1",
		"'{} {!r}'.format(v, w)", "'{:>900}'.format(v)", "'{0:.990e}'.format(v)", "'{:,}'.format(v)",
		"'{:_x}'.format(1)", "dict(a=v, **w)", "dict(**v)", "cycler(*v)", "[v] * 100000",
		"(v, w)|join(v)", "[w, v]|sort", "[v, w, v]|unique|list|length",
		"[v, w]|groupby('a')|list|length", "[v] is sameas(w)", "loop.index ~ v", "loop.changed(v)",
		"range(v)", "v ~ w ~ v ~ w",
		"('a' ~ loop.index) in w", "v|sum(start=w)", "[v, w]|sum(start=[])", "v|list|length",
		"[v, v]|min", "v == v", "v <= v", "(v,) * 3 == (v,) * 3", "lipsum(v)", "nothing[v]",
		"namespace(**w)"} {
		add("expression "+expression, expression, python.ParamSpec{}, nil)
	}
	return g
}

// expression is an operation with arguments.
func (g *costGenerator) expression(o costOperation) string {
	if !strings.Contains(o.format, "%s)") || o.signature.Owner == "" {
		return o.format
	}
	n := o.signature.Required + g.r.IntN(len(o.signature.Names)-o.signature.Required+1)
	if o.signature.Variadic {
		n = g.r.IntN(4)
	}
	pool := []string{"v", "w", "v", "w", "1", "0", "-1", "3", "2000000000", "'a'", "''", "'b' * 1000",
		"none", "'(a+)+b'", "'%Y-%m-%d'", "'\\\\w*'", "'((a{0,99}){0,99})'", "'a,b.c'", "'upper'",
		"[1, 2]", "true", "'. ' * 30000", "nothing", "1000"}
	args := make([]string, n, n+2)
	for i := range args {
		args[i] = g.pick(pool)
	}
	if o.signature.Variadic {
		args = append(args, [][]string{nil, nil, {"*v"}, {"k=v", "**{'j': w}"}}[g.r.IntN(4)]...)
	}
	return strings.Replace(o.format, "%s", strings.Join(args, ", "), 1)
}

// template applies an operation once, or in a loop that only a limit ends.
func (g *costGenerator) template(o costOperation, looped bool) string {
	v := g.operand()
	if o.operands != nil {
		v = g.pick(o.operands)
	}
	source := "{% set v = " + v + " %}{% set w = " + g.operand() + " %}"
	expression := g.expression(o)
	turns := 1
	if looped {
		turns = 100_000
	}
	return fmt.Sprintf("%s{%% for i in range(%d) %%}{%% set x = %s %%}{%% endfor %%}{{ v }}", source,
		turns, expression)
}

// costFormats are the options that templates are measured with.
func costFormats() []Options {
	return []Options{{}, {Format: FormatHTML}, {Format: FormatMarkdown}, {Format: FormatMrkdwn}}
}

func (g *costGenerator) options() Options {
	o := costFormats()[g.r.IntN(4)]
	o.Library = g.library
	return o
}

// slowestCosts keeps what came closest to the limits, for the log of a long run.
type slowestCosts struct {
	cpu   time.Duration
	bytes uint64
	deaf  time.Duration
	where [3]string
	n     int
}

func (s *slowestCosts) add(name string, c cost) {
	s.n++
	if c.cpu > s.cpu {
		s.cpu, s.where[0] = c.cpu, name
	}
	if c.bytes > s.bytes {
		s.bytes, s.where[1] = c.bytes, name
	}
	if c.deaf > s.deaf {
		s.deaf, s.where[2] = c.deaf, name
	}
}

func (s *slowestCosts) log(t *testing.T) {
	t.Logf("%d templates\nmost CPU: %v: %.300s\nmost memory: %d MiB: %.300s\nlongest without a look at the context: %v: %.300s",
		s.n, s.cpu, s.where[0], s.bytes>>20, s.where[1], s.deaf, s.where[2])
}

// TestEveryNameIsBounded measures every filter, test, method, global and operator with operands of
// up to 4 MB. It must not run while other tests do: it looks at the memory of the whole process.
func TestEveryNameIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	g := newCostGenerator(t, *costSeed)
	data := costData()
	var slowest slowestCosts
	for range *costRounds {
		for i, o := range g.operations {
			for _, looped := range []bool{false, true} {
				if !thorough() && (i%2 != 0 || looped == (i%4 == 0)) {
					continue
				}
				source := g.template(o, looped)
				options := g.options()
				slowest.add(source, checkCost(t, source, source, data, options))
			}
		}
	}
	slowest.log(t)
}

// costBlocks are the tags, each with a body. A tag that is added must be added here.
func costBlocks() map[string][]string {
	return map[string][]string{
		"if": {"{% if v %}BODY{% endif %}",
			"{% if v == w %}{% elif v %}BODY{% else %}BODY{% endif %}"},
		"for": {"{% for x in v %}BODY{% endfor %}",
			"{% for x in v if x %}BODY{% else %}BODY{% endfor %}", "{% for x, y in v %}BODY{% endfor %}",
			"{% for x in [v, w] recursive %}{{ loop(x) if x is iterable }}{% endfor %}"},
		"set": {"{% set x = v %}", "{% set x %}BODY{% endset %}",
			"{% set x | upper %}BODY{% endset %}", "{% set a, b = v, w %}", "{% set a, (b, c) = v %}"},
		"with": {"{% with a = v, b = w %}BODY{% endwith %}", "{% with %}BODY{% endwith %}"},
		"macro": {"{% macro m(a, b=v) %}BODY{% endmacro %}{{ m(v) }}{{ m(1, 2) }}",
			"{% macro r(n) %}{{ r(n + 1) }}BODY{% endmacro %}{{ r(1) }}",
			"{% macro k() %}{{ kwargs }}{{ varargs }}{% endmacro %}{{ k(*v, **w) }}"},
		"call": {"{% macro c() %}{{ caller() }}{{ caller() }}{% endmacro %}{% call c() %}BODY{% endcall %}"},
		"filter": {"{% filter upper %}BODY{% endfilter %}",
			"{% filter indent(3)|wordwrap(1) %}BODY{% endfilter %}"},
		"autoescape": {"{% autoescape true %}BODY{% endautoescape %}",
			"{% autoescape false %}BODY{% endautoescape %}"},
		"block": {"{% block NAME %}BODY{% endblock %}", "{% block NAME scoped %}BODY{% endblock %}"},
		"print": {"{% print v, w %}"},
	}
}

// TestEveryBlockIsBounded measures every tag, empty and not, many times and in loops.
func TestEveryBlockIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	g := newCostGenerator(t, *costSeed)
	blocks := costBlocks()
	for name, kind := range g.env.Blocks {
		if kind.Refused == "" {
			assert.NotEmpty(t, blocks[name], "the tag %s is not measured", name)
		}
	}
	data := costData()
	var slowest slowestCosts
	for range *costRounds {
		for _, name := range slices.Sorted(maps.Keys(blocks)) {
			for i, block := range blocks[name] {
				for j, body := range []string{"{{ v }}", "", "text", "{{ '' }}", "{#-#}x{#-#}"} {
					if !thorough() && i%2 != j {
						continue
					}
					many := g.repeatBlock(strings.ReplaceAll(block, "BODY", body))
					for _, source := range []string{many, "{% for i in range(100000) %}" + many + "{% endfor %}"} {
						if strings.Contains(block, "NAME") && !strings.HasPrefix(source, "{% for") {
							continue
						}
						source = "{% set v = " + g.operand() + " %}{% set w = " + g.operand() + " %}" + source
						slowest.add(source, checkCost(t, source, source, data, g.options()))
					}
				}
			}
		}
	}
	slowest.log(t)
}

// repeatBlock repeats a block to fill a source.
func (g *costGenerator) repeatBlock(block string) string {
	const room = 60_000
	n := []int{1, 100, room / (len(block) + 4)}[g.r.IntN(3)]
	var b strings.Builder
	for i := range min(n, room/(len(block)+4)) {
		b.WriteString(strings.ReplaceAll(block, "NAME", fmt.Sprintf("n%d", i)))
	}
	return b.String()
}

// TestRandomProgramsAreBounded measures programs of loops, macros and expressions.
func TestRandomProgramsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	g := newCostGenerator(t, *costSeed+1)
	data := costData()
	var slowest slowestCosts
	for range 40 * *costRounds {
		source := g.program()
		slowest.add(source, checkCost(t, source, source, data, g.options()))
	}
	slowest.log(t)
}

func (g *costGenerator) program() string {
	return "{% set v = " + g.operand() + " %}{% set w = " + g.operand() + " %}{% set ns = namespace(a=v) %}" +
		"{% macro m(v, w=1) %}" + g.body(1) + "{% endmacro %}" + g.body(0)
}

func (g *costGenerator) body(depth int) string {
	var b strings.Builder
	for range 1 + g.r.IntN(3) {
		expression := g.expression(g.operations[g.r.IntN(len(g.operations))])
		roll := g.r.IntN(9)
		if depth > 2 {
			roll %= 4
		}
		switch roll {
		case 0:
			b.WriteString("{{ " + expression + " }}")
		case 1:
			b.WriteString("{% set v = " + expression + " %}")
		case 2:
			b.WriteString("{% set ns.a = " + expression + " %}{% set w = ns.a %}")
		case 3:
			b.WriteString("{% set x = " + expression + " %}")
		case 4, 5:
			b.WriteString("{% for i in " + g.pick([]string{"range(100000)", "v", "w",
				"range(1000)"}) + " %}" + g.body(depth+1) + "{% endfor %}")
		case 6:
			b.WriteString("{% if " + expression + " %}" + g.body(
				depth+1) + "{% else %}" + g.body(depth+1) + "{% endif %}")
		case 7:
			b.WriteString("{{ m(" + expression + ") }}")
		case 8:
			b.WriteString("{% filter " + g.pick([]string{"upper", "wordwrap(1)", "escape", "title",
				"striptags", "urlize"}) + " %}" + g.body(depth+1) + "{% endfilter %}")
		}
	}
	return b.String()
}
