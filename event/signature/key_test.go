package signature_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event/signature"
)

func encoded(prefix string, n int) string {
	return prefix + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, n))
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	pair := signature.NewKeyPair().Reveal()
	public, _ := mustParse(t, pair).Public()
	otherPair := signature.NewKeyPair().Reveal()
	pairBytes, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(pair, "whsk_"))
	require.NoError(t, err)
	otherBytes, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(otherPair, "whsk_"))
	require.NoError(t, err)
	mixed := "whsk_" + base64.StdEncoding.EncodeToString(append(pairBytes[:32:32], otherBytes[32:]...))

	tests := map[string]struct {
		text string
		ok   bool
	}{
		"24 bytes":              {encoded("whsec_", 24), true},
		"32 bytes":              {encoded("whsec_", 32), true},
		"64 bytes":              {encoded("whsec_", 64), true},
		"pair":                  {pair, true},
		"public":                {public.Reveal(), true},
		"empty":                 {"", false},
		"prefix only":           {"whsec_", false},
		"23 bytes":              {encoded("whsec_", 23), false},
		"65 bytes":              {encoded("whsec_", 65), false},
		"no prefix":             {encoded("", 32), false},
		"other prefix":          {encoded("whxxx_", 32), false},
		"upper-case prefix":     {encoded("WHSEC_", 32), false},
		"seed without public":   {encoded("whsk_", 32), false},
		"public of another":     {mixed, false},
		"short public":          {encoded("whpk_", 31), false},
		"long public":           {encoded("whpk_", 64), false},
		"not base64":            {"whsec_" + strings.Repeat("!", 44), false},
		"without padding":       {strings.TrimRight(encoded("whsec_", 32), "="), false},
		"URL alphabet":          {"whsec_" + strings.Repeat("-_", 16), false},
		"stray bits":            {strings.TrimSuffix(encoded("whsec_", 32), "c=") + "d=", false},
		"line break inside":     {"whsec_" + strings.Repeat("Bwcx\n", 8), false},
		"line break at the end": {encoded("whsec_", 24) + "\n", false},
		"space before":          {" " + encoded("whsec_", 24), false},
		"twice the prefix":      {"whsec_" + encoded("whsec_", 24), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := signature.ParseKey(test.text)
			if test.ok {
				require.NoError(t, err)
				assert.Equal(t, test.text, key.Reveal())
				return
			}
			require.ErrorIs(t, err, signature.ErrInvalidKey)
			assert.True(t, key.IsZero())
			if secret := strings.TrimLeft(test.text, "whseckp_ "); secret != "" {
				assert.NotContains(t, err.Error(), secret)
			}
		})
	}
}

func TestRawKey(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 23, 1025} {
		_, err := signature.RawKey(make([]byte, n))
		require.ErrorIs(t, err, signature.ErrInvalidKey, "%d bytes", n)
	}
	_, err := signature.RawKey(nil)
	require.ErrorIs(t, err, signature.ErrInvalidKey)

	for _, n := range []int{24, 64, 65, 94, 1024} {
		secret := bytes.Repeat([]byte{'k'}, n)
		key, err := signature.RawKey(secret)
		require.NoError(t, err, "%d bytes", n)

		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte("evt_1.1700000000.{}"))
		want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		clear(secret) // the key has its own copy
		at := time.Unix(1700000000, 0)
		assert.Equal(t, want, sign(t, at, []byte("{}"), key).Get(signature.HeaderSignature), "%d bytes",
			n)

		again := mustParse(t, key.Reveal())
		assert.Equal(t, want, sign(t, at, []byte("{}"), again).Get(signature.HeaderSignature), "%d bytes",
			n)
	}
}

func TestNewKeysDiffer(t *testing.T) {
	t.Parallel()
	assert.NotEqual(t, signature.NewKey().Reveal(), signature.NewKey().Reveal())
	assert.NotEqual(t, signature.NewKeyPair().Reveal(), signature.NewKeyPair().Reveal())
	_ = mustParse(t, signature.NewKey().Reveal())
	_ = mustParse(t, signature.NewKeyPair().Reveal())
}

func TestPublic(t *testing.T) {
	t.Parallel()
	pair := signature.NewKeyPair()
	public, ok := pair.Public()
	require.True(t, ok)
	same, ok := public.Public()
	require.True(t, ok)
	assert.Equal(t, public.Reveal(), same.Reveal())

	_, ok = signature.NewKey().Public()
	assert.False(t, ok, "a secret has no public key")
	_, ok = signature.Key{}.Public()
	assert.False(t, ok)
}

// No way to log a value prints a key, neither by itself nor inside another value.
func TestKeyIsNeverPrinted(t *testing.T) {
	t.Parallel()
	const (
		secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		pair   = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
	)
	for _, text := range []string{secret, pair} {
		key := mustParse(t, text)
		prefix, encoded, _ := strings.Cut(text, "_")
		raw, err := base64.StdEncoding.DecodeString(encoded)
		require.NoError(t, err)
		signer, err := signature.NewSigner(key)
		require.NoError(t, err)
		type config struct {
			Public  signature.Key
			private signature.Key
			list    []signature.Key
		}
		values := map[string]any{
			"key": key, "pointer": &key, "slice": []signature.Key{key},
			"map":    map[string]signature.Key{"k": key},
			"struct": config{key, key, []signature.Key{key}}, "pointer to struct": &config{key, key, nil},
			"signer": signer, "verifier": newVerifier(t, key), "config": signature.VerifyKey{Key: key},
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
			assert.NotContains(t, printed, encoded, name)
			assert.NotContains(t, printed, string(raw), name)
			assert.NotContains(t, strings.ToLower(printed), hex.EncodeToString(raw), name)
			assert.NotContains(t, printed, fmt.Sprintf("%d %d %d", raw[0], raw[1], raw[2]), name)
			assert.NotContains(t, strings.ToLower(printed),
				fmt.Sprintf("0x%x, 0x%x, 0x%x", raw[0], raw[1], raw[2]), name)
		}
		assert.Equal(t, prefix+"_[redacted]", key.String())
		assert.Equal(t, key.String(), key.GoString())
	}
	assert.True(t, signature.Key{}.IsZero())
	assert.False(t, signature.NewKey().IsZero())
	assert.Equal(t, "[no key]", signature.Key{}.String())
	assert.Empty(t, signature.Key{}.Reveal())
}

func FuzzParseKey(f *testing.F) {
	f.Add("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	f.Add("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==")
	f.Add("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=")
	f.Add("whsec_")
	f.Add("whsec_Bwc\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH")
	at := time.Unix(1700000000, 0)
	f.Fuzz(func(t *testing.T, s string) {
		key, err := signature.ParseKey(s)
		if err != nil {
			require.ErrorIs(t, err, signature.ErrInvalidKey)
			return
		}
		require.Equal(t, s, key.Reveal(), "a key has one textual form")
		// A key verifies its own signatures. A key that cannot sign does not panic.
		signer, err := signature.NewSigner(key)
		if err != nil {
			require.True(t, strings.HasPrefix(s, "whpk_"))
			h := sign(t, at, nil, signature.NewKeyPair())
			_, err := newVerifier(t, key).Verify(h, at, nil)
			require.ErrorIs(t, err, signature.ErrNoMatch)
			return
		}
		h := map[string][]string{}
		require.NoError(t, signer.Sign(h, "evt_1", at, []byte(s)))
		_, err = newVerifier(t, key).Verify(h, at, []byte(s))
		require.NoError(t, err)
	})
}
