package signature_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
)

func TestTolerance(t *testing.T) {
	t.Parallel()
	key := signature.NewKey()
	at := time.Unix(1700000000, 0)
	const ns = time.Nanosecond
	tests := map[string]struct {
		tolerance, age time.Duration
		err            error
	}{
		"default, now":         {0, 0, nil},
		"default, oldest":      {0, 5 * time.Minute, nil},
		"default, too old":     {0, 5*time.Minute + ns, signature.ErrTooOld},
		"default, newest":      {0, -5 * time.Minute, nil},
		"default, too new":     {0, -5*time.Minute - ns, signature.ErrTooNew},
		"minute, oldest":       {time.Minute, time.Minute, nil},
		"minute, too old":      {time.Minute, time.Minute + ns, signature.ErrTooOld},
		"minute, too new":      {time.Minute, -time.Minute - ns, signature.ErrTooNew},
		"an hour is not a day": {time.Hour, 24 * time.Hour, signature.ErrTooOld},
		"far beyond":           {time.Hour, 1 << 62, signature.ErrTooOld},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := signature.NewVerifier(signature.Config{
				Keys: []signature.VerifyKey{{Key: key}}, Tolerance: test.tolerance,
			})
			require.NoError(t, err)
			h := sign(t, at, nil, key)
			p, err := v.Header(h, at.Add(test.age))
			require.ErrorIs(t, err, test.err, "before the body is read")
			if err == nil {
				_, err = p.Verify(nil)
				require.NoError(t, err)
			}
			_, err = v.Verify(h, at.Add(test.age), nil)
			require.ErrorIs(t, err, test.err)
		})
	}
}

func TestKeyExpiry(t *testing.T) {
	t.Parallel()
	oldKey, newKey := signature.NewKey(), signature.NewKey()
	now := time.Unix(1700000000, 0)
	v, err := signature.NewVerifier(signature.Config{
		Keys: []signature.VerifyKey{{Key: newKey}, {Key: oldKey, NotAfter: now}},
	})
	require.NoError(t, err)

	_, err = v.Verify(sign(t, now, nil, oldKey), now, nil)
	require.NoError(t, err, "at its last moment a key counts")
	later := now.Add(time.Nanosecond)
	_, err = v.Verify(sign(t, now, nil, oldKey), later, nil)
	require.ErrorIs(t, err, signature.ErrNoMatch)
	_, err = v.Verify(sign(t, now, nil, newKey), later, nil)
	require.NoError(t, err)
	_, err = v.Verify(sign(t, now, nil, newKey, oldKey), later, nil)
	require.NoError(t, err)

	expired, err := signature.NewVerifier(signature.Config{
		Keys: []signature.VerifyKey{{Key: oldKey, NotAfter: now}},
	})
	require.NoError(t, err)
	_, err = expired.Header(sign(t, now, nil, oldKey), later)
	require.ErrorIs(t, err, signature.ErrNoMatch, "with no key left, no body is read")
}

// No request is refused during a rotation from one version to the other, receiver first.
func TestRotationAcrossVersions(t *testing.T) {
	t.Parallel()
	secret, pair := signature.NewKey(), signature.NewKeyPair()
	public, _ := pair.Public()
	now := time.Unix(1700000000, 0)
	body := []byte(`{"n":1}`)
	before, during, after := newVerifier(t, secret), newVerifier(t, public, secret),
		newVerifier(t, public)
	both := sign(t, now, body, pair, secret)
	assert.Regexp(t, `^v1a,[A-Za-z0-9+/]{86}== v1,[A-Za-z0-9+/]{43}=$`,
		both.Get(signature.HeaderSignature))
	for _, v := range []*signature.Verifier{before, during, after} {
		_, err := v.Verify(both, now, body)
		require.NoError(t, err)
	}
	_, err := after.Header(sign(t, now, body, secret), now)
	require.ErrorIs(t, err, signature.ErrNoMatch,
		"no signature of a version that counts: refused before the body")
}

