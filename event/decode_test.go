package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

// Each input fails with an error that names the field and the rule.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	const (
		syntax    = "is not valid JSON"
		truncated = "ends too early"
		str       = "must be a string"
		object    = "must be an object"
		twice     = "occurs twice"
		timeRule  = `must be an RFC 3339 time with a zone, such as "2025-10-08T16:09:00Z"`
	)
	tests := map[string]struct{ input, field, rule string }{
		"nothing":                  {"", "", object},
		"white space":              {" \n", "", object},
		"null":                     {"null", "", object},
		"array":                    {"[]", "", object},
		"string":                   {`"evt_1"`, "", object},
		"byte order mark":          {"\ufeff{}", "", object},
		"bad UTF-8":                {"{\"actor\":\"\xff\"}", "", "must be valid UTF-8"},
		"bad UTF-8 in a surrogate": {"{\"actor\":\"\xed\xa0\x80\"}", "", "must be valid UTF-8"},
		"trailing object":          {"{}{}", "", "must be a single JSON object, with nothing after it"},
		"trailing NUL":             {"{}\x00", "", "must be a single JSON object, with nothing after it"},
		"trailing comma":           {`{"actor":"a",}`, "", syntax},
		"open object":              {`{"actor":"a"`, "", truncated},
		"open string":              {`{"actor":"a`, "actor", truncated},
		"open escape":              {`{"actor":"a\`, "actor", truncated},
		"open name":                {`{"act`, "", truncated},
		"no colon":                 {`{"actor" "a"}`, "", syntax},
		"no quotes":                {`{actor:"a"}`, "", syntax},
		"single quotes":            {`{'actor':"a"}`, "", syntax},
		"comment":                  {`{/**/}`, "", syntax},
		"bad escape":               {`{"actor":"\x"}`, "actor", syntax},
		"bad hex":                  {`{"actor":"\u12g4"}`, "actor", syntax},
		"control character":        {"{\"actor\":\"a\nb\"}", "actor", syntax},
		"control after escape":     {"{\"actor\":\"\\n\n\"}", "actor", syntax},
		"bad literal":              {`{"metadata":{"a":nul}}`, "metadata.a", syntax},
		"NaN":                      {`{"metadata":{"a":NaN}}`, "metadata.a", syntax},
		"leading zero":             {`{"metadata":{"a":01}}`, "metadata.a", syntax},
		"plus":                     {`{"metadata":{"a":+1}}`, "metadata.a", syntax},
		"no fraction":              {`{"metadata":{"a":1.}}`, "metadata.a", syntax},
		"no exponent":              {`{"metadata":{"a":1e}}`, "metadata.a", syntax},
		"minus":                    {`{"other":-}`, "other", syntax},
		"array without comma":      {`{"metadata":{"a":[1 2]}}`, "metadata.a", syntax},
		"missing value":            {`{"metadata":{"a":}}`, "metadata.a", syntax},
		"element of an array":      {`{"metadata":{"a":[1,{"b":tru}]}}`, "metadata.a[1].b", syntax},

		"id":              {`{"event_id":1}`, "event_id", str},
		"type":            {`{"event_type":["object.created"]}`, "event_type", str},
		"namespace":       {`{"namespace":true}`, "namespace", str},
		"namespace_id":    {`{"namespace_id":{}}`, "namespace_id", str},
		"collection":      {`{"collection":1.5}`, "collection", str},
		"actor":           {`{"actor":false}`, "actor", str},
		"version":         {`{"version":1}`, "version", str},
		"index_signature": {`{"index_signature":[]}`, "index_signature", str},
		"subject":         {`{"subject":"obj_1"}`, "subject", object},
		"subject.type":    {`{"subject":{"type":1}}`, "subject.type", str},
		"subject.id":      {`{"subject":{"type":"object","id":42}}`, "subject.id", str},
		"metadata":        {`{"metadata":[]}`, "metadata", object},
		"scope":           {`{"cache_scope":"collection"}`, "cache_scope", object},
		"scope kind":      {`{"cache_scope":{"scope":1}}`, "cache_scope.scope", str},
		"scope keys": {`{"cache_scope_to_invalidate":{"keys":"k"}}`,
			"cache_scope_to_invalidate.keys", "must be an array"},
		"scope key": {`{"cache_scope_to_invalidate":{"keys":["k",null]}}`,
			"cache_scope_to_invalidate.keys[1]", str},
		"open scope key": {`{"cache_scope":{"keys":["a`, "cache_scope.keys[0]", truncated},
		"scope id":       {`{"cache_scope":{"collection_id":1}}`, "cache_scope.collection_id", str},

		"time as a number":     {`{"occurred_at":1759939740}`, "occurred_at", timeRule},
		"time without zone":    {`{"occurred_at":"2025-10-08T16:09:00"}`, "occurred_at", timeRule},
		"time with a space":    {`{"occurred_at":"2025-10-08 16:09:00Z"}`, "occurred_at", timeRule},
		"date":                 {`{"occurred_at":"2025-10-08"}`, "occurred_at", timeRule},
		"open time":            {`{"occurred_at":"2025`, "occurred_at", truncated},
		"empty time":           {`{"occurred_at":""}`, "occurred_at", timeRule},
		"second 60 in a day":   {`{"occurred_at":"2025-10-08T16:09:60Z"}`, "occurred_at", timeRule},
		"second 60 in a month": {`{"occurred_at":"2016-12-30T23:59:60Z"}`, "occurred_at", timeRule},
		"second 61":            {`{"occurred_at":"2016-12-31T23:59:61Z"}`, "occurred_at", timeRule},
		"second 60 of 9999": {`{"occurred_at":"9999-12-31T23:59:60Z"}`, "occurred_at",
			"must be in the years 0 to 9999 in UTC"},
		"impossible date": {`{"occurred_at":"2025-02-30T00:00:00Z"}`, "occurred_at", timeRule},
		"year 10000 in UTC": {`{"occurred_at":"9999-12-31T23:59:59-01:00"}`, "occurred_at",
			"must be in the years 0 to 9999 in UTC"},

		"field twice":            {`{"event_id":"evt_1","event_id":"evt_2"}`, "event_id", twice},
		"field twice, once null": {`{"event_id":null,"event_id":"evt_2"}`, "event_id", twice},
		"field twice, as escape": {`{"event_id":"evt_1","\u0065vent_id":"evt_2"}`, "event_id", twice},
		"unknown twice":          {`{"x":1,"x":1}`, "x", twice},
		"subject field twice":    {`{"subject":{"id":"a","id":"b"}}`, "subject.id", twice},
		"subject unknown twice":  {`{"subject":{"x":1,"x":2}}`, "subject.x", twice},
		"scope twice":            {`{"cache_scope":{},"cache_scope":{}}`, "cache_scope", twice},
		"scope field twice": {`{"cache_scope":{"scope":"key","scope":"key"}}`, "cache_scope.scope",
			twice},
		"metadata field twice": {`{"metadata":{"a":1,"a":2}}`, "metadata.a", twice},
		"deep in metadata, twice": {`{"metadata":{"a":[{"b":{"c":1,"c":1}}]}}`, "metadata.a[0].b.c",
			twice},

		"odd name": {`{"metadata":{"a b\n":{"x":nope}}}`, `metadata["a b\n"].x`, syntax},
		"long name": {`{"metadata":{"` + strings.Repeat("n", 100) + `":nope}}`,
			`metadata["` + strings.Repeat("n", 64) + `…"]`, syntax},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := event.Decode([]byte(test.input))
			assert.Nil(t, e)
			var decode *event.DecodeError
			require.ErrorAs(t, err, &decode)
			assert.Equal(t, test.field, decode.Field)
			assert.Equal(t, test.rule, decode.Rule)
			assert.LessOrEqual(t, decode.Offset, len(test.input))
			assert.Contains(t, err.Error(), test.field)
			assert.Contains(t, err.Error(), test.rule)
		})
	}
}

