package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTemplateCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source, args string
		code         int
		says         string
	}{
		{"{{ event_type }}", "", exitOK, "ok: a valid template of shape text\n"},
		{`{"a": "{{ event_type }}"}`, "", exitOK, "shape object\n"},
		{`[{"a": "{{ event_type }}"}]`, "--shape json", exitOK, "shape json\n"},
		{"{{ evnt_type }}", "", exitOK, `warning: 1:4: events have no "evnt_type": did you mean "event_type"?`},
		{`{"a": "{{ evnt_id }}"}`, "", exitOK, `warning: /a: 1:4: `},
		{"{{ event_type", "", exitNo, "error: "},
		{`{"a": "{% if %}", "b": "{{ x|frobnicate }}"}`, "", exitNo, "frobnicate"},
		{`{{ subject.id|b64encode }}`, "", exitNo, "b64encode"},
		{`{{ subject.id|b64encode }}`, "--ready", exitOK, "ok"},
		{"x", "--shape yaml", exitUsage, ""},
		{"x", "--format pdf", exitUsage, ""},
	} {
		got := runs(t, nil, c.source, append([]string{"template", "check"}, strings.Fields(c.args)...)...)
		assert.Equal(t, c.code, got.code, c.source)
		assert.Contains(t, got.stdout, c.says)
	}
	got := runs(t, nil, `{"a": "{% if %}", "b": "{{ x|frobnicate }}"}`, "template", "check", "--json")
	assert.Equal(t, exitNo, got.code)
	lines := strings.Split(got.stdout, "\n")
	assert.Equal(t, "/a", decode[templateProblem](t, lines[0]).Leaf)
	assert.Equal(t, "error", decode[templateProblem](t, lines[1]).Severity)
}

func TestTemplateRender(t *testing.T) {
	t.Parallel()
	event := file(t, `{"event_id": "evt_1", "event_type": "invoice.paid", "subject": {"id": "<inv>"}}`)
	for _, c := range []struct {
		source, args string
		code         int
		want         string
	}{
		{"{{ event_type }}", "--event-type invoice.paid", exitOK, "invoice.paid\n"},
		{"{{ subject.id }}\n", "--event " + event, exitOK, "<inv>\n"},
		{"{{ subject.id }}", "--format html --event " + event, exitOK, "&lt;inv&gt;\n"},
		{`{"id": "{{ subject.id }}"}`, "--event " + event, exitOK, `{"id":"<inv>"}` + "\n"},
		{"{{ subject.id }}", "--json --event " + event, exitOK, `{"rendered":"\u003cinv\u003e"}` + "\n"},
		{"{{ 1/0 }}", "", exitNo, ""},
		{"x", "--event-type X", exitUsage, ""},
		{"x", "--event /does/not/exist", exitUsage, ""},
	} {
		got := runs(t, nil, c.source, append([]string{"template", "render"}, strings.Fields(c.args)...)...)
		assert.Equal(t, c.code, got.code, "%s: %s", c.source, got.stderr)
		if c.code == exitOK {
			assert.Equal(t, c.want, got.stdout)
		}
	}
	got := runs(t, nil, event, "template", "render", "--event", "-", "-")
	assert.Equal(t, exitUsage, got.code)
}
