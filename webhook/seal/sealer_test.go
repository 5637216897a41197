package seal_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/seal"
)

// keyOf makes a key whose secret is the byte, over and over.
func keyOf(t testing.TB, id string, b byte) seal.Key {
	t.Helper()
	key, err := seal.RawKey(id, bytes.Repeat([]byte{b}, seal.KeySize))
	require.NoError(t, err)
	return key
}

func newSealer(t testing.TB, keys ...seal.Key) *seal.Sealer {
	t.Helper()
	s, err := seal.New(keys...)
	require.NoError(t, err)
	return s
}

const (
	vectorNonce = "\x01ABCDEFGHIJKLMNOPQRSTUVWX" // after the byte for the format
	vector      = vectorNonce + "\xce\x54\x6e\xf6\x3c\x9c\xc6\x07\x65\x92\x36\x09\xb3\x3a" +
		"\x9a\x19\x74\xe9\x6e\x52\xda\xf2\xfc\xf7\x07\x5e\x22\x71"
)

// The vectors of https://c2sp.org/XAES-256-GCM, one for each branch of the
// derivation of the subkey.
func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range []struct {
		secret                 byte
		additionalData, sealed string
	}{
		{1, "", vector},
		{3, "c2sp.org/XAES-256-GCM",
			vectorNonce + "\x98\x6e\xc1\x83\x25\x93\xdf\x54\x43\xa1\x79\x43\x7f\xd0" +
				"\x83\xbf\x3f\xdb\x41\xab\xd7\x40\xa2\x1f\x71\xeb\x76\x9d"},
	} {
		s := newSealer(t, keyOf(t, "k", v.secret))
		plaintext, err := s.Open(t.Context(), "k", []byte(v.sealed), []byte(v.additionalData))
		require.NoError(t, err)
		require.Equal(t, "XAES-256-GCM", string(plaintext))
	}
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	s := newSealer(t, keyOf(t, "k", 1))
	for _, size := range []int{0, 1, 15, 16, 17, 1 << 20} {
		plaintext, additionalData := bytes.Repeat([]byte{0xa5}, size), []byte("of subscription 1")
		sealed, err := s.Seal(t.Context(), plaintext, additionalData)
		require.NoError(t, err)
		require.Len(t, sealed, size+41, "as the package's comment says")
		opened, err := s.Open(t.Context(), s.KeyID(), sealed, additionalData)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plaintext, opened))

		again, err := s.Seal(t.Context(), plaintext, additionalData)
		require.NoError(t, err)
		require.NotEqual(t, sealed[1:13], again[1:13], "each half of the nonce is random")
		require.NotEqual(t, sealed[13:25], again[13:25], "each half of the nonce is random")
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	const plaintext = `{"token":"geheim"}`
	additionalData := []byte("of subscription 1")
	s := newSealer(t, keyOf(t, "k", 1), keyOf(t, "other", 2))
	sealed, err := s.Seal(t.Context(), []byte(plaintext), additionalData)
	require.NoError(t, err)

	refused := func(
		s *seal.Sealer, keyID string, sealed, additionalData []byte, want error, why string, args ...any,
	) {
		t.Helper()
		opened, err := s.Open(t.Context(), keyID, sealed, additionalData)
		require.ErrorIs(t, err, want, why, args)
		require.Nil(t, opened, why, args)
	}
	refused(s, "other", sealed, additionalData, seal.ErrOpen, "another key")
	refused(s, "third", sealed, additionalData, seal.ErrUnknownKey, "no such key")
	refused(s, "", sealed, additionalData, seal.ErrUnknownKey, "no key named")
	refused(newSealer(t, keyOf(t, "k", 9)), "k", sealed, additionalData, seal.ErrOpen,
		"another secret under the id")
	refused(s, "k", sealed, []byte("of subscription 2"), seal.ErrOpen, "other additional data")
	refused(s, "k", sealed, nil, seal.ErrOpen, "no additional data")
	for n := range sealed {
		refused(s, "k", sealed[:n], additionalData, seal.ErrOpen, "the first %d bytes", n)
	}
	refused(s, "k", append(bytes.Clone(sealed), 0), additionalData, seal.ErrOpen, "a byte more")
	for bit := range 8 * len(sealed) {
		flipped := bytes.Clone(sealed)
		flipped[bit/8] ^= 1 << (bit % 8)
		refused(s, "k", flipped, additionalData, seal.ErrOpen, "bit %d flipped", bit)
	}
	_, err = s.Open(t.Context(), "k", []byte("\x02ABCDEFGHIJKLMNOPQRSTUVWXYZ"), nil)
	require.ErrorContains(t, err, "format 2 is not known")
}