func TestNewVerifierNamesEverything(t *testing.T) {
	t.Parallel()
	key := signature.NewKey()
	tests := map[string]struct {
		cfg    signature.Config
		fields []string
	}{
		"zero": {signature.Config{}, []string{"keys"}},
		"zero keys": {signature.Config{Keys: make([]signature.VerifyKey, 2)},
			[]string{"keys[0].key", "keys[1].key"}},
		"too many keys": {signature.Config{Keys: repeat(signature.VerifyKey{Key: key}, 17)},
			[]string{"keys"}},
		"tolerance": {signature.Config{Keys: []signature.VerifyKey{{Key: key}}, Tolerance: -1},
			[]string{"tolerance"}},
		"everything": {signature.Config{Keys: make([]signature.VerifyKey, 1), Tolerance: -1},
			[]string{"keys[0].key", "tolerance"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := signature.NewVerifier(test.cfg)
			assert.Nil(t, v)
			assert.Equal(t, test.fields, fieldsOf(t, err))
		})
	}
	_, err := signature.NewVerifier(signature.Config{Keys: repeat(signature.VerifyKey{Key: key}, 16)})
	require.NoError(t, err)
}

func TestNewSignerNamesEverything(t *testing.T) {
	t.Parallel()
	public, _ := signature.NewKeyPair().Public()
	_, err := signature.NewSigner()
	assert.Equal(t, []string{"keys"}, fieldsOf(t, err))
	_, err = signature.NewSigner(signature.Key{}, signature.NewKey(), public)
	assert.Equal(t, []string{"keys[0]", "keys[2]"}, fieldsOf(t, err))
	_, err = signature.NewSigner(repeat(signature.NewKey(), 17)...)
	assert.Equal(t, []string{"keys"}, fieldsOf(t, err))
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	signer, err := signature.NewSigner(signature.NewKey())
	require.NoError(t, err)
	at := time.Unix(1700000000, 0)
	for name, test := range map[string]struct {
		id     string
		at     time.Time
		fields []string
	}{
		"empty id":      {"", at, []string{signature.HeaderID}},
		"dot":           {"evt.1", at, []string{signature.HeaderID}},
		"header break":  {"evt_1\r\nX-Admin: 1", at, []string{signature.HeaderID}},
		"zero time":     {"evt_1", time.Time{}, []string{signature.HeaderTimestamp}},
		"epoch":         {"evt_1", time.Unix(0, 0), []string{signature.HeaderTimestamp}},
		"thirteen":      {"evt_1", time.Unix(1e12, 0), []string{signature.HeaderTimestamp}},
		"all at once":   {"", time.Time{}, []string{signature.HeaderID, signature.HeaderTimestamp}},
		"last possible": {"evt_1", time.Unix(1e12-1, 0), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			err := signer.Sign(h, test.id, test.at, nil)
			if test.fields == nil {
				require.NoError(t, err)
				return
			}
			assert.Equal(t, test.fields, fieldsOf(t, err))
			assert.Empty(t, h)
		})
	}
}

// A retry replaces the headers with those of the new attempt.
func TestSignReplacesHeaders(t *testing.T) {
	t.Parallel()
	key := signature.NewKey()
	signer, err := signature.NewSigner(key)
	require.NoError(t, err)
	h := http.Header{}
	first := time.Unix(1700000000, 0)
	require.NoError(t, signer.Sign(h, "evt_1", first, nil))
	second := first.Add(time.Hour)
	require.NoError(t, signer.Sign(h, "evt_1", second, nil))
	assert.Len(t, h.Values(signature.HeaderSignature), 1)
	got, err := newVerifier(t, key).Verify(h, second, nil)
	require.NoError(t, err)
	assert.Equal(t, second.UTC(), got.Timestamp)
}

// Run with -race: many goroutines that use one Signer and one Verifier do not mix up pooled hashes.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	keys := []signature.Key{signature.NewKey(), signature.NewKeyPair(), signature.NewKey()}
	signer, err := signature.NewSigner(keys...)
	require.NoError(t, err)
	verifier := newVerifier(t, keys[2])
	now := time.Unix(1700000000, 0)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			body := []byte{byte(i)}
			for range 50 {
				h := http.Header{}
				assert.NoError(t, signer.Sign(h, "evt_1", now, body))
				_, err := verifier.Verify(h, now, body)
				assert.NoError(t, err)
				_, err = verifier.Verify(h, now, []byte{byte(i + 1)})
				assert.ErrorIs(t, err, signature.ErrNoMatch)
			}
		})
	}
	wg.Wait()
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

func repeat[T any](v T, n int) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = v
	}
	return list
}

// The checks of the headers, which run for requests of attackers too, do not allocate.
// AllocsPerRun does not work in parallel tests.
func TestHeaderAllocations(t *testing.T) {
	now := time.Unix(1700000000, 0)
	key := signature.NewKey()
	h, v := sign(t, now, []byte("{}"), key), newVerifier(t, key)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := v.Header(h, now); err != nil {
			t.Error(err)
		}
	}))
}
