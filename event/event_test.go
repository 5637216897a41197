package event_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

func TestNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
		require.NoError(t, event.ValidID(e.ID))
		assert.Equal(t, &event.Event{
			ID: e.ID, Type: "object.created", OccurredAt: time.Now().UTC(), Actor: "system",
			Subject: event.Subject{Type: "object", ID: "obj_1"}, Version: "v1",
		}, e)
		require.EqualError(t, e.Validate(), "invalid: namespace: is required, or namespace_id")
		e.Namespace = "acme"
		require.NoError(t, e.Validate())

		// Encoding and decoding keep the exact time.
		encoded, err := e.MarshalJSON()
		require.NoError(t, err)
		decoded, err := event.Decode(encoded)
		require.NoError(t, err)
		assert.True(t, e.OccurredAt.Equal(decoded.OccurredAt))
	})
}

func TestNewID(t *testing.T) {
	t.Parallel()
	before := ""
	for range 1000 {
		id := event.NewID()
		require.Regexp(t, `^evt_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$`, id)
		require.NoError(t, event.ValidID(id))
		require.Greater(t, id, before, "ids sort by time")
		before = id
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	longest := "evt_" + strings.Repeat("x", event.MaxIDLength-len("evt_"))
	for _, id := range []string{"evt_abc123", "evt_123", "evt_A-b_C", "evt__", longest} {
		assert.NoError(t, event.ValidID(id), id)
	}
	for _, id := range []string{"", "evt", "evt_", "abc", "EVT_abc", "msg_abc", "evt_a.b", "evt_a b",
		"evt_a:b", "evt_é", "evt_a\n", " evt_a", longest + "x"} {
		assert.Error(t, event.ValidID(id), id)
	}
}

// The rules of the envelope that the golden files do not cover.
func TestValidate(t *testing.T) {
	t.Parallel()
	valid := func() *event.Event {
		e := event.New("invoice.paid", event.Subject{Type: "invoice", ID: "inv_1"})
		e.Namespace = "acme"
		return e
	}
	require.NoError(t, valid().Validate())
	longName := strings.Repeat("n", 256)
	for name, test := range map[string]struct {
		change func(*event.Event)
		fields []string
	}{
		"both namespaces": {func(e *event.Event) { e.NamespaceID = "ns_1" }, nil},
		"namespace_id only": {func(e *event.Event) {
			*e = event.Event{ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, NamespaceID: "ns_1",
				Subject: e.Subject}
		}, nil},
		"namespace_id only, version": {func(e *event.Event) {
			e.Namespace, e.NamespaceID, e.Version = "",
				"ns_1", "v9"
		}, []string{"version"}},
		"no version": {func(e *event.Event) { e.Version = "" }, []string{"version"}},
		"no actor":   {func(e *event.Event) { e.Actor = "" }, []string{"actor"}},
		"no subject": {func(e *event.Event) { e.Subject = event.Subject{} },
			[]string{"subject.type", "subject.id"}},
		"type": {func(e *event.Event) { e.Type = "Paid" }, []string{"event_type"}},
		"id":   {func(e *event.Event) { e.ID = "evt_a.b" }, []string{"event_id"}},
		"year": {func(e *event.Event) {
			e.OccurredAt = e.OccurredAt.AddDate(10000,
				0, 0)
		}, []string{"occurred_at"}},
		"time in another zone": {func(
			e *event.Event) {
			e.OccurredAt = e.OccurredAt.In(time.FixedZone("", 3600))
		}, nil},
		"long names": {func(e *event.Event) {
			e.Namespace, e.Collection,
				e.Actor = longName, longName, longName
		}, []string{"namespace", "collection", "actor"}},
		"control characters": {func(e *event.Event) {
			e.Subject.Type, e.Subject.ID = "a\n",
				"b\u0085"
		}, []string{"subject.type", "subject.id"}},
		"not UTF-8": {func(e *event.Event) { e.NamespaceID = "\xff" },
			[]string{"namespace_id"}},
		"long index signature": {func(e *event.Event) {
			e.IndexSignature = strings.Repeat("s",
				1025)
		}, []string{"index_signature"}},
		"scope": {func(e *event.Event) { e.CacheScope = event.KeyScope() },
			[]string{"cache_scope_to_invalidate.keys"}},
		"namespace_id only, scope": {func(e *event.Event) {
			e.Namespace, e.NamespaceID,
				e.CacheScope = "", "ns_1", event.KeyScope()
		}, []string{"cache_scope.keys"}},
		"metadata is free": {func(e *event.Event) { e.Metadata = map[string]any{"": "\n"} },
			nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := valid()
			test.change(e)
			err := e.Validate()
			if test.fields == nil {
				require.NoError(t, err)
				return
			}
			assert.Equal(t, test.fields, fieldsOf(t, err))
		})
	}
}