func TestDecodeErrorOffset(t *testing.T) {
	t.Parallel()
	_, err := event.Decode([]byte(`{"subject": {"id": 42}}`))
	require.EqualError(t, err, "event: decode: subject.id: must be a string (byte 19)")
	_, err = event.Decode([]byte(`[]`))
	require.EqualError(t, err, "event: decode: must be an object (byte 0)")
}

// The depth is limited in known and in unknown fields.
func TestDecodeDepth(t *testing.T) {
	t.Parallel()
	nested := func(name string, depth int) []byte {
		// The envelope is one level, and the field's value has the other depth-1.
		return []byte(`{"` + name + `":` + strings.Repeat(`{"a":`, depth-2) + "[]" + strings.Repeat("}",
			depth-2) + "}")
	}
	for _, name := range []string{"metadata", "unknown"} {
		e, err := event.Decode(nested(name, event.MaxDepth))
		require.NoError(t, err, name)
		encoded, err := e.MarshalJSON()
		require.NoError(t, err, "what decodes, encodes")
		assert.Equal(t, string(nested(name, event.MaxDepth)), string(encoded))

		var decode *event.DecodeError
		_, err = event.Decode(nested(name, event.MaxDepth+1))
		require.ErrorAs(t, err, &decode)
		assert.Equal(t, "is nested too deep", decode.Rule)
		_, err = event.Decode(nested(name, 1_000_000))
		require.ErrorAs(t, err, &decode)
	}
}

