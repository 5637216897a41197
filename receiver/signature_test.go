package receiver_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/receiver"
)

var (
	macSecret  = []byte("0123456789abcdefghijklmnopqrstuv")
	privateKey = ed25519.NewKeyFromSeed(macSecret)
)

func verifier(t testing.TB, key string) *signature.Verifier {
	t.Helper()
	k, err := signature.ParseKey(key)
	require.NoError(t, err)
	v, err := signature.NewVerifier(signature.Config{Keys: []signature.VerifyKey{{Key: k}}})
	require.NoError(t, err)
	return v
}

func whsec() string { return "whsec_" + base64.StdEncoding.EncodeToString(macSecret) }

func whpk() string {
	return "whpk_" + base64.StdEncoding.EncodeToString(privateKey.Public().(ed25519.PublicKey))
}

// signed requires a signature of this key, and no static secret.
func signed(t *testing.T, key string) func(*receiver.Config) {
	return func(c *receiver.Config) { c.Secrets, c.Signature = nil, verifier(t, key) }
}

// The tests make signatures without the code under test.
func mac(id, timestamp, body string) string {
	h := hmac.New(sha256.New, macSecret)
	_, _ = h.Write([]byte(id + "." + timestamp + "." + body))
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func ed(id, timestamp, body string) string {
	return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(privateKey,
		[]byte(id+"."+timestamp+"."+body)))
}

func stamp(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }

// signedPost returns a request with these headers and without a static secret.
func signedPost(id, timestamp, sig, body string) *http.Request {
	r := post(body)
	r.Header.Del("X-Mixpeek-Secret")
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", timestamp)
	r.Header.Set("Webhook-Signature", sig)
	return r
}

// unread marks cases that are refused before the body is read.
const unread = true

func TestSignature(t *testing.T) {
	t.Parallel()
	body := envelope(t, "evt_1")
	// The cases are tried at this time, however long they wait for their turn.
	signedAt := time.Now().Round(0)
	now, recent, old, future := stamp(0), stamp(-4*time.Minute), stamp(-6*time.Minute),
		stamp(6*time.Minute)
	good := mac("evt_1", now, body)
	filler := "v1," + base64.StdEncoding.EncodeToString(make([]byte, 32))
	tests := []struct {
		name    string
		request *http.Request
		reason  error // nil: accepted
		unread  bool
	}{
		{"right", signedPost("evt_1", now, good, body), nil, false},
		{"old by less than the tolerance",
			signedPost("evt_1", recent, mac("evt_1", recent, body), body), nil, false},
		{"one of several", signedPost("evt_1", now, filler+" "+good, body), nil, false},
		{"16th of sixteen", signedPost("evt_1", now, strings.Repeat(filler+" ", 15)+good, body),
			nil, false},
		{"17th is not looked at", signedPost("evt_1", now, strings.Repeat(filler+" ", 16)+good,
			body), signature.ErrNoMatch, false},
		{"unknown version is skipped", signedPost("evt_1", now, "v9,AAAA "+good, body), nil, false},
		{"folded by a proxy with commas", signedPost("evt_1", now, filler+","+good, body), nil,
			false},
		{"body changed", signedPost("evt_1", now, good, body+" "), signature.ErrNoMatch, false},
		{"id changed", signedPost("evt_2", now, good, body), signature.ErrNoMatch, false},
		{"time changed", signedPost("evt_1", recent, good, body), signature.ErrNoMatch, false},
		{"v1a offered where the key is v1", signedPost("evt_1", now, ed("evt_1", now, body), body),
			signature.ErrNoMatch, unread},
		{"v1 of the key named v1a", signedPost("evt_1", now,
			strings.Replace(good, "v1,", "v1a,", 1), body), signature.ErrNoMatch, unread},
		{"v1 of the key named v1a, next to another",
			signedPost("evt_1", now, filler+" "+strings.Replace(good, "v1,", "v1a,", 1), body),
			signature.ErrNoMatch, false},
		{"no id", signedPost("", now, good, body), signature.ErrMissingHeader, unread},
		{"no time", signedPost("evt_1", "", good, body), signature.ErrMissingHeader, unread},
		{"no signature", signedPost("evt_1", now, "", body), signature.ErrMissingHeader, unread},
		{"no entry", signedPost("evt_1", now, "sha256=abc", body), signature.ErrMalformedHeader,
			unread},
		{"dotted id", signedPost("evt.1", now, mac("evt.1", now, body), body),
			signature.ErrMalformedHeader, unread},
		{"time with a plus", signedPost("evt_1", "+"+now, mac("evt_1", "+"+now, body), body),
			signature.ErrMalformedHeader, unread},
		{"time with a leading zero", signedPost("evt_1", "0"+now, mac("evt_1", "0"+now, body),
			body), signature.ErrMalformedHeader, unread},
		{"negative time", signedPost("evt_1", "-"+now, mac("evt_1", "-"+now, body), body),
			signature.ErrMalformedHeader, unread},
		{"time too large", signedPost("evt_1", now+"000", mac("evt_1", now+"000", body), body),
			signature.ErrMalformedHeader, unread},
		{"time with a fraction", signedPost("evt_1", now+".5", mac("evt_1", now+".5", body), body),
			signature.ErrMalformedHeader, unread},
		{"too old", signedPost("evt_1", old, mac("evt_1", old, body), body), signature.ErrTooOld,
			unread},
		{"too new", signedPost("evt_1", future, mac("evt_1", future, body), body),
			signature.ErrTooNew, unread},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(signedAt))
				store := newSpy(t)
				b := setup(t, signed(t, whsec()), func(c *receiver.Config) { c.Dedupe = store })
				if tt.unread {
					tt.request.Body = tripwire{t}
				}
				w := serve(b.Handler(receiver.HandlerFunc(ok)), tt.request)
				if tt.reason == nil {
					assert.Equal(t, 200, w.Code)
					return
				}
				assert.Equal(t, 401, w.Code)
				assert.ErrorIs(t, b.reason(t), tt.reason)
				assert.Empty(t, store.Calls())
				assert.NotContains(t, b.log.String(), strings.TrimPrefix(good, "v1,"),
					"an expected MAC is never logged")
			})
		})
	}
}

