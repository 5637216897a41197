package template

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/template/internal/eval"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// syntaxTable returns the rows of the table under a heading of SYNTAX.md: the quoted words of each
// cell.
func syntaxTable(t *testing.T, heading string) [][][]string {
	t.Helper()
	b, err := os.ReadFile("SYNTAX.md")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(b), "\n"+heading+"\n")
	require.True(t, ok, heading)
	section, _, _ = strings.Cut(section, "\n## ")
	quoted := regexp.MustCompile("`([^`]*)`")
	var rows [][][]string
	started := false
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "|") {
			if started && strings.TrimSpace(line) == "" {
				break
			}
			continue
		}
		if strings.HasPrefix(line, "|---") {
			started = true
			continue
		}
		if !started {
			continue
		}
		var row [][]string
		for _, cell := range strings.Split(strings.ReplaceAll(strings.Trim(line, "|\n"), `\|`, "\x00"),
			"|") {
			var words []string
			for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
				words = append(words, strings.ReplaceAll(m[1], "\x00", "|"))
			}
			row = append(row, words)
		}
		rows = append(rows, row)
	}
	require.NotEmpty(t, rows, heading)
	return rows
}

// documented maps the names in the first cells to the arguments in the second.
func documented(t *testing.T, heading string) map[string]string {
	t.Helper()
	table := map[string]string{}
	for _, row := range syntaxTable(t, heading) {
		for _, name := range row[0] {
			require.NotContains(t, table, name)
			table[name] = strings.Join(row[1], " ")
		}
	}
	return table
}

func TestSyntaxTables(t *testing.T) {
	t.Parallel()
	env, err := eval.Shared()
	require.NoError(t, err)

	filters := map[string]string{}
	for name, f := range env.Filters {
		filters[name] = f.Params
	}
	assert.Equal(t, filters, documented(t, "## Filters"))

	tests := map[string]string{}
	for name, test := range env.Tests {
		tests[name] = test.Params
	}
	assert.Equal(t, tests, documented(t, "## Tests"))

	globals := map[string]string{}
	for name, g := range env.Globals {
		globals[name] = g.(*python.Function).Params
	}
	assert.Equal(t, globals, documented(t, "## Functions"))

	tags, refused := map[string]string{}, map[string]string{}
	for name, kind := range env.Blocks {
		if kind.Refused != "" {
			refused[name] = ""
		} else {
			tags[name] = kind.End
		}
	}
	documentedTags := map[string]string{}
	for _, row := range syntaxTable(t, "## Tags") {
		documentedTags[row[0][0]] = strings.Join(row[1], " ")
	}
	assert.Equal(t, tags, documentedTags)
	for name := range refused {
		b, err := os.ReadFile("SYNTAX.md")
		require.NoError(t, err)
		assert.Contains(t, string(b), "\n| `"+name+"` | loads another template |\n")
	}

	methods := map[string]map[string]*python.Method{"text": env.Methods.Text, "list": env.Methods.List,
		"tuple": env.Methods.Tuple, "dict": env.Methods.Dict}
	rows := syntaxTable(t, "## Methods")
	for i, of := range []string{"text", "list", "tuple", "dict"} {
		assert.Equal(t, slices.Sorted(maps.Keys(methods[of])), rows[i][1], of)
	}
}

func TestSyntaxLimits(t *testing.T) {
	t.Parallel()
	l := defaultLimits(t)
	b, err := os.ReadFile("SYNTAX.md")
	require.NoError(t, err)
	for _, row := range []struct {
		name  string
		value int
		err   string
	}{
		{"Source", l.Source, "ErrSourceTooLarge"}, {"Depth", l.Depth, "ErrTooDeep"},
		{"Steps", l.Steps, "ErrSteps"},
		{"Output", l.Output, "ErrOutputTooLarge"}, {"Range", l.Range, "ErrRangeTooLarge"},
		{"Memory", l.Memory, "ErrMemory"},
	} {
		assert.Contains(t, string(b), fmt.Sprintf("\n| `%s` | %d | `%s` |\n", row.name, row.value,
			row.err))
	}
}
