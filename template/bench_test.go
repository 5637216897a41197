package template

import (
	"encoding/json"
	"strings"
	"testing"
	texttemplate "text/template"
	"time"

	"github.com/flosch/pongo2/v6"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

// The same JSON of about 570 bytes, made in every way that the benchmarks compare.
const (
	benchJinja = `{"id": {{ event_id|tojson }}, "type": {{ event_type|tojson }}, "at": {{ occurred_at|tojson }}, ` +
		`"where": {{ (namespace ~ "/" ~ collection)|tojson }}, "subject": {"type": {{ subject.type|tojson }}, "id": {{ subject.id|tojson }}}, ` +
		`"title": {{ metadata.title|tojson }}, "note": {{ metadata.note|default("none")|tojson }}, "attempt": {{ metadata.attempt }}, ` +
		`"final": {{ "true" if metadata.attempt > 2 else "false" }}, "tags": {{ metadata.tags|tojson }}, "parts": [` +
		`{% for p in metadata.parts %}{"n": {{ loop.index }}, "name": {{ p.name|upper|tojson }}, "size": {{ p.size }}}{{ ", " if not loop.last }}{% endfor %}]}`

	benchPongo = `{% autoescape off %}{"id": "{{ event_id }}", "type": "{{ event_type }}", "at": "{{ occurred_at }}", ` +
		`"where": "{{ namespace }}/{{ collection }}", "subject": {"type": "{{ subject.type }}", "id": "{{ subject.id }}"}, ` +
		`"title": "{{ metadata.title|addslashes }}", "note": "{{ metadata.note|default:"none"|addslashes }}", "attempt": {{ metadata.attempt }}, ` +
		`"final": {% if metadata.attempt > 2 %}true{% else %}false{% endif %}, "tags": [{% for t in metadata.tags %}"{{ t }}"{% if not forloop.Last %}, {% endif %}{% endfor %}], "parts": [` +
		`{% for p in metadata.parts %}{"n": {{ forloop.Counter }}, "name": "{{ p.name|upper }}", "size": {{ p.size }}}{% if not forloop.Last %}, {% endif %}{% endfor %}]}{% endautoescape %}`

	benchText = `{"id": {{ printf "%q" .event_id }}, "type": {{ printf "%q" .event_type }}, "at": {{ printf "%q" .occurred_at }}, ` +
		`"where": "{{ .namespace }}/{{ .collection }}", "subject": {"type": {{ printf "%q" .subject.type }}, "id": {{ printf "%q" .subject.id }}}, ` +
		`"title": {{ printf "%q" .metadata.title }}, "note": {{ if .metadata.note }}{{ printf "%q" .metadata.note }}{{ else }}"none"{{ end }}, "attempt": {{ .metadata.attempt }}, ` +
		`"final": {{ if gt .metadata.attempt 2 }}true{{ else }}false{{ end }}, "tags": [{{ range $i, $t := .metadata.tags }}{{ if $i }}, {{ end }}{{ printf "%q" $t }}{{ end }}], "parts": [` +
		`{{ range $i, $p := .metadata.parts }}{{ if $i }}, {{ end }}{"n": {{ $i }}, "name": {{ printf "%q" (upper $p.name) }}, "size": {{ $p.size }}}{{ end }}]}`

	benchObject = `{"id": "{{ event_id }}", "type": "{{ event_type }}", "at": "{{ occurred_at }}", ` +
		`"where": "{{ namespace }}/{{ collection }}", "subject": "{{ subject }}", ` +
		`"title": "{{ metadata.title }}", "note": "{{ metadata.note|default('none') }}", "attempt": "{{ metadata.attempt }}", ` +
		`"final": "{{ metadata.attempt > 2 }}", "tags": "{{ metadata.tags }}", "parts": "{{ metadata.parts }}"}`
)

func benchEvent() *event.Event {
	part := func(name string, size int) any { return map[string]any{"name": name, "size": size} }
	return &event.Event{
		ID: "evt_01J9ZK3T8Q", Type: "object.created",
		OccurredAt: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC),
		Namespace:  "ns_prod", Collection: "clips", Subject: event.Subject{Type: "object", ID: "obj_42"},
		Metadata: map[string]any{
			"title": `A "brave" title`, "attempt": 2, "tags": []any{"video", "hd", "eu"},
			"note":  "The quick brown fox jumps over the lazy dog, twice, and then goes home to think about it; it was not seen again, and the dog, who does not care, sleeps on.",
			"parts": []any{part("intro", 12345), part("main part", 9876543), part("credits", 777)},
		},
	}
}

// TestRenderAllocations keeps an eye on what a render allocates. It must not run with other
// tests.
func TestRenderAllocations(t *testing.T) {
	data := Data(benchEvent())
	tpl, err := Compile(benchJinja, Options{})
	require.NoError(t, err)
	ctx := t.Context()
	const most = 60
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		if _, err := tpl.Render(ctx, data); err != nil {
			t.Fatal(err)
		}
	}), float64(most))
}

func BenchmarkRender(b *testing.B) {
	data := Data(benchEvent())
	b.Run("template", func(b *testing.B) {
		tpl, err := Compile(benchJinja, Options{})
		require.NoError(b, err)
		out, err := tpl.Render(b.Context(), data)
		require.NoError(b, err)
		require.True(b, json.Valid([]byte(out)))
		b.SetBytes(int64(len(out)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := tpl.Render(b.Context(), data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("template object", func(b *testing.B) {
		tpl, err := CompileObject([]byte(benchObject), Options{})
		require.NoError(b, err)
		out, err := tpl.Render(b.Context(), data)
		require.NoError(b, err)
		b.SetBytes(int64(len(out)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := tpl.Render(b.Context(), data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("pongo2", func(b *testing.B) {
		tpl, err := pongo2.NewSet("bench", noTemplates{}).FromString(benchPongo)
		require.NoError(b, err)
		out, err := tpl.Execute(data)
		require.NoError(b, err)
		require.True(b, json.Valid([]byte(out)), out)
		b.SetBytes(int64(len(out)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := tpl.Execute(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("text template", func(b *testing.B) {
		tpl, err := texttemplate.New(
			"").Funcs(texttemplate.FuncMap{"upper": strings.ToUpper}).Parse(benchText)
		require.NoError(b, err)
		var out strings.Builder
		require.NoError(b, tpl.Execute(&out, data))
		require.True(b, json.Valid([]byte(out.String())), out.String())
		b.SetBytes(int64(out.Len()))
		b.ReportAllocs()
		for b.Loop() {
			var out strings.Builder
			if err := tpl.Execute(&out, data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding json", func(b *testing.B) {
		out, err := json.Marshal(data["event"])
		require.NoError(b, err)
		b.SetBytes(int64(len(out)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(data["event"]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	b.Run("template", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Compile(benchJinja, Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("template object", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := CompileObject([]byte(benchObject), Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("pongo2", func(b *testing.B) {
		set := pongo2.NewSet("bench", noTemplates{})
		b.ReportAllocs()
		for b.Loop() {
			if _, err := set.FromString(benchPongo); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("text template", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := texttemplate.New("").Funcs(texttemplate.FuncMap{"upper": strings.ToUpper}).Parse(benchText); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkData(b *testing.B) {
	e := benchEvent()
	b.ReportAllocs()
	for b.Loop() {
		Data(e)
	}
}