// Some proxies split a header into two lines.
func TestSignatureInTwoLines(t *testing.T) {
	t.Parallel()
	body, now := envelope(t, "evt_1"), stamp(0)
	r := signedPost("evt_1", now, "v1,AAAA", body)
	r.Header.Add("Webhook-Signature", mac("evt_1", now, body))
	_, err := setup(t, signed(t, whsec())).Check(r)
	assert.NoError(t, err)
}

// A public key verifies signatures of version v1a only.
func TestEd25519(t *testing.T) {
	t.Parallel()
	body, now := envelope(t, "evt_1"), stamp(0)
	b := setup(t, signed(t, whpk()))
	d, err := b.Check(signedPost("evt_1", now, ed("evt_1", now, body), body))
	require.NoError(t, err)
	assert.Equal(t, "evt_1", d.Signed.ID)
	assert.Equal(t, now, strconv.FormatInt(d.Signed.Timestamp.Unix(), 10))
	_, err = b.Check(signedPost("evt_1", now, mac("evt_1", now, body), body))
	assert.ErrorIs(t, err, signature.ErrNoMatch)
}

// All refusals of credentials have the same answer.
func TestUniform401(t *testing.T) {
	t.Parallel()
	body, now, old := envelope(t, "evt_1"), stamp(0), stamp(-time.Hour)
	b := setup(t, func(c *receiver.Config) { c.Signature = verifier(t, whsec()) })
	wrongSecret := signedPost("evt_1", now, mac("evt_1", now, body), body)
	wrongSecret.Header.Set("X-Mixpeek-Secret", "guess")
	withSecret := func(r *http.Request) *http.Request {
		r.Header.Set("X-Mixpeek-Secret", secret)
		return r
	}
	h := b.Handler(receiver.HandlerFunc(ok))
	want := serve(h, wrongSecret)
	require.Equal(t, 401, want.Code)
	for _, r := range []*http.Request{
		signedPost("evt_1", now, mac("evt_1", now, body), body),
		withSecret(signedPost("evt_1", now, mac("evt_1", now, "other"), body)),
		withSecret(signedPost("evt_1", "0", mac("evt_1", "0", body), body)),
		withSecret(signedPost("evt_1", old, mac("evt_1", old, body), body)),
		withSecret(signedPost("", now, "", body)),
	} {
		got := serve(h, r)
		assert.Equal(t, want.Code, got.Code)
		assert.Equal(t, want.Header(), got.Header())
		assert.Equal(t, want.Body.String(), got.Body.String())
	}
}

