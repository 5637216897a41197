package template

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// addSources seeds a fuzz target with the conformance cases and the hostile templates.
func addSources(f *testing.F) {
	f.Helper()
	for _, c := range conformanceCases(f) {
		f.Add(c.Template)
	}
	for _, h := range hostileTemplates() {
		if len(h.source) < 1000 {
			f.Add(h.source)
		}
	}
	g := newTemplateGenerator(1)
	for range 200 {
		f.Add(g.template())
	}
}

// secret is a value of the data that no error may show.
const secret = "hush-7f3a9"

// fuzzLimits keep one run short.
func fuzzLimits() Limits { return Limits{Steps: 20_000, Output: 64 << 10, Memory: 1 << 20} }

func fuzzData() map[string]any {
	data := generatorData()
	data["secret"] = secret
	data["name"] = secret
	data["secrets"] = []any{secret, map[string]any{secret: secret}}
	data["event"] = map[string]any{"namespace": secret, secret: secret,
		"metadata": map[string]any{"tags": []any{secret}}}
	return data
}

func checkError(t *testing.T, source string, err error) {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	require.NotErrorIs(t, err, ErrInternal)
	if !strings.Contains(source, secret) {
		assert.NotContains(t, err.Error(), secret)
	}
	assert.Less(t, len(err.Error()), 1000)
}

func FuzzCompile(f *testing.F) {
	if testing.Short() {
		f.Skip("takes a part of a second of CPU time")
	}
	addSources(f)
	f.Fuzz(func(t *testing.T, source string) {
		if _, err := Compile(source, Options{}); err != nil {
			checkError(t, source, err)
			var e *Error
			require.ErrorAs(t, err, &e)
			assert.LessOrEqual(t, e.Line, strings.Count(source, "\n")+strings.Count(source, "\r")+1)
		}
	})
}

func FuzzRender(f *testing.F) {
	if testing.Short() {
		f.Skip("all cases of the conformance suite, in four formats")
	}
	addSources(f)
	f.Fuzz(func(t *testing.T, source string) {
		o := Options{Limits: fuzzLimits()}
		for _, o.Format = range []Format{FormatPlain, FormatHTML, FormatMarkdown, FormatMrkdwn} {
			tpl, err := Compile(source, o)
			if err != nil {
				return
			}
			out, err := tpl.Render(t.Context(), fuzzData())
			if err != nil {
				checkError(t, source, err)
				continue
			}
			assert.LessOrEqual(t, len(out), o.Limits.Output)
			if strings.Contains(source, "random") {
				continue
			}
			again, err := tpl.Render(t.Context(), fuzzData())
			require.NoError(t, err)
			assert.Equal(t, out, again)
		}
	})
}

// FuzzObject checks that what an object template renders is JSON of the template's shape, whatever
// the template and the data are.
func FuzzObject(f *testing.F) {
	if testing.Short() {
		f.Skip("takes a tenth of a second of CPU time")
	}
	for _, c := range conformanceCases(f) {
		f.Add(c.Template, "a \"quote\"\n")
	}
	f.Fuzz(func(t *testing.T, source, value string) {
		template, err := json.Marshal(map[string]any{"leaf": source, "list": []any{1, source + "x"},
			source: "{{ value }}"})
		require.NoError(t, err)
		o, err := CompileObject(template, Options{Limits: fuzzLimits()})
		if err != nil {
			checkError(t, source, err)
			return
		}
		data := fuzzData()
		data["value"] = value
		out, err := o.Render(t.Context(), data)
		if err != nil {
			checkError(t, source+value, err)
			return
		}
		var got map[string]any
		require.NoError(t, json.Unmarshal(out, &got), "%s", out)
		assert.Len(t, got["list"], 2)
		key := string([]rune(source)) // what is not UTF-8 becomes U+FFFD, byte by byte
		if key != "leaf" && key != "list" {
			assert.Equal(t, string([]rune(value)), got[key])
		}
	})
}

// FuzzJSON checks that a JSON template renders JSON or nothing.
func FuzzJSON(f *testing.F) {
	if testing.Short() {
		f.Skip("takes most of a tenth of a second of CPU time")
	}
	for _, c := range conformanceCases(f) {
		f.Add(c.Template)
	}
	f.Fuzz(func(t *testing.T, source string) {
		j, err := CompileJSON(source, Options{Limits: fuzzLimits()})
		if err != nil {
			return
		}
		out, err := j.Render(t.Context(), fuzzData())
		if err != nil {
			checkError(t, source, err)
			return
		}
		assert.True(t, json.Valid(out))
	})
}
