package api

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/jsontext"
	"github.com/mixpeek/webhooks-go/webhook"
)

// The type of a problem depends on its code only, and not on its text.
func TestTypeOfProblem(t *testing.T) {
	t.Parallel()
	found := &event.ValidationError{Problems: []event.Problem{
		{Field: "channels[0].configs.url", Code: event.CodeRequired, Rule: "must be there"},
		{Field: "name", Code: event.CodeInvalid, Rule: "is required"},
	}}
	assert.Equal(t, []ValidationProblem{
		{Location: []any{"body", "channels", 0, "configs", "url"}, Message: "must be there",
			Type: typeMissing},
		{Location: []any{"body", "name"}, Message: "is required", Type: typeValue},
	}, bodyProblems(found))
}

func TestErrorTypes(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for status := 400; status < 600; status++ {
		kind := errorType(status)
		if kind != "InternalServerError" {
			assert.Zero(t, seen[kind], kind)
		}
		seen[kind] = status
	}
	assert.Len(t, seen, 12)
}

// openDriver lists its field a as public.
type openDriver struct{ channel.Func }

func (openDriver) Schema() channel.Schema {
	return channel.Schema{Fields: []channel.Field{{Name: "a"}}}
}

func repeats(raw []byte) bool {
	p := &problems{}
	(&bodyScan{text: jsontext.NewReader(raw, jsontext.MaxDepth), found: p}).scan()
	return len(p.list) > 0
}

// FuzzMask masks the configs of channels of which all fields, only the headers, or no fields are
// secrets, and restores them. No secret is left in the masked configs, and the restored ones are
// the same byte by byte.
func FuzzMask(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a": "b"}`,
		` { "headers" : { "X-A" :"b", "X-B": "\u00e9\"" , "n":1e5} , "signing_secrets":["a",  "b"]} `,
		`{"a": [[], {}, [1, -2.50e+3, "x", null, true, {"b": ""}]], "": {"": "c"}}`,
		`{"headers": "********"}`,
		`{"url": "https://example.com/?a=b&c=<d>", "HEADERS": {"x": "y"}}`, `[]`, `{"a": "b", "a": "c"}`,
		`{`,
	} {
		f.Add([]byte(seed))
	}
	registry, err := standard.New(standard.Config{})
	require.NoError(f, err)
	require.NoError(f, registry.Register("open", openDriver{}))
	fields := configFields{registry}
	f.Fuzz(func(t *testing.T, configs []byte) {
		var members map[string]json.RawMessage
		if json.Unmarshal(configs, &members) != nil || members == nil || repeats(configs) {
			return
		}
		for _, name := range []string{"unheard of", "webhook", "open"} {
			stored := &webhook.Subscription{Channels: []webhook.ChannelConfig{{Channel: name,
				Configs: configs}}}
			secrets, err := fields.secretLeaves(stored.Channels[0])
			require.NoError(t, err)
			masked, err := fields.mask(stored, nil)
			require.NoError(t, err)
			require.True(t, json.Valid(masked.Channels[0].Configs))
			left, err := fields.secretLeaves(masked.Channels[0])
			require.NoError(t, err)
			require.Len(t, left, len(secrets))
			for i, leaf := range left {
				assert.Equal(t, secrets[i].path.parts(), leaf.path.parts())
				assert.True(t, bytes.Equal([]byte(maskJSON), masked.Channels[0].Configs[leaf.start:leaf.end]))
			}
			p := &problems{}
			fields.restore(p, masked, stored)
			require.NoError(t, p.err())
			assert.Equal(t, string(configs), string(masked.Channels[0].Configs))
		}
	})
}

// A channel may be stored with configs that are null, or have no members.
func TestSigningOfEmptyConfigs(t *testing.T) {
	t.Parallel()
	for _, configs := range []string{`null`, `{}`, `{"signing_secret": null}`} {
		s, err := readSigning([]byte(configs))
		require.NoError(t, err, configs)
		assert.Empty(t, s.secrets, configs)
		s.secrets = []string{"new"}
		written, err := s.write()
		require.NoError(t, err, configs)
		assert.JSONEq(t, `{"signing_secret": "new"}`, string(written), configs)
	}
}

// RFC 3339 allows "t" and "z" in lower case.
func TestTimesInLowerCase(t *testing.T) {
	t.Parallel()
	want := time.Date(2025, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, s := range []string{"2025-01-31T12:00:00Z", "2025-01-31t12:00:00z",
		"2025-01-31t13:00:00+01:00", "2025-01-31t12:00:00"} {
		got, err := parseTime(s)
		require.NoError(t, err, s)
		assert.Equal(t, want, got, s)
	}
}

// Routes returns the API's routes as "METHOD path", the path relative to the prefix.
func (a *API) Routes() []string {
	var list []string
	for _, r := range a.routes() {
		list = append(list, r.method+" "+r.path)
	}
	return list
}
