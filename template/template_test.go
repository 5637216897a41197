package template

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flosch/pongo2/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

func TestCompileErrorsHavePlaceAndText(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]struct {
		kind   error
		line   int
		column int
		text   string
	}{
		"a\nb {{ event_id ":                 {ErrSyntax, 2, 3, `near "event_id"`},
		"{{ 1 + }}":                         {ErrSyntax, 1, 8, "the end of the tag"},
		"{{ 'abc }}":                        {ErrSyntax, 1, 4, `near "'abc }}"`},
		"{{ a ? b }}":                       {ErrSyntax, 1, 6, `near "? b }}"`},
		"{{ (1] }}":                         {ErrSyntax, 1, 6, `expected ")"`},
		"{{ a b }}":                         {ErrSyntax, 1, 6, `got "b"`},
		"{{ a|nope }}":                      {ErrUnknown, 1, 6, `"nope"`},
		"é{{ a is nope }}":                  {ErrUnknown, 1, 7, `"nope"`},
		"{%\n  frobnicate x %}":             {ErrUnknown, 2, 3, `"frobnicate"`},
		"x\n{% endif %}":                    {ErrUnknown, 2, 4, `"endif"`},
		"\n{% if a %}\n{% for x in y %}":    {ErrSyntax, 3, 4, `"for" is not closed, expected "endfor"`},
		"{% if a %}{% endfor %}{% endif %}": {ErrUnknown, 1, 14, `open block is "if" of line 1`},
		"{% if a %}{% else %}{% elif %}{% endif%}": {ErrSyntax, 1, 24, `"elif" after the else`},
		"{% if a %}\n{% elif b c %}{% endif %}":    {ErrSyntax, 2, 11, `got "c"`},
		"{% include 'x' %}":                        {ErrForbidden, 1, 4, `"include" is not available`},
		"{# open":                                  {ErrSyntax, 1, 1, "comment"},
		"a {% raw %} b":                            {ErrSyntax, 1, 3, "endraw"},
		"{% set true = 1 %}":                       {ErrSyntax, 1, 8, `"true"`},
		"{% macro m(a=1, b) %}{% endmacro %}":      {ErrSyntax, 1, 17, "without a default"},
		"{{ f(a=1, a=2) }}":                        {ErrSyntax, 1, 5, `"a" repeated`},
		"{{ 99999999999999999999 }}":               {ErrSyntax, 1, 4, "64 bits"},
		"{{ a }\n}":                                {ErrSyntax, 1, 6, `unexpected "}"`},
		"\xff":                                     {ErrSyntax, 0, 0, "UTF-8"},
		"{% block a %}{% endblock %}{% block a %}{% endblock %}": {ErrSyntax, 1, 31, `"a" defined twice`},
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			_, err := Compile(source, Options{})
			require.ErrorIs(t, err, want.kind)
			var e *Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, [2]int{want.line, want.column}, [2]int{e.Line, e.Column}, err)
			assert.Contains(t, err.Error(), want.text)
		})
	}
}

func TestRenderErrorsHavePlaceAndNoData(t *testing.T) {
	t.Parallel()
	data := map[string]any{"s": secret, "l": []any{secret},
		"d": map[string]any{"k": secret, secret: 1}, "go": time.Time{}}
	for source, want := range map[string]struct {
		kind   error
		line   int
		column int
	}{
		"{{ s.x.y }}":                      {ErrUndefined, 1, 7},
		"\n {{ d[s + 'x'].y }}":            {ErrUndefined, 2, 15},
		"{{ s + 1 }}":                      {ErrType, 1, 6},
		"{{ l|map(s)|list }}":              {ErrUnknown, 1, 6},
		"{{ [1]|select(s)|list }}":         {ErrUnknown, 1, 8},
		"{{ l.index('x') }}":               {ErrType, 1, 11},
		"{{ dict(**d).x.y }}":              {ErrUndefined, 1, 15},
		"{{ '{x}'.format(**{s: 1}) }}":     {ErrType, 1, 16},
		"{{ s % 1 }}":                      {ErrType, 1, 6},
		"{{ s|sum }}":                      {ErrType, 1, 6},
		"{{ {s: 1}|xmlattr }}{{ 1 // 0 }}": {ErrArithmetic, 1, 26},
		"{{ go }}":                         {ErrData, 1, 4},
		"{{ go.Unix() }}":                  {ErrData, 1, 6},
		"{{ l.append(1) }}":                {ErrForbidden, 1, 12},
		"{{ (s|string).__class__.x }}":     {ErrForbidden, 1, 24},
		"{% macro m() %}{% endmacro %}{{ m(**{s: 1}) }}": {ErrType, 1, 9},
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			out, err := render(t, source, data, Options{})
			require.ErrorIs(t, err, want.kind, out)
			assert.Empty(t, out)
			assert.NotContains(t, err.Error(), secret)
			var e *Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, [2]int{want.line, want.column}, [2]int{e.Line, e.Column}, err)
		})
	}
}

