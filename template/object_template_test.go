package template

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestObjectConformance(t *testing.T) {
	t.Parallel()
	var file struct {
		Cases []struct {
			Name     string          `json:"name"`
			Template json.RawMessage `json:"template"`
			Data     map[string]any  `json:"data"`
			Expected json.RawMessage `json:"expected"`
		} `json:"cases"`
	}
	readJSON(t, "testdata/payload.json", &file)
	require.NotEmpty(t, file.Cases)
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			o, err := CompileObject(c.Template, Options{})
			require.NoError(t, err)
			got, err := o.Render(t.Context(), c.Data)
			require.NoError(t, err)
			assert.JSONEq(t, string(c.Expected), string(got))
		})
	}
}

func TestObjectKeepsOrderAndDigits(t *testing.T) {
	t.Parallel()
	o, err := CompileObject([]byte(
		`{"z": "{{ n }}", "a": 1.50, "m": [true, null, "<é\u2028>", "{{ f }}"]}`), Options{})
	require.NoError(t, err)
	got, err := o.Render(t.Context(),
		map[string]any{"n": json.Number("12345678901234567890"), "f": json.Number("2.0")})
	require.NoError(t, err)
	want := []byte("{\"z\":12345678901234567890,\"a\":1.50,\"m\":[true,null,\"<é\u2028>\",2.0]}")
	assert.True(t, bytes.Equal(want, got), string(got)) // byte for byte, unlike JSONEq
}

func TestObjectCompileErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		source string
		kind   error
		line   int
		column int
		leaf   string
	}{
		"not json":       {`{"a": }`, ErrNotJSON, 1, 7, ""},
		"cut off":        {"{\"a\":\n 1", ErrNotJSON, 2, 2, ""},
		"a string":       {`"{{ x }}"`, ErrNotJSON, 0, 0, ""},
		"more":           {`{} {}`, ErrNotJSON, 0, 0, ""},
		"repeated key":   {`{"a": {"b": 1, "b": 2}}`, ErrNotJSON, 0, 0, ""},
		"bad leaf":       {`{"a": [{"b/c~": "x {{ 1 + }}"}]}`, ErrSyntax, 1, 10, "/a/0/b~1c~0"},
		"unknown filter": {`{"a": "{{ x|nope }}"}`, ErrUnknown, 1, 6, "/a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := CompileObject([]byte(test.source), Options{})
			require.ErrorIs(t, err, test.kind)
			var e *Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, test.leaf, e.Leaf)
			assert.Equal(t, [2]int{test.line, test.column}, [2]int{e.Line, e.Column}, err)
		})
	}
}

func TestObjectReportsEveryBadLeaf(t *testing.T) {
	t.Parallel()
	_, err := CompileObject([]byte(`{"a": "{{ }}", "b": "fine {{ x }}", "c": "{% if %}"}`), Options{})
	require.Error(t, err)
	assert.ErrorContains(t, err, "template /a")
	assert.ErrorContains(t, err, "template /c")
	assert.NotContains(t, err.Error(), "/b")
}

func TestObjectRenderErrorNamesLeaf(t *testing.T) {
	t.Parallel()
	o, err := CompileObject([]byte(`{"a": {"b": "{{ x.y.z }}"}}`), Options{})
	require.NoError(t, err)
	_, err = o.Render(t.Context(), map[string]any{"x": map[string]any{}})
	require.ErrorIs(t, err, ErrUndefined)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "/a/b", e.Leaf)
}

func TestObjectLeavesShareABudget(t *testing.T) {
	t.Parallel()
	o, err := CompileObject([]byte(`["{{ 'x' * 600 }}", "{{ 'x' * 600 }}"]`),
		Options{Limits: Limits{Memory: 1500}})
	require.NoError(t, err)
	_, err = o.Render(t.Context(), nil)
	require.ErrorIs(t, err, ErrMemory)

	o, err = CompileObject([]byte(`["{{ 'x' * 600 }}", "{% for i in range(600) %}x{% endfor %}"]`),
		Options{Limits: Limits{Output: 1000}})
	require.NoError(t, err)
	_, err = o.Render(t.Context(), nil)
	require.ErrorIs(t, err, ErrOutputTooLarge)
}

func TestJSONSaysWhereTheResultBreaks(t *testing.T) {
	t.Parallel()
	j, err := CompileJSON("[\n {\"a\": {{ a|tojson }}},\n {\"b\": {{ secret|safe }}}\n]", Options{})
	require.NoError(t, err)
	got, err := j.Render(t.Context(), map[string]any{"a": 1, "secret": `"fine"`})
	require.NoError(t, err)
	assert.JSONEq(t, `[{"a": 1}, {"b": "fine"}]`, string(got))

	_, err = j.Render(t.Context(), map[string]any{"a": 1, "secret": "hush\" , hush"})
	require.ErrorIs(t, err, ErrNotJSON)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, [2]int{3, 11}, [2]int{e.Line, e.Column})
	assert.Contains(t, e.Msg, "line 3, column 8")
	assert.NotContains(t, err.Error(), "hush")
}

func TestTheLeavesOfAnObjectAreBounded(t *testing.T) {
	t.Parallel()
	list := func(n int, leaf string) []byte {
		return []byte("[" + strings.Repeat(leaf+",",
			n-1) + leaf + "]")
	}
	_, err := CompileObject(list(1000, `"{{ x }}"`), Options{})
	require.NoError(t, err)
	_, err = CompileObject(list(1001, `"{{ x }}"`), Options{})
	require.ErrorIs(t, err, ErrSourceTooLarge)
	_, err = CompileObject(list(5000, `"text"`), Options{})
	require.NoError(t, err, "what is no template is not counted")
	_, err = CompileObject(list(3, `"{{ x }}"`), Options{Limits: Limits{Leaves: 2}})
	require.ErrorIs(t, err, ErrSourceTooLarge)

	_, err = CompileObject(list(500, `"{{"`), Options{})
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok)
	require.Len(t, joined.Unwrap(), 20)
	var e *Error
	require.ErrorAs(t, joined.Unwrap()[19], &e)
	assert.Equal(t, "/19", e.Leaf)
	assert.ErrorIs(t, err, ErrSyntax)
}

// Where a value stands in one leaf does not depend on the leaves before it.
func TestLeavesOfAnObjectStandAlone(t *testing.T) {
	t.Parallel()
	for format, wants := range map[Format][2]string{
		FormatHTML:     {`<a href="#">`, `<a href="{{ x }}">`},
		FormatMarkdown: {"`'`", "`{{ y }}`"},
	} {
		source, err := json.Marshal([]string{"a long text with a < and a ` before {{ y }} and after it",
			wants[1]})
		require.NoError(t, err)
		o, err := CompileObject(source, Options{Format: format})
		require.NoError(t, err)
		out, err := o.Render(t.Context(), map[string]any{"x": "javascript:alert(1)", "y": "`"})
		require.NoError(t, err)
		var got []string
		require.NoError(t, json.Unmarshal(out, &got))
		assert.Equal(t, wants[0], got[1])
	}
}
