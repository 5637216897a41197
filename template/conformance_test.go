package template

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// conformanceCase is one case of testdata/cases.json: what the real Jinja2 made of a template.
type conformanceCase struct {
	Name     string         `json:"name"`
	Template string         `json:"template"`
	Data     map[string]any `json:"data"`
	Expected string         `json:"expected"`
	Error    string         `json:"error"` // "compile" or "render" where Jinja2 fails; either will do here
}

func conformanceCases(t testing.TB) []conformanceCase {
	t.Helper()
	var file struct {
		Cases []conformanceCase `json:"cases"`
	}
	readJSON(t, "testdata/cases.json", &file)
	require.NotEmpty(t, file.Cases)
	return file.Cases
}

// readJSON decodes a file with its numbers as they stand.
func readJSON(t testing.TB, path string, v any) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	d := json.NewDecoder(f)
	d.UseNumber()
	require.NoError(t, d.Decode(v))
}

func render(t testing.TB, source string, data map[string]any, o Options) (string, error) {
	t.Helper()
	tpl, err := Compile(source, o)
	if err != nil {
		return "", err
	}
	return tpl.Render(t.Context(), data)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, c := range conformanceCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			got, err := render(t, c.Template, c.Data, Options{})
			if c.Error != "" {
				require.Error(t, err, "rendered %q", got)
				var e *Error
				require.ErrorAs(t, err, &e)
				require.NotErrorIs(t, err, ErrInternal)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.Expected, got)
		})
	}
}

// TestMoreConformance is TestConformance for the corners of the language, with HTML escaping in
// some.
func TestMoreConformance(t *testing.T) {
	t.Parallel()
	var file struct {
		Sets []struct {
			Data  map[string]any `json:"data"`
			Cases []struct {
				Template string `json:"template"`
				HTML     bool   `json:"html"`
				Expected string `json:"expected"`
				Error    string `json:"error"`
			} `json:"cases"`
		} `json:"sets"`
	}
	readJSON(t, "testdata/more.json", &file)
	require.NotEmpty(t, file.Sets)
	for _, set := range file.Sets {
		for _, c := range set.Cases {
			got, err := render(t, c.Template, set.Data, Options{Format: htmlIf(c.HTML)})
			if c.Error != "" {
				require.Error(t, err, "%s rendered %q, Jinja2 fails with %s", c.Template, got, c.Error)
				require.NotErrorIs(t, err, ErrInternal, c.Template)
				continue
			}
			require.NoError(t, err, c.Template)
			assert.Equal(t, c.Expected, got, c.Template)
		}
	}
}

// TestDifferences checks what SYNTAX.md says about results that are not Jinja2's.
func TestDifferences(t *testing.T) {
	t.Parallel()
	data := map[string]any{"big": json.Number("99999999999999999999"), "list": []any{1},
		"object": map[string]any{"b": 1, "a": 2}}
	for source, want := range map[string]any{
		"{{ object }}": "{'a': 2, 'b': 1}",
		"{{ big }} {{ big > 1 }} {{ big|tojson }}": "99999999999999999999 True 99999999999999999999",
		"{{ big + 1 }}":            ErrArithmetic,
		"{{ 2 ** 64 }}":            ErrArithmetic,
		"{{ (-1) ** 0.5 }}":        ErrArithmetic,
		"{{ list.append(2) }}":     ErrForbidden,
		"{{ object.update(a=1) }}": ErrForbidden,
		"{% set l = list|list %}{{ l.append(2) }}{{ l }}{{ list }}": "None[1, 2][1]",
		"{% set o = dict(object) %}{{ o.pop('a') }}{{ o }}":         "2{'b': 1}",
		"{% if false %}{{ 1|nope }}{% endif %}":                     ErrUnknown,
		"{{ {'b': 1, 'a': 2}|pprint }}":                             "{'b': 1, 'a': 2}",
		"{% block b %}x{% endblock %}{{ self.b() }}":                ErrUndefined,
		"{{ range }} {{ list|map('string') }}":                      "<function> <generator>",
		"{{ 1[:] }}":                                                ErrType,
		"{{ list[] }}":                                              ErrSyntax,
		"{#":                                                        ErrSyntax,
		`{{ '\N{DASH}' }}`:                                          ErrSyntax,
		`{{ '\ud800' }}`:                                            "\ufffd",
	} {
		got, err := render(t, source, data, Options{})
		if kind, fails := want.(error); fails {
			require.ErrorIs(t, err, kind, source)
			continue
		}
		require.NoError(t, err, source)
		assert.Equal(t, want, got, source)
	}
	got, err := render(t, "{{ '<b>'|safe ~ '<i>' }}", nil, Options{Format: FormatHTML})
	require.NoError(t, err)
	assert.Equal(t, "<b>&lt;i&gt;", got)
}
