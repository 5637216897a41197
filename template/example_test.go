package template_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
)

func exampleEvent() *event.Event {
	return &event.Event{
		ID: "evt_abc123", Type: "object.created",
		OccurredAt: time.Date(2025, 10, 8, 16, 9, 0, 0, time.UTC),
		Namespace:  "acme", Collection: "articles", Subject: event.Subject{Type: "object", ID: "obj_1"},
		Metadata: map[string]any{"title": `A "quoted" title`, "parts": 3, "tags": []any{"new", "video"}},
	}
}

func ExampleCompile() {
	t, err := template.Compile(`{{ event_type }} in {{ namespace }}/{{ collection }}
{%- for tag in metadata.tags %} #{{ tag }}{% endfor %}{% if metadata.owner is defined %} by {{ metadata.owner }}{% endif %}`, template.Options{})
	if err != nil {
		panic(err)
	}
	text, err := t.Render(context.Background(), template.Data(exampleEvent()))
	fmt.Println(text, err)
	// Output: object.created in acme/articles #new #video <nil>
}

func ExampleCompileObject() {
	o, err := template.CompileObject([]byte(`{
		"kind": "{{ event_type }}",
		"title": "New: {{ metadata.title }}",
		"parts": "{{ metadata.parts }}",
		"tags": "{{ metadata.tags|map('upper') }}",
		"owner": "{{ metadata.owner }}",
		"version": 2
	}`), template.Options{})
	if err != nil {
		panic(err)
	}
	b, err := o.Render(context.Background(), template.Data(exampleEvent()))
	fmt.Println(string(b), err)
	// Output: {"kind":"object.created","title":"New: A \"quoted\" title","parts":3,"tags":["NEW","VIDEO"],"owner":null,"version":2} <nil>
}

func ExampleCompileJSON() {
	j, err := template.CompileJSON(
		`[{"type": "section", "text": {"type": "mrkdwn", "text": {{ ("*" ~ metadata.title ~ "*")|tojson }}}}]`, template.Options{})
	if err != nil {
		panic(err)
	}
	b, err := j.Render(context.Background(), template.Data(exampleEvent()))
	fmt.Println(string(b), err)
	// Output: [{"type": "section", "text": {"type": "mrkdwn", "text": "*A \"quoted\" title*"}}] <nil>
}

func ExamplePreview() {
	text, err := template.Preview(context.Background(), template.ShapeText,
		"<b>{{ metadata.title }}</b>", template.Options{Format: template.FormatHTML}, exampleEvent())
	fmt.Println(text, err)
	// Output: <b>A &#34;quoted&#34; title</b> <nil>
}

func ExampleError() {
	_, err := template.Compile(
		"{{ event_type }}\n{% for tag in metadata.tags %}{{ tag|uper }}{% endfor %}", template.Options{})
	fmt.Println(err)
	var e *template.Error
	if errors.As(err, &e) && errors.Is(err, template.ErrUnknown) {
		fmt.Println("line", e.Line, "column", e.Column)
	}
	// Output:
	// template: line 2, column 38: unknown name: no filter named "uper"
	// line 2 column 38
}