func TestHTML(t *testing.T) {
	t.Parallel()
	data := map[string]any{"x": `<b a="1">&'`}
	for source, want := range map[string]string{
		`<p>{{ x }}</p>`:       `<p>&lt;b a=&#34;1&#34;&gt;&amp;&#39;</p>`,
		`{{ x|safe }}`:         `<b a="1">&'`,
		`{{ x|e }}{{ x|e|e }}`: `&lt;b a=&#34;1&#34;&gt;&amp;&#39;&lt;b a=&#34;1&#34;&gt;&amp;&#39;`,
		`{% set y %}<i>{{ x }}</i>{% endset %}{{ y }}`:     `<i>&lt;b a=&#34;1&#34;&gt;&amp;&#39;</i>`,
		`{% autoescape false %}{{ x }}{% endautoescape %}`: `<b a="1">&'`,
		`{{ [x] }}`: `[&#39;&lt;b a=&#34;1&#34;&gt;&amp;\&#39;&#39;]`,
	} {
		got, err := render(t, source, data, Options{Format: FormatHTML})
		require.NoError(t, err, source)
		assert.Equal(t, want, got, source)
	}
}

func TestSingleBracesAreText(t *testing.T) {
	t.Parallel()
	got, err := render(t, "{event_type} {%raw%}{{ x }}{%endraw%} {", nil, Options{})
	require.NoError(t, err)
	assert.Equal(t, "{event_type} {{ x }} {", got)
}

// TestNumbersSurvive: digits that a float would lose come out as they went in.
func TestNumbersSurvive(t *testing.T) {
	t.Parallel()
	data := map[string]any{"n": json.Number("9007199254740993"),
		"big": json.Number("-18446744073709551616"), "u": ^uint64(0),
		"f": json.Number("1.10"), "e": json.Number("1e3")}
	got, err := render(t,
		"{{ n }} {{ big }} {{ u }} {{ f }} {{ e }} {{ [big]|tojson }} {{ big < n < u }} {{ big == big }} {{ big|abs }}", data, Options{})
	require.NoError(t, err)
	assert.Equal(t,
		"9007199254740993 -18446744073709551616 18446744073709551615 1.1 1000.0 [-18446744073709551616] True True 18446744073709551616", got)
	_, err = render(t, "{{ big + 1 }}", data, Options{})
	require.ErrorIs(t, err, ErrArithmetic)
}

// TestGoValues: typed maps and slices work like plain ones; nothing else of Go shows.
func TestGoValues(t *testing.T) {
	t.Parallel()
	type name string
	data := map[string]any{"m": map[string]string{"b": "2", "a": "1"}, "l": []string{"x"},
		"n": []map[string]any{{"k": int8(3)}}, "s": name("s"),
		"b": []byte("x"), "p": new(int), "f": func() {}, "c": make(chan int)}
	got, err := render(t, "{{ m }} {{ l|join }} {{ n[0].k + 1 }} {{ s }}", data, Options{})
	require.NoError(t, err)
	assert.Equal(t, "{'a': '1', 'b': '2'} x 4 s", got)
	for _, v := range []string{"b", "p", "f", "c", "f()", "[b]", "p.x"} {
		_, err := render(t, "{{ "+v+" }}", data, Options{})
		require.ErrorIs(t, err, ErrData, v)
	}
}

