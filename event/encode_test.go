package event_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

// Metadata may hold any value that encoding/json can encode, and decodes to the same as from
// encoding/json.
func TestMetadataValues(t *testing.T) {
	t.Parallel()
	type point struct {
		X int `json:"x"`
		Y int `json:"y,omitempty"`
	}
	n := 7
	for name, v := range map[string]any{
		"nil": nil, "true": true, "false": false, "string": "a\"b\\c\n\x01é😀<&>", "empty": "",
		"bad UTF-8": "a\xffb", "int": -5, "int8": int8(-8), "int64": int64(math.MinInt64),
		"uint64": uint64(math.MaxUint64),
		"float":  19.9, "integral float": 3.0, "small float": 1e-7, "large float": 1e21,
		"largest float":  math.MaxFloat64,
		"smallest float": math.SmallestNonzeroFloat64, "negative zero": math.Copysign(0, -1),
		"float32": float32(0.1),
		"number":  json.Number("1.50"), "raw": json.RawMessage(` { "a" : [ 1 ] } `),
		"bytes":   []byte("abc"),
		"strings": []string{"a", "\n"}, "no strings": []string{}, "nil strings": []string(nil),
		"list": []any{1, "a", nil, []any{}}, "nil list": []any(nil), "ints": []int{1, 2},
		"map": map[string]any{"b": 1, "a": map[string]any{}}, "nil map": map[string]any(nil),
		"map of strings": map[string]string{"b": "1", "a": "2"},
		"map of ints":    map[int]string{2: "b", 1: "a"},
		"struct":         point{1, 0}, "pointer": &point{1, 2}, "nil pointer": (*point)(nil),
		"pointer to int": &n,
		"time":           time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), "duration": time.Second,
		"HTML in a struct": struct{ S string }{"<&>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := json.Marshal(map[string]any{"metadata": map[string]any{"v": v}})
			require.NoError(t, err)
			e := &event.Event{Metadata: map[string]any{"v": v}}
			got, err := e.MarshalJSON()
			require.NoError(t, err)
			assert.JSONEq(t, string(want), string(got))
			viaMarshal, err := json.Marshal(e)
			require.NoError(t, err)
			assert.JSONEq(t, string(want), string(viaMarshal))

			decoded, err := event.Decode(got)
			require.NoError(t, err)
			again, err := decoded.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, string(got), string(again))
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	cycle := map[string]any{}
	cycle["self"] = cycle
	listCycle := make([]any, 1)
	listCycle[0] = listCycle
	deep := json.RawMessage(`[`)
	for range event.MaxDepth {
		deep = append(deep, '[')
	}
	for range event.MaxDepth {
		deep = append(deep, ']')
	}
	deep = append(deep, ']')
	raw := func(name, value string) map[string]json.RawMessage {
		return map[string]json.RawMessage{name: json.RawMessage(value)}
	}
	tests := map[string]struct {
		event  event.Event
		fields []string
	}{
		"NaN": {event.Event{Metadata: map[string]any{"a": map[string]any{"n": math.NaN()}}},
			[]string{"metadata.a.n"}},
		"infinity": {event.Event{Metadata: map[string]any{"a": []any{1, math.Inf(-1)}}},
			[]string{"metadata.a[1]"}},
		"channel": {event.Event{Metadata: map[string]any{"c": make(chan int)}},
			[]string{"metadata.c"}},
		"bad number": {event.Event{Metadata: map[string]any{"n": json.Number("1 ,2")}},
			[]string{"metadata.n"}},
		"empty number": {event.Event{Metadata: map[string]any{"n": json.Number("")}},
			[]string{"metadata.n"}},
		"odd name": {event.Event{Metadata: map[string]any{"a.b": math.NaN()}},
			[]string{`metadata["a.b"]`}},
		"bad raw": {event.Event{Metadata: map[string]any{"r": json.RawMessage("{]")}},
			[]string{"metadata.r"}},
		"deep raw":    {event.Event{Metadata: map[string]any{"r": deep}}, []string{"metadata.r"}},
		"bad extra":   {event.Event{Extra: raw("x", "1,2")}, []string{"x"}},
		"empty extra": {event.Event{Extra: raw("x", "")}, []string{"x"}},
		"extra NUL":   {event.Event{Extra: raw("x", "1\x00")}, []string{"x"}},
		"extra bytes": {event.Event{Extra: raw("x", "\"\xff\"")}, []string{"x"}},
		"deep extra":  {event.Event{Extra: map[string]json.RawMessage{"x": deep}}, []string{"x"}},
		"subject extra": {event.Event{Subject: event.Subject{Extra: raw("x", "?")}},
			[]string{"subject.x"}},
		"scope extra": {event.Event{CacheScope: &event.CacheScope{Extra: raw("x", "?")}},
			[]string{"cache_scope_to_invalidate.x"}},
		"duplicate in raw": {event.Event{Metadata: map[string]any{
			"payload": json.RawMessage(`{"a":1,"a":2}`)}}, []string{"metadata.payload.a"}},
		"duplicate in a value that encodes itself": {event.Event{Metadata: map[string]any{
			"l": []any{1, map[string]json.Marshaler{"v": json.RawMessage(`[{"a":1,"a":2}]`)}}}},
			[]string{"metadata.l[1].v[0].a"}},
		"halves of surrogate pairs in raw": {event.Event{Metadata: map[string]any{
			"payload": json.RawMessage(`{"\ud800":1,"\ud801":2}`)}},
			[]string{`metadata.payload["�"]`}},
		"names that are equal as UTF-8": {event.Event{Metadata: map[string]any{
			"m": map[string]int{"\xff": 1, "\xfe": 2}}}, []string{`metadata.m["�"]`}},
		"names that are not UTF-8": {event.Event{
			Metadata: map[string]any{"\xff": 1, "a": map[string]any{"\xff": 1}},
			Subject:  event.Subject{Extra: raw("\xff", "1")},
			Extra:    raw("a\xff", "1"), CacheScope: &event.CacheScope{Extra: raw("\xff", "1")},
		}, []string{`subject["\xff"]`, `cache_scope_to_invalidate["\xff"]`, `metadata.a["\xff"]`,
			`["a\xff"]`}},
		"other scope of another type": {event.Event{Extra: raw("cache_scope", "5")},
			[]string{"cache_scope"}},
		"other scope with a field twice": {event.Event{
			Extra: raw("cache_scope", `{"scope":"key","scope":"key"}`)}, []string{"cache_scope.scope"}},
		"other scope that is not JSON": {event.Event{NamespaceID: "ns_1",
			Extra: raw("cache_scope_to_invalidate", "{")}, []string{"cache_scope_to_invalidate"}},
		"year": {event.Event{OccurredAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
			[]string{"occurred_at"}},
		"all at once": {event.Event{
			OccurredAt: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), NamespaceID: "ns_1",
			CacheScope: &event.CacheScope{Extra: raw("x", "")}, Metadata: map[string]any{"n": math.NaN()},
			Extra: raw("y", ""),
		}, []string{"occurred_at", "cache_scope.x", "metadata.n", "y"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := test.event.MarshalJSON()
			assert.Nil(t, b)
			assert.Equal(t, test.fields, fieldsOf(t, err))

			prefix := []byte("prefix")
			b, err = test.event.AppendJSON(prefix)
			require.Error(t, err)
			assert.Equal(t, "prefix", string(b))
		})
	}
	for name, v := range map[string]any{"map": cycle, "list": listCycle} {
		t.Run("cycle of a "+name, func(t *testing.T) {
			t.Parallel()
			e := event.Event{Metadata: map[string]any{"c": v}}
			_, err := e.MarshalJSON()
			require.ErrorContains(t, err, "is nested too deep")
		})
	}
}