func TestRotation(t *testing.T) {
	t.Parallel()
	before, after := keyOf(t, "2025", 1), keyOf(t, "2026", 2)
	sealed, err := newSealer(t, before).Seal(t.Context(), []byte("x"), nil)
	require.NoError(t, err)

	both := newSealer(t, after, before)
	require.Equal(t, "2026", both.KeyID(), "the first key seals")
	opened, err := both.Open(t.Context(), "2025", sealed, nil)
	require.NoError(t, err, "every key opens")
	resealed, err := both.Seal(t.Context(), opened, nil)
	require.NoError(t, err)
	opened, err = newSealer(t, after).Open(t.Context(), "2026", resealed, nil)
	require.NoError(t, err, "what the first key sealed needs no other")
	require.Equal(t, "x", string(opened))
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	a, b := keyOf(t, "a", 1), keyOf(t, "b", 2)
	for name, tt := range map[string]struct {
		keys []seal.Key
		want []string
	}{
		"no key": {nil, []string{"keys: needs at least one key"}},
		"zero": {[]seal.Key{a, {}, b, {}},
			[]string{"keys[1]: must not be the zero Key", "keys[3]: must not be the zero Key"}},
		"same id": {[]seal.Key{{}, a, b, keyOf(t, "a", 3)},
			[]string{"keys[0]: must not be the zero Key", `keys[3]: must not have the id of keys[1], "a"`}},
		"same key": {[]seal.Key{a, a},
			[]string{`keys[1]: must not have the id of keys[0], "a"`}},
		"same secret": {[]seal.Key{a, b, keyOf(t, "c", 2)},
			[]string{"keys[2]: must not have the secret of keys[1] under another id"}},
		"keys like no other": {[]seal.Key{a, b}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := seal.New(tt.keys...)
			if tt.want == nil {
				require.NoError(t, err)
				return
			}
			require.Nil(t, s)
			var invalid *event.ValidationError
			require.ErrorAs(t, err, &invalid)
			var got []string
			for _, p := range invalid.Problems {
				got = append(got, fmt.Sprint(p.Field, ": ", p.Rule))
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func FuzzOpen(f *testing.F) {
	s := newSealer(f, keyOf(f, "a", 1), keyOf(f, "b", 2))
	f.Add("a", []byte(vector), []byte(nil))
	f.Add("a", []byte(vector), []byte("data"))
	f.Add("b", []byte(vector), []byte(nil))
	f.Add("a", []byte(vectorNonce), []byte(nil))
	f.Add("", []byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, keyID string, sealed, additionalData []byte) {
		opened, err := s.Open(t.Context(), keyID, sealed, additionalData)
		switch {
		case keyID != "a" && keyID != "b":
			require.ErrorIs(t, err, seal.ErrUnknownKey)
		case keyID == "a" && string(sealed) == vector && len(additionalData) == 0:
			require.Equal(t, "XAES-256-GCM", string(opened))
		default:
			require.ErrorIs(t, err, seal.ErrOpen, "a value cannot be made without the key")
		}

		// A sealed value can be opened only with what it was sealed with.
		sealed, err = s.Seal(t.Context(), sealed, additionalData)
		require.NoError(t, err)
		_, err = s.Open(t.Context(), "a", sealed, additionalData)
		require.NoError(t, err)
		_, err = s.Open(t.Context(), "a", sealed, append(additionalData, 0))
		require.ErrorIs(t, err, seal.ErrOpen)
	})
}