func TestData(t *testing.T) {
	t.Parallel()
	e := &event.Event{
		ID: "evt_1", Type: "object.created",
		OccurredAt:  time.Date(2025, 1, 2, 3, 4, 5, 600e6, time.FixedZone("", 3600)),
		NamespaceID: "ns_1", Actor: "ann", Subject: event.Subject{Type: "object", ID: "o1"},
		Version:    "v1",
		CacheScope: event.KeyScope("k1"), Metadata: map[string]any{"n": json.Number("1")},
		Extra: map[string]json.RawMessage{"region": []byte(`{"zone": ["a"]}`)}, OrganizationID: secret,
	}
	d := Data(e)
	got, err := render(t,
		"{{ event_id }} {{ occurred_at }} {{ event.namespace_id }} [{{ namespace }}] {{ namespace|default(namespace_id) }} "+
			"{{ collection is defined }} {{ subject.id }} {{ cache_scope.keys()|list }} {{ cache_scope_to_invalidate['keys'][0] }} {{ region.zone[0] }} "+
			"{{ event.event is defined }} {{ metadata.n + 1 }} {{ namespace(a=1).a }}", d, Options{})
	require.NoError(t, err)
	assert.Equal(t,
		"evt_1 2025-01-02T02:04:05.6Z ns_1 [] ns_1 False o1 ['keys', 'scope'] k1 a False 2 1", got)

	all, err := render(t, "{{ event|tojson }}{{ metadata }}", d, Options{})
	require.NoError(t, err)
	assert.NotContains(t, all, secret)

	empty, err := render(t, "{{ event_id }}{{ subject.id }}{{ metadata.x }}{{ cache_scope }}",
		Data(&event.Event{}), Options{})
	require.NoError(t, err)
	assert.Empty(t, empty)
}

func TestPreview(t *testing.T) {
	t.Parallel()
	e := &event.Event{Type: "object.created"}
	for shape, source := range map[Shape]string{ShapeText: "{{ event_type }}",
		ShapeJSON: "[{{ event_type|tojson }}]", ShapeObject: `{"t": "{{ event_type }}"}`} {
		got, err := Preview(t.Context(), shape, source, Options{}, e)
		require.NoError(t, err)
		assert.Contains(t, got, "object.created")
		_, err = Preview(t.Context(), shape, `["{{"]`, Options{}, e)
		require.ErrorIs(t, err, ErrSyntax)
	}
	_, err := Preview(t.Context(), "yaml", "", Options{}, e)
	require.ErrorIs(t, err, ErrUnknown)
}

// TestConcurrentRenders compiles and renders from many goroutines; the race detector watches.
func TestConcurrentRenders(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	t.Parallel()
	data := Data(benchEvent())
	shared, err := Compile(benchJinja, Options{})
	require.NoError(t, err)
	object, err := CompileObject([]byte(benchObject), Options{})
	require.NoError(t, err)
	want, err := shared.Render(t.Context(), data)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				got, err := shared.Render(t.Context(), data)
				assert.NoError(t, err)
				assert.Equal(t, want, got)
				_, err = object.Render(t.Context(), data)
				assert.NoError(t, err)
				own, err := Compile(benchJinja, Options{})
				if assert.NoError(t, err) {
					got, err = own.Render(t.Context(), data)
					assert.NoError(t, err)
					assert.Equal(t, want, got)
				}
			}
		})
	}
	wg.Wait()
}

// TestPongo2IsLeftAlone: the tags, filters and escaping of other users of pongo2 stay as they are.
func TestPongo2IsLeftAlone(t *testing.T) {
	t.Parallel()
	_, err := Compile("{{ 1 }}", Options{})
	require.NoError(t, err)
	set := pongo2.NewSet("theirs", noTemplates{})
	tpl, err := set.FromString(
		`{% if x %}{{ x|upper }}{% endif %}{% for i in l %}{{ i }}{% endfor %}{% filter lower %}A{% endfilter %}`)
	require.NoError(t, err)
	got, err := tpl.Execute(pongo2.Context{"x": "<a", "l": []int{1, 2}})
	require.NoError(t, err)
	assert.Equal(t, "&lt;A12a", got)
}

func TestDeepTemplatesWithinTheLimitsRender(t *testing.T) {
	t.Parallel()
	const depth = 150
	blocks := strings.Repeat("{% if true %}", depth) + "x" + strings.Repeat("{% endif %}", depth)
	parentheses := "{{ " + strings.Repeat("(", depth) + "1" + strings.Repeat(")", depth) + " }}"
	sum := "{{ 0" + strings.Repeat(" + 1", depth) + " }}"
	got, err := render(t, blocks+parentheses+sum, nil, Options{})
	require.NoError(t, err)
	assert.Equal(t, "x1150", got)
}