func TestDecodeTime(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		"2025-10-08T16:09:00Z":               "2025-10-08T16:09:00Z",
		"2025-10-08T16:09:00.120Z":           "2025-10-08T16:09:00.12Z",
		"2025-10-08T16:09:00.123456+00:00":   "2025-10-08T16:09:00.123456Z",
		"2025-10-08T18:39:00+02:30":          "2025-10-08T16:09:00Z",
		"2025-10-08T16:09:00-00:00":          "2025-10-08T16:09:00Z",
		"2025-10-08T16:09:00.1234567899999Z": "2025-10-08T16:09:00.123456789Z",
		"2025-10-08t16:09:00z":               "2025-10-08T16:09:00Z",
		"2025-10-08t18:39:00.5+02:30":        "2025-10-08T16:09:00.5Z",
		"2016-12-31T23:59:60Z":               "2017-01-01T00:00:00Z",
		"2016-12-31T23:59:60.25z":            "2017-01-01T00:00:00.25Z",
		"2017-01-01T00:59:60+01:00":          "2017-01-01T00:00:00Z",
		"1990-06-30T15:59:60-08:00":          "1990-07-01T00:00:00Z",
		"0000-01-01T00:00:00Z":               "0000-01-01T00:00:00Z",
		"9999-12-31T23:59:59.999999999Z":     "9999-12-31T23:59:59.999999999Z",
	} {
		e, err := event.Decode([]byte(`{"occurred_at":"` + input + `"}`))
		require.NoError(t, err, input)
		assert.Equal(t, time.UTC, e.OccurredAt.Location())
		encoded, err := e.MarshalJSON()
		require.NoError(t, err)
		assert.Equal(t, `{"occurred_at":"`+want+`"}`, string(encoded))
	}
}

// The event must not share memory with the input, because callers reuse their buffers.
func TestDecodeCopies(t *testing.T) {
	t.Parallel()
	data := []byte(`{"event_id":"evt_1","subject":{"x":[1]},"metadata":{"a":"b","n":1.0},"cache_scope":{"keys":["k"],"y":2},"cache_scope_to_invalidate":{"keys":["l"]},"z":{"q":"r"}}`)
	e, err := event.Decode(data)
	require.NoError(t, err)
	before, err := e.MarshalJSON()
	require.NoError(t, err)
	for i := range data {
		data[i] = 'X'
	}
	after, err := e.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))
}

