package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/seal"
)

func encoded(n int) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, n)) }

func TestParseKey(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text   string
		fields []string // that are wrong
	}{
		"usual":               {"2026-11:" + encoded(32), nil},
		"longest id":          {strings.Repeat("i", 64) + ":" + encoded(32), nil},
		"every character":     {"aZ09._-:" + encoded(32), nil},
		"empty":               {"", []string{"key"}},
		"no colon":            {encoded(32), []string{"key"}},
		"no id":               {":" + encoded(32), []string{"id"}},
		"long id":             {strings.Repeat("i", 65) + ":" + encoded(32), []string{"id"}},
		"space in id":         {"a b:" + encoded(32), []string{"id"}},
		"line break after id": {"a\n:" + encoded(32), []string{"id"}},
		"id of other letters": {"schlüssel:" + encoded(32), []string{"id"}},
		"no secret":           {"a:", []string{"secret"}},
		"31 bytes":            {"a:" + encoded(31), []string{"secret"}},
		"33 bytes":            {"a:" + encoded(33), []string{"secret"}},
		"not base64":          {"a:" + strings.Repeat("!", 44), []string{"secret"}},
		"without padding":     {"a:" + strings.TrimRight(encoded(32), "="), []string{"secret"}},
		"URL alphabet":        {"a:" + strings.Repeat("-_", 21) + "8=", []string{"secret"}},
		"stray bits":          {"a:" + strings.TrimSuffix(encoded(32), "c=") + "d=", []string{"secret"}},
		"line break at end":   {"a:" + encoded(32) + "\n", []string{"secret"}},
		"second colon":        {"a:b:" + encoded(32), []string{"secret"}},
		"both wrong":          {"a b:" + encoded(31), []string{"id", "secret"}},
		"both wrong, no base": {"a b:?", []string{"id", "secret"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := seal.ParseKey(test.text)
			if test.fields == nil {
				require.NoError(t, err)
				assert.Equal(t, test.text, key.Reveal())
				assert.Equal(t, test.text, key.ID()+":"+encoded(32))
				return
			}
			var invalid *event.ValidationError
			require.ErrorAs(t, err, &invalid)
			var fields []string
			for _, p := range invalid.Problems {
				fields = append(fields, p.Field)
			}
			assert.Equal(t, test.fields, fields)
			assert.True(t, key.IsZero())
			if _, secret, ok := strings.Cut(test.text, ":"); ok && len(secret) > 1 {
				assert.NotContains(t, err.Error(), secret)
			}
		})
	}
}

func TestRawKeyCopies(t *testing.T) {
	t.Parallel()
	secret := bytes.Repeat([]byte{7}, 32)
	key, err := seal.RawKey("a", secret)
	require.NoError(t, err)
	clear(secret)
	require.Equal(t, "a:"+encoded(32), key.Reveal())
}

func TestNewKey(t *testing.T) {
	t.Parallel()
	a, err := seal.NewKey("a")
	require.NoError(t, err)
	b, err := seal.NewKey("a")
	require.NoError(t, err)
	require.NotEqual(t, a.Reveal(), b.Reveal())
	again, err := seal.ParseKey(a.Reveal())
	require.NoError(t, err)
	require.Equal(t, a.Reveal(), again.Reveal())
	_, err = seal.NewKey("")
	require.ErrorContains(t, err, "id: must have 1 to 64")
}

// A key must not be printed by any of the ways in which values get into logs,
// neither by itself nor inside something else.
func TestKeyIsNeverPrinted(t *testing.T) {
	t.Parallel()
	key, err := seal.NewKey("2026-11")
	require.NoError(t, err)
	_, text, _ := strings.Cut(key.Reveal(), ":")
	raw, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	sealer, err := seal.New(key)
	require.NoError(t, err)
	type config struct {
		Public  seal.Key
		private seal.Key
		list    []seal.Key
		sealer  *seal.Sealer
	}
	values := map[string]any{
		"key": key, "pointer": &key, "slice": []seal.Key{key}, "map": map[string]seal.Key{"k": key},
		"struct":            config{key, key, []seal.Key{key}, sealer},
		"pointer to struct": &config{key, key, nil, nil},
		"sealer":            sealer, "sealer's value": *sealer,
	}
	for name, value := range values {
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
			_, _ = fmt.Fprintf(&out, verb+"\n", value)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "value", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "value", value)
		asJSON, err := json.Marshal(value)
		require.NoError(t, err)
		out.Write(asJSON)

		printed := out.String()
		assert.NotContains(t, printed, text, name)
		assert.NotContains(t, printed, string(raw), name)
		assert.NotContains(t, strings.ToLower(printed), hex.EncodeToString(raw), name)
		assert.NotContains(t, printed, fmt.Sprintf("%d %d %d", raw[0], raw[1], raw[2]), name)
		assert.NotContains(t, strings.ToLower(printed),
			fmt.Sprintf("0x%x, 0x%x, 0x%x", raw[0], raw[1], raw[2]), name)
	}
	assert.Equal(t, "2026-11:[redacted]", key.String())
	assert.Equal(t, key.String(), key.GoString())
	assert.Equal(t, "[no key]", seal.Key{}.String())
	assert.Empty(t, seal.Key{}.Reveal())
	assert.Empty(t, seal.Key{}.ID())
}
