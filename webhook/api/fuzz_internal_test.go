package api

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/webhook"
)

// openDriver has no secrets in its field a.
type openDriver struct{ channel.Func }

func (openDriver) Schema() channel.Schema {
	return channel.Schema{Fields: []channel.Field{{Name: "a"}}}
}

func repeats(raw []byte) bool {
	p := &problems{}
	(&bodyScan{cursor: cursor{raw: raw}, found: p}).scan()
	return len(p.list) > 0
}

// FuzzMask masks the configs of channels that everything, headers or nothing is
// secret of, and restores them: no secret is left, and not a byte is different
// in the end.
func FuzzMask(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a": "b"}`, ` { "headers" : { "X-A" :"b", "X-B": "\u00e9\"" , "n":1e5} , "signing_secrets":["a",  "b"]} `,
		`{"a": [[], {}, [1, -2.50e+3, "x", null, true, {"b": ""}]], "": {"": "c"}}`, `{"headers": "********"}`,
		`{"url": "https://example.com/?a=b&c=<d>", "HEADERS": {"x": "y"}}`, `[]`, `{"a": "b", "a": "c"}`, `{`,
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
			stored := &webhook.Subscription{Channels: []webhook.ChannelConfig{{Channel: name, Configs: configs}}}
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