func TestUnmarshalJSON(t *testing.T) {
	t.Parallel()
	t.Run("replaces the event", func(t *testing.T) {
		t.Parallel()
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
		e.Extra = map[string]json.RawMessage{"x": json.RawMessage("1")}
		require.NoError(t, json.Unmarshal([]byte(`{"event_id":"evt_2"}`), e))
		assert.Equal(t, &event.Event{ID: "evt_2"}, e)
	})
	t.Run("leaves it alone after an error", func(t *testing.T) {
		t.Parallel()
		e := &event.Event{ID: "evt_1"}
		require.Error(t, json.Unmarshal([]byte(`{"event_id":"evt_2","actor":1}`), e))
		assert.Equal(t, &event.Event{ID: "evt_1"}, e)
	})
	t.Run("null", func(t *testing.T) {
		t.Parallel()
		e := &event.Event{ID: "evt_1"}
		require.NoError(t, json.Unmarshal([]byte("null"), e))
		assert.Equal(t, &event.Event{ID: "evt_1"}, e)
	})
	t.Run("inside another value", func(t *testing.T) {
		t.Parallel()
		var list []*event.Event
		require.NoError(t, json.Unmarshal([]byte(`[ {"event_id":"evt_1"}, null ]`), &list))
		assert.Equal(t, []*event.Event{{ID: "evt_1"}, nil}, list)
	})
}

// Numbers are never turned into floats.
func TestNumbersAreExact(t *testing.T) {
	t.Parallel()
	for _, n := range []string{
		"0", "-0", "0.10", "1e400", "1E-400", "12345678901234567890123", "9007199254740993",
		"0.1000000000000000055511151231257827", strings.Repeat("9", 5000),
	} {
		e, err := event.Decode([]byte(`{"metadata":{"n":` + n + `}}`))
		require.NoError(t, err)
		assert.Equal(t, json.Number(n), e.Metadata["n"])
		encoded, err := e.MarshalJSON()
		require.NoError(t, err)
		assert.Equal(t, `{"metadata":{"n":`+n+`}}`, string(encoded))
	}
}

// Two cache scopes are equal only if all their fields are.
func TestDecodeBothScopes(t *testing.T) {
	t.Parallel()
	const scope = `{"scope":"key","keys":["k"],"collection_id":"c","namespace_id":"n","namespace":"m","x":1}`
	for _, test := range []struct {
		other string
		same  bool
	}{
		{`{"x":1,"namespace":"m","namespace_id":"n","collection_id":"c","keys":["k"],"scope":"KEY"}`,
			true},
		{`null`, true},
		{`{"scope":"key","keys":["l"],"collection_id":"c","namespace_id":"n","namespace":"m","x":1}`,
			false},
		{`{"scope":"key","keys":["k"],"collection_id":"d","namespace_id":"n","namespace":"m","x":1}`,
			false},
		{`{"scope":"key","keys":["k"],"collection_id":"c","namespace_id":"o","namespace":"m","x":1}`,
			false},
		{`{"scope":"key","keys":["k"],"collection_id":"c","namespace_id":"n","namespace":"p","x":1}`,
			false},
		{`{"scope":"key","keys":["k"],"collection_id":"c","namespace_id":"n","namespace":"m","x":2}`,
			false},
		{`{"scope":"key","keys":["k"],"collection_id":"c","namespace_id":"n","namespace":"m"}`, false},
		{`{}`, false},
	} {
		e, err := event.Decode([]byte(
			`{"cache_scope":` + test.other + `,"cache_scope_to_invalidate":` + scope + `}`))
		require.NoError(t, err)
		assert.Equal(t, []string{"k"}, e.CacheScope.Keys)
		if test.same {
			assert.Empty(t, e.Extra, test.other)
			continue
		}
		assert.JSONEq(t, test.other, string(e.Extra["cache_scope"]))
		assert.Contains(t, fieldsOf(t, e.Validate()), "cache_scope")
	}

	e, err := event.Decode([]byte(
		`{"cache_scope":{"scope":"key","keys":null},"metadata":{"s":"\uD83D\uDE00\u00E9"}}`))
	require.NoError(t, err)
	assert.Equal(t, &event.CacheScope{Kind: "key"}, e.CacheScope,
		"one alone counts, whatever its name")
	assert.Equal(t, "😀é", e.Metadata["s"])
}

func TestDecodeErrorIsAValidationError(t *testing.T) {
	t.Parallel()
	_, err := event.Decode([]byte(`{"subject":{"id":7}}`))
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid.Problems, 1)
	assert.Equal(t, "subject.id", invalid.Problems[0].Field)
}
