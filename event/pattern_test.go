package event_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

func TestPatternMatch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern event.Pattern
		matches []string
		not     []string
	}{
		{"*", []string{"object.created", "a.b.c.d", "invoice.paid"}, nil},
		{"object.*", []string{"object.created", "object.metadata.updated", "object.a.b.c"},
			[]string{"object", "object.", "objects.created.batch", "my.object.created", "Object.created", ""}},
		{"cluster.execution.*", []string{"cluster.execution.failed", "cluster.execution.step.failed"},
			[]string{"cluster.execution", "cluster.created", "cluster.executions.failed"}},
		{"object.created", []string{"object.created"}, []string{"object.created.batch", "object.create", "object.*", ""}},
		// Invalid patterns select nothing.
		{"", nil, []string{"object.created"}},
		{"obj*", nil, []string{"object.created", "obj"}},
		{"*.created", nil, []string{"object.created"}},
		{"**", nil, []string{"object.created"}},
		{".*", nil, []string{"object.created"}},
	}
	for _, test := range tests {
		for _, s := range test.matches {
			assert.True(t, test.pattern.Match(s), "%q should match %q", test.pattern, s)
		}
		for _, s := range test.not {
			assert.False(t, test.pattern.Match(s), "%q should not match %q", test.pattern, s)
		}
	}
}

func TestPatternValidate(t *testing.T) {
	t.Parallel()
	for _, p := range []event.Pattern{"*", "object.*", "a.b.*", "a.b.c.*", "object.created", "invoice.paid", "a.b.c.d"} {
		assert.NoError(t, p.Validate(), p)
	}
	for _, p := range []event.Pattern{
		"", ".", ".*", "**", "*.*", "*.created", "obj*", "object.cre*", "object.*.created", "object.**", "object",
		"Object.*", "object.created.", "a.b.c.d.*", "a.b.c.d.e", " *", "object. *",
	} {
		assert.Error(t, p.Validate(), p)
	}
}

// A valid pattern selects the types that its definition by segments says, an invalid one no valid
// type.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{"*", "object.*", "object.created", "obj*", "*.created", "", ".*", "a.b.*"} {
		f.Add(p, "object.created")
		f.Add(p, "a.b.c")
	}
	f.Fuzz(func(t *testing.T, pattern, eventType string) {
		p := event.Pattern(pattern)
		got := p.Match(eventType)
		if event.ValidType(eventType) != nil {
			return
		}
		if p.Validate() != nil {
			require.False(t, got)
			return
		}
		want := true
		segments := strings.Split(eventType, ".")
		for i, segment := range strings.Split(pattern, ".") {
			if segment == "*" {
				want = want && i < len(segments)
				segments = nil
				break
			}
			want = want && i < len(segments) && segments[i] == segment
		}
		if segments != nil {
			want = want && len(segments) == strings.Count(pattern, ".")+1
		}
		require.Equal(t, want, got)
	})
}