// Extra can neither make a name occur twice nor replace a known field.
func TestExtraCannotShadowFields(t *testing.T) {
	t.Parallel()
	e := &event.Event{
		ID: "evt_1", Namespace: "acme",
		Subject: event.Subject{ID: "obj_1",
			Extra: map[string]json.RawMessage{"id": json.RawMessage(`"other"`),
				"type": json.RawMessage(`"x"`)}},
		CacheScope: &event.CacheScope{Kind: "KEY",
			Extra: map[string]json.RawMessage{"scope": json.RawMessage(`"namespace"`)}},
		Extra: map[string]json.RawMessage{"event_id": json.RawMessage(`"evt_2"`),
			"actor": json.RawMessage(`"x"`), "ok": json.RawMessage("1")},
	}
	b, err := e.MarshalJSON()
	require.NoError(t, err)
	const want = `{"event_id":"evt_1","namespace":"acme","subject":{"id":"obj_1"},"cache_scope_to_invalidate":{"scope":"key"},"ok":1}`
	assert.Equal(t, want, string(b)) //nolint:testifylint // JSONEq would hide a name that occurs twice
	assert.Subset(t, fieldsOf(t, e.Validate()),
		[]string{"event_id", "actor", "subject.id", "subject.type", "cache_scope_to_invalidate.scope"})
}

// Decode does not look into the values of unknown fields, nor does MarshalJSON.
func TestExtraMayHaveDuplicates(t *testing.T) {
	t.Parallel()
	const data = `{"subject":{"x":[{"a":1,"a":2}]},"cache_scope_to_invalidate":{"x":{"a":1,"a":2}},"x":{"a":1,"a":2}}`
	e, err := event.Decode([]byte(data))
	require.NoError(t, err)
	encoded, err := e.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, data, string(encoded)) //nolint:testifylint // JSONEq would hide what occurs twice
}

func TestOrganizationIsNotOnTheWire(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(&event.Event{ID: "evt_1", OrganizationID: "org_1", TTL: time.Hour})
	require.NoError(t, err)
	assert.JSONEq(t, `{"event_id":"evt_1"}`, string(b))
}

func TestMarshalJSONReturnsItsOwnBytes(t *testing.T) {
	t.Parallel()
	e := &event.Event{ID: "evt_1"}
	first, err := e.MarshalJSON()
	require.NoError(t, err)
	second, err := (&event.Event{ID: "evt_2"}).MarshalJSON()
	require.NoError(t, err)
	assert.JSONEq(t, `{"event_id":"evt_1"}`, string(first))
	assert.JSONEq(t, `{"event_id":"evt_2"}`, string(second))
}

func fieldsOf(t *testing.T, err error) []string {
	t.Helper()
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	var fields []string
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
		assert.NotEmpty(t, p.Rule)
	}
	return fields
}
