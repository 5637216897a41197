package event_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

func TestValidType(t *testing.T) {
	t.Parallel()
	long := "a." + strings.Repeat("b", event.MaxTypeLength-2)
	for _, s := range []string{
		"invoice.paid", "a.b", "a.b.c", "a.b.c.d", "order.line-item.added", "order_2.v1", "x1.y_2-z",
		long,
	} {
		assert.NoError(t, event.ValidType(s), s)
	}
	for _, s := range []string{
		"", ".", "ping", "a.", ".a", "a..b", "a.b.c.d.e", "Object.created", "object.Created",
		"objet.créé",
		"object created", "object.created ", "object.*", "*", "1.created", "object.1", "object._x",
		"a.-b", "a.b\n", "a/b.c", long + "b",
	} {
		assert.Error(t, event.ValidType(s), s)
	}
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	list := event.Mixpeek()
	seen := map[string]event.TypeInfo{}
	for _, info := range list {
		require.NotContains(t, seen, info.Type)
		seen[info.Type] = info
		require.NoError(t, event.ValidType(info.Type))
		assert.NotEmpty(t, info.Description, info.Type)
		assert.NotContains(t, info.Description, "\n", info.Type)
		prefix, _, _ := strings.Cut(info.Type, ".")
		assert.Equal(t, info.Category, strings.TrimSuffix(prefix, "s"), info.Type)

		found, ok := event.Lookup(info.Type)
		assert.True(t, ok)
		assert.Equal(t, info, found)

		scope := map[string]event.ScopeKind{
			"object": event.ScopeKey, "collection": event.ScopeCollection, "taxonomy": event.ScopeCollection,
			"cluster": event.ScopeCollection, "batch": event.ScopeNamespace,
		}[info.Category]
		assert.Equal(t, scope, info.DefaultScope, info.Type)
	}

	// The published types are implemented, the others are planned.
	data, err := os.ReadFile("testdata/published_types.txt")
	require.NoError(t, err)
	published := strings.Fields(string(data))
	for _, s := range published {
		assert.Equal(t, event.TypeImplemented, seen[s].Status, s)
		delete(seen, s)
	}
	planned := []string{}
	for s, info := range seen {
		assert.Equal(t, event.TypePlanned, info.Status, s)
		planned = append(planned, s)
	}
	assert.ElementsMatch(t, []string{event.ObjectRedacted, event.TaxonomyMappingUpdated}, planned)

	list[0].Type = "changed"
	assert.NotEqual(t, "changed", event.Mixpeek()[0].Type)
	_, ok := event.Lookup("invoice.paid")
	assert.False(t, ok)
}

func TestCatalogueValidate(t *testing.T) {
	t.Parallel()
	require.NoError(t, event.Mixpeek().Validate())
	require.NoError(t, event.Catalogue{}.Validate())
	own := event.Catalogue{
		{Type: "invoice.paid", Example: `{"subject": {"type": "invoice", "id": "inv_42"}}`},
		{Type: "Paid"}, {Type: ""}, {Type: "invoice.paid"},
		{Type: "invoice.sent", Example: `{"event_type": "invoice.sent"}`},
		{Type: "invoice.late", Example: `{"event_type": "invoice.paid"}`},
		{Type: "invoice.lost", Example: `{"subject": 5}`},
		{Type: "invoice.void", Example: `[]`},
	}
	var invalid *event.ValidationError
	require.ErrorAs(t, own.Validate(), &invalid)
	fields := []string{}
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
	}
	assert.Equal(t, []string{
		"[1].Type", "[2].Type", "[3].Type", "[5].Example", "[6].Example.subject", "[7].Example",
	}, fields)
}

// An event of a type that is not built in needs no namespace.
func TestNamespaceOfOwnTypes(t *testing.T) {
	t.Parallel()
	subject := event.Subject{Type: "invoice", ID: "inv_42"}
	require.NoError(t, event.New("invoice.paid", subject).Validate())
	require.ErrorContains(t, event.New(event.ObjectCreated, subject).Validate(),
		"namespace: is required")
}

func TestPatternMatch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern event.Pattern
		matches []string
		not     []string
	}{
		{"*", []string{"object.created", "a.b.c.d", "invoice.paid"}, nil},
		{"object.*", []string{"object.created", "object.metadata.updated", "object.a.b.c"},
			[]string{"object", "object.", "objects.created.batch", "my.object.created", "Object.created",
				""}},
		{"cluster.execution.*", []string{"cluster.execution.failed", "cluster.execution.step.failed"},
			[]string{"cluster.execution", "cluster.created", "cluster.executions.failed"}},
		{"object.created", []string{"object.created"},
			[]string{"object.created.batch", "object.create", "object.*", ""}},
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
	for _, p := range []event.Pattern{"*", "object.*", "a.b.*", "a.b.c.*", "object.created",
		"invoice.paid", "a.b.c.d"} {
		assert.NoError(t, p.Validate(), p)
	}
	for _, p := range []event.Pattern{
		"", ".", ".*", "**", "*.*", "*.created", "obj*", "object.cre*", "object.*.created", "object.**",
		"object",
		"Object.*", "object.created.", "a.b.c.d.*", "a.b.c.d.e", " *", "object. *",
	} {
		assert.Error(t, p.Validate(), p)
	}
}

// A valid pattern selects the types that its definition by segments says, an invalid one no valid
// type.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{"*", "object.*", "object.created", "obj*", "*.created", "", ".*",
		"a.b.*"} {
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
