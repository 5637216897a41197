package configs

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/jsontext"
	"github.com/mixpeek/webhooks-go/webhook"
)

// openDriver lists its field a as public.
type openDriver struct{ channel.Func }

func (openDriver) Schema() channel.Schema {
	return channel.Schema{Fields: []channel.Field{{Name: "a"}}}
}

// repeats reports whether an object has a member twice, which no body may have.
func repeats(raw []byte) (twice bool) {
	var walk func(text *jsontext.Reader) error
	walk = func(text *jsontext.Reader) error {
		if b := text.Next(); b != '{' && b != '[' {
			return text.Skip()
		}
		seen := map[any]bool{}
		return Children(text, func(_ int, part any) error {
			twice = twice || seen[part]
			seen[part] = true
			return walk(text)
		})
	}
	return walk(jsontext.NewReader(raw, jsontext.MaxDepth)) != nil || twice
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
	registry := channel.NewRegistry()
	require.NoError(f, registry.Register(httpendpoint.Name,
		httpendpoint.NewDriver(nil, httpendpoint.Options{})))
	require.NoError(f, registry.Register("open", openDriver{}))
	fields := Of(registry)
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
			fields.Restore(masked, stored, func(path []any, rule string) {
				t.Errorf("%v %s", path, rule)
			})
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

// A-labels of a megabyte took more than a minute.
func TestLongHosts(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"BÜCHER.example": "xn--bcher-kva.example",
		// The longest, with the dot of the root.
		"ü." + strings.Repeat("a.", 125) + "a": "xn--tda." + strings.Repeat("a.", 125) + "a",
		// One byte more cannot be looked up, and stays as it is.
		"ü." + strings.Repeat("a.", 125) + "Aa": "ü." + strings.Repeat("a.", 125) + "aa",
	} {
		origin, ok := originOf("https://" + host + "/hook")
		require.True(t, ok)
		assert.Equal(t, "https://"+want+":443", origin)
	}
}

// Names that ask for secrets find them where dots may be a part of a name or come between two.
func TestNamesOfSecrets(t *testing.T) {
	t.Parallel()
	sub := &webhook.Subscription{Channels: []webhook.ChannelConfig{{Channel: "any", Configs: []byte(`"one"`)},
		{Channel: "any", Configs: []byte(`{"a":{"b":"1","b.c":"2","":"3"},"a.b":"4","l":["5",["6"],{"0":"7"}],"":"8"}`)}}}
	fields := Of(channel.NewRegistry())
	for name, want := range map[string]string{
		"a.b": `"1"`, "a.b.c": `"2"`, "a.": `"3"`, "l.0": `"5"`, "l.1.0": `"6"`, "l.2.0": `"7"`, "": `"8"`,
		"a": "", "l": "", "l.00": "", "a.b.": "", ".a.b": "", "b": "", "l.1": "", "x": "",
	} {
		masked, err := fields.mask(sub, []string{"channels.1.configs." + name})
		if want == "" {
			require.ErrorIs(t, err, ErrNoSecret, name)
			continue
		}
		require.NoError(t, err, name)
		assert.Contains(t, string(masked.Channels[1].Configs), want, name)
		left := 7
		if name == "a.b" { // which two have
			left = 6
		}
		assert.Equal(t, left, strings.Count(string(masked.Channels[1].Configs), Mask), name)
	}
	for _, name := range []string{"channels.0.configs", "channels.0.configs.", "channels.2.configs.a",
		"channels.1.configs", "channels.1.configsa.b", ""} {
		_, err := fields.mask(sub, []string{name})
		require.ErrorIs(t, err, ErrNoSecret, name)
	}
	masked, err := fields.mask(sub, []string{"channels.1.configs.a.b", "channels.1.configs.l.0",
		"channels.1.configs.a.b"})
	require.NoError(t, err)
	assert.Equal(t, 5, strings.Count(string(masked.Channels[1].Configs), Mask))
}

// A hundred names that ask for secrets deep inside took a processor for minutes. Not parallel, because
// it counts what is allocated: each step did.
func TestNamesOfDeepSecretsCostWhatTheConfigsWeigh(t *testing.T) {
	fields := Of(channel.NewRegistry())
	allocs := func(depth int) float64 {
		sub := &webhook.Subscription{Channels: []webhook.ChannelConfig{{Channel: "any", Configs: []byte(
			strings.Repeat(`{"bb":1,"aa":`, depth) + "1" + strings.Repeat("}", depth))}}}
		var names []string
		for i := range 100 {
			names = append(names, "channels.0.configs."+strings.Repeat("aa.", depth-1-i)+"bb")
		}
		return testing.AllocsPerRun(1, func() {
			masked, err := fields.mask(sub, names)
			require.NoError(t, err)
			require.Equal(t, depth+1-len(names), strings.Count(string(masked.Channels[0].Configs), Mask))
		})
	}
	assert.Less(t, allocs(800), 16*allocs(100), "eight times as deep")
}

func TestMasksDeepInside(t *testing.T) {
	t.Parallel()
	const depth, masks = 1_000, 2 * event.MaxProblems
	list := strings.TrimSuffix(strings.Repeat(maskJSON+",", masks), ",")
	sub := &webhook.Subscription{Channels: []webhook.ChannelConfig{{Channel: "open", Configs: []byte(
		`{"b":` + strings.Repeat("[", depth) + list + strings.Repeat("]", depth) + `}`)}}}
	registry := channel.NewRegistry()
	require.NoError(t, registry.Register("open", openDriver{}))
	reports, parts := 0, 0
	Of(registry).Restore(sub, nil, func(path []any, _ string) {
		reports++
		parts += len(path)
		require.Equal(t, []any{"channels", 0, "configs", "b"}, path[:4])
	})
	assert.Equal(t, masks, reports, "each is counted")
	assert.LessOrEqual(t, parts, event.MaxProblems*(depth+4)+masks*4,
		"and their paths together are not as long as masks times depth")
}
