package signature_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event/signature"
)

// vector is a request that another implementation signed.
type vector struct {
	Name      string `json:"name"`
	Scheme    string `json:"scheme"`
	Secret    string `json:"secret"`
	Public    string `json:"public"` // v1a only
	ID        string `json:"id"`
	Timestamp string `json:"timestamp"`
	Body      []byte `json:"body_b64"`
	Signature string `json:"signature"`
	Origin    string `json:"origin"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var list []vector
	require.NoError(t, json.Unmarshal(data, &list))
	require.Len(t, list, 15)
	return list
}

func (v vector) at(t testing.TB) time.Time {
	t.Helper()
	seconds, err := strconv.ParseInt(v.Timestamp, 10, 64)
	require.NoError(t, err)
	return time.Unix(seconds, 0)
}

func (v vector) header() http.Header {
	return http.Header{
		signature.HeaderID:        {v.ID},
		signature.HeaderTimestamp: {v.Timestamp},
		signature.HeaderSignature: {v.Signature},
	}
}

func TestVectorsSign(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			signer, err := signature.NewSigner(mustParse(t, v.Secret))
			require.NoError(t, err)
			h := http.Header{}
			// Twice, because the second time uses a pooled hash.
			for range 2 {
				require.NoError(t, signer.Sign(h, v.ID, v.at(t), v.Body))
				assert.Equal(t, v.header(), h)
			}
		})
	}
}

func TestVectorsVerify(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			keys := []string{v.Secret}
			if v.Public != "" {
				keys = append(keys, v.Public)
			}
			for _, text := range keys {
				verifier := newVerifier(t, mustParse(t, text))
				for range 2 {
					got, err := verifier.Verify(v.header(), v.at(t), v.Body)
					require.NoError(t, err)
					assert.Equal(t, signature.Verified{ID: v.ID, Timestamp: v.at(t).UTC()}, got)
				}
				// Changing any byte of the signed bytes or the signature is detected.
				_, err := verifier.Verify(v.header(), v.at(t), append([]byte{'x'}, v.Body...))
				require.ErrorIs(t, err, signature.ErrNoMatch)
				for _, name := range []string{signature.HeaderID, signature.HeaderTimestamp} {
					h := v.header()
					h.Set(name, h.Get(name)[:len(h.Get(name))-1]+"1")
					_, err = verifier.Verify(h, v.at(t), v.Body)
					require.ErrorIs(t, err, signature.ErrNoMatch, name)
				}
				for i := len(v.Scheme) + 1; i < len(v.Signature); i++ {
					h := v.header()
					changed := []byte(v.Signature)
					changed[i] ^= 1
					h.Set(signature.HeaderSignature, string(changed))
					_, err = verifier.Verify(h, v.at(t), v.Body)
					require.ErrorIs(t, err, signature.ErrNoMatch, "byte %d of the signature", i)
				}
			}
		})
	}
}

// The bytes of a key of one version must not make a valid signature of the other, whichever version
// the header states.
func TestVersionsDoNotMix(t *testing.T) {
	t.Parallel()
	list := vectors(t)
	now := list[0].at(t)
	for _, v := range list {
		other := "v1a"
		if v.Scheme == "v1a" {
			other = "v1"
		}
		h := v.header()
		h.Set(signature.HeaderSignature, other+","+v.Signature[len(v.Scheme)+1:])
		_, err := newVerifier(t, mustParse(t, v.Secret)).Verify(h, v.at(t), v.Body)
		require.ErrorIs(t, err, signature.ErrNoMatch, v.Name)
	}

	// An attacker knows the public key and may use it as an HMAC secret.
	pair := signature.NewKeyPair()
	public, ok := pair.Public()
	require.True(t, ok)
	publicBytes, err := base64.StdEncoding.DecodeString(public.Reveal()[len("whpk_"):])
	require.NoError(t, err)
	forged, err := signature.RawKey(publicBytes)
	require.NoError(t, err)
	h := sign(t, now, []byte("{}"), forged)
	_, err = newVerifier(t, public).Verify(h, now, []byte("{}"))
	require.ErrorIs(t, err, signature.ErrNoMatch)
}

func mustParse(t testing.TB, s string) signature.Key {
	t.Helper()
	key, err := signature.ParseKey(s)
	require.NoError(t, err)
	return key
}

func newVerifier(t testing.TB, keys ...signature.Key) *signature.Verifier {
	t.Helper()
	var cfg signature.Config
	for _, key := range keys {
		cfg.Keys = append(cfg.Keys, signature.VerifyKey{Key: key})
	}
	v, err := signature.NewVerifier(cfg)
	require.NoError(t, err)
	return v
}

// sign returns the headers of a request with the id evt_1.
func sign(t testing.TB, at time.Time, body []byte, keys ...signature.Key) http.Header {
	t.Helper()
	signer, err := signature.NewSigner(keys...)
	require.NoError(t, err)
	h := http.Header{}
	require.NoError(t, signer.Sign(h, "evt_1", at, body))
	return h
}
