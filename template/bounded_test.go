package template

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/template/internal/eval"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// TestEveryOperationIsBounded applies every filter, test and method to a large value, to each of
// them if thorough, in a loop that only a budget ends. It must not run while other tests do: it
// looks at the memory of the whole process.
func TestEveryOperationIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	env, err := eval.Shared()
	require.NoError(t, err)
	values := map[string]string{
		"unicode": "{% set v = 'äß é→☕ ' * 30000 %}",
		"markup":  "{% set v = ('a<b>-c ' * 50000)|safe %}",
		"list":    "{% set v = range(20000)|list %}",
		"dict":    "{% set v = dict(range(10000)|batch(2)) %}",
		"number":  "{% set v = '9' * 100000 %}",
	}
	arguments := map[string]string{"format": "v, v", "format_map": "{'a': v}", "map": "'string'",
		"select": "'string'", "reject": "'string'",
		"selectattr": "'upper'", "rejectattr": "'upper'", "groupby": "0", "batch": "3", "slice": "3",
		"replace":    "'a', 'bc'",
		"startswith": "v", "endswith": "v", "find": "'zz'", "rfind": "'zz'", "index": "v[-1]",
		"rindex": "'b'", "count": "'zz'",
		"center": "20000", "ljust": "20000", "rjust": "20000", "zfill": "20000", "attr": "'upper'",
		"join": "v", "partition": "'☕'",
		"rpartition": "'☕'", "removeprefix": "v", "removesuffix": "v", "divisibleby": "3", "sameas": "v",
		"in": "v", "append": "v",
		"extend": "v", "insert": "0, v", "remove": "0", "setdefault": "loop.index, v", "get": "v|string",
		"pop": ""}
	expressions := map[string]string{}
	add := func(kind, name, format string, optional ...string) {
		args, given := arguments[name]
		if !given && len(optional) > 0 {
			args = optional[0]
		}
		expressions[kind+" "+name] = fmt.Sprintf(format, name, args)
	}
	for name := range env.Filters {
		add("filter", name, "(v|%s(%s))|string|length")
	}
	for name := range env.Tests {
		if python.IdentifierLength(name) == len(name) {
			add("test", name, "v is %s(%s)", "v")
		}
	}
	for _, table := range []map[string]*python.Method{env.Methods.Text, env.Methods.List,
		env.Methods.Dict} {
		for name := range table {
			add("method", name, "v.%s(%s)")
		}
	}
	var slowest slowestCosts
	for i, expression := range slices.Sorted(maps.Keys(expressions)) {
		for j, value := range slices.Sorted(maps.Keys(values)) {
			if !thorough() && i%len(values) != j {
				continue
			}
			set := values[value]
			name := expression + " of " + value
			source := set + "{% for i in range(100000) %}{% set x = " + expressions[expression] + " %}{% endfor %}"
			slowest.add(name, checkCost(t, name, source, nil, Options{}))
		}
	}
	slowest.log(t)
}