// Both credentials are required. With AnyOf one is enough, and a wrong one is refused.
func TestSecretAndSignature(t *testing.T) {
	t.Parallel()
	body, now := envelope(t, "evt_1"), stamp(0)
	request := func(secret, sig string) *http.Request {
		r := signedPost("evt_1", now, sig, body)
		if secret != "" {
			r.Header.Set("X-Mixpeek-Secret", secret)
		}
		if sig == "" {
			for _, name := range []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} {
				r.Header.Del(name)
			}
		}
		return r
	}
	right, wrong := mac("evt_1", now, body), mac("evt_1", now, "other")
	tests := []struct {
		name        string
		secret, sig string
		both, anyOf bool
	}{
		{"both", secret, right, true, true},
		{"stripped signature", secret, "", false, true},
		{"stripped secret", "", right, false, true},
		{"wrong signature", secret, wrong, false, false},
		{"wrong secret", "guess", right, false, false},
		{"neither", "", "", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for anyOf, want := range map[bool]bool{false: tt.both, true: tt.anyOf} {
				b := setup(t, func(c *receiver.Config) {
					c.Signature, c.AnyOf = verifier(t, whsec()), anyOf
				})
				_, err := b.Check(request(tt.secret, tt.sig))
				assert.Equal(t, want, err == nil, "AnyOf %v: %v", anyOf, err)
			}
		})
	}
	t.Run("AnyOf, half a signature is not no signature", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(c *receiver.Config) {
			c.Signature, c.AnyOf = verifier(t, whsec()), true
		})
		r := request(secret, right)
		r.Header.Del("Webhook-Signature")
		_, err := b.Check(r)
		assert.ErrorIs(t, err, signature.ErrMissingHeader)
	})
	t.Run("AnyOf, an unsigned id is no key", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(c *receiver.Config) {
			c.Signature, c.AnyOf = verifier(t, whsec()), true
		})
		_, err := b.Check(request("", ""))
		assert.ErrorIs(t, err, receiver.ErrNoCredentials)
	})
}

// The signed id must be the event's id, unless AllowIDMismatch is set.
func TestSignedID(t *testing.T) {
	t.Parallel()
	now := stamp(0)
	send := func(b *bundle, id, body string) (*receiver.Delivery, error) {
		return b.Check(signedPost(id, now, mac(id, now, body), body))
	}
	strict := setup(t, signed(t, whsec()))
	_, err := send(strict, "evt_other", envelope(t, "evt_1"))
	require.ErrorIs(t, err, receiver.ErrIDMismatch)
	var rejection *receiver.Rejection
	require.ErrorAs(t, err, &rejection)
	assert.Equal(t, 400, rejection.Status)

	d, err := send(strict, "evt_other", `{"event_type":"object.created"}`)
	require.NoError(t, err)
	assert.Equal(t, "evt_other", d.Claim.Key, "without an event_id the signed id is the key")

	lax := setup(t, signed(t, whsec()), func(c *receiver.Config) { c.AllowIDMismatch = true })
	d, err = send(lax, "evt_other", envelope(t, "evt_1"))
	require.NoError(t, err)
	assert.Equal(t, "evt_1", d.Claim.Key)
}

// A body that is not authentic is neither decompressed nor decoded.
func TestNotAuthenticIsNotDecoded(t *testing.T) {
	t.Parallel()
	body, now := gzipped(t, envelope(t, "evt_1")), stamp(0)
	b := setup(t, signed(t, whsec()), func(c *receiver.Config) {
		c.MaxDecoded = 1
		c.Decode = func(http.Header, []byte) (*event.Event, error) {
			t.Error("decoded")
			return nil, errors.New("decoded")
		}
	})
	r := signedPost("evt_1", now, mac("evt_1", now, "other"), body)
	r.Header.Set("Content-Encoding", "gzip")
	_, err := b.Check(r)
	assert.ErrorIs(t, err, signature.ErrNoMatch)
}

// A signature covers the compressed bytes.
func TestSignedGzip(t *testing.T) {
	t.Parallel()
	body, now := gzipped(t, envelope(t, "evt_1")), stamp(0)
	r := signedPost("evt_1", now, mac("evt_1", now, body), body)
	r.Header.Set("Content-Encoding", "gzip")
	d, err := setup(t, signed(t, whsec()),
		func(c *receiver.Config) { c.MaxDecoded = 1 << 20 }).Check(r)
	require.NoError(t, err)
	assert.Equal(t, "evt_1", d.Event.ID)
}
