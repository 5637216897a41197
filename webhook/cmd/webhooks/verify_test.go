package main

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event/signature"
)

const (
	testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	testBody   = `{"event_id":"evt_1","event_type":"object.created","metadata":{"a":"<ü/>","n":1.50}}`
)

// sent is a request that a test changes on its way.
type sent struct {
	method string
	header http.Header
	body   string
}

func (s *sent) raw() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s /webhooks HTTP/1.1\r\n", s.method)
	_ = s.header.Write(&b)
	return b.String() + "\r\n" + s.body
}

// sign signs the request with an HMAC key of these bytes.
func (s *sent) sign(secret []byte, signed string, encode func([]byte) string) {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	s.header.Set("Webhook-Signature", encode(mac.Sum(nil)))
}

func (s *sent) prefix() string {
	return s.header.Get("Webhook-Id") + "." + s.header.Get("Webhook-Timestamp") + "."
}

func v1(sum []byte) string { return "v1," + base64.StdEncoding.EncodeToString(sum) }

// newSent is a request that is right.
func newSent(t *testing.T, body string) *sent {
	t.Helper()
	key, err := signature.ParseKey(testSecret)
	require.NoError(t, err)
	signer, err := signature.NewSigner(key)
	require.NoError(t, err)
	s := &sent{method: "POST", header: http.Header{"Content-Type": {"application/json"}}, body: body}
	require.NoError(t, signer.Sign(s.header, "evt_1", time.Now(), []byte(body)))
	return s
}

func verify(t *testing.T, e env, raw string, args ...string) (*verdict, call) {
	t.Helper()
	got := runs(t, e, raw, append([]string{"verify", "--json"}, args...)...)
	v := &verdict{}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), v), got.stderr)
	return v, got
}

func TestVerifySaysWhy(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	key := base64.StdEncoding
	decoded, err := key.DecodeString(strings.TrimPrefix(testSecret, "whsec_"))
	require.NoError(t, err)
	pretty := func(s string) string {
		var b bytes.Buffer
		require.NoError(t, json.Indent(&b, []byte(s), "", "  "))
		return b.String()
	}
	for name, c := range map[string]struct {
		secret string // what the receiver has; testSecret by default
		signed string // the body that the sender signs; testBody by default
		change func(*sent)
		want   string // "" if it is accepted
		says   string
	}{
		"right":           {change: func(*sent) {}},
		"crlf in headers": {change: func(s *sent) { s.header.Set("X-Other", "1") }},
		"method":          {want: "method", change: func(s *sent) { s.method = "GET" }},
		"content type": {want: "content_type", change: func(s *sent) {
			s.header.Set("Content-Type", "text/plain")
		}},
		"content encoding": {want: "content_encoding", change: func(s *sent) {
			s.header.Set("Content-Encoding", "gzip")
		}},
		"unsigned": {want: "unsigned", change: func(s *sent) {
			for _, name := range signatureHeaders {
				s.header.Del(name)
			}
		}},
		"missing header": {want: "missing_header", says: "Webhook-Timestamp", change: func(s *sent) {
			s.header.Del("Webhook-Timestamp")
		}},
		"underscores": {want: "header_name", change: func(s *sent) {
			s.header.Set("Webhook_timestamp", s.header.Get("Webhook-Timestamp"))
			s.header.Del("Webhook-Timestamp")
		}},
		"svix": {want: "other_scheme", says: "Svix-", change: func(s *sent) {
			for _, name := range signatureHeaders {
				s.header.Set(strings.Replace(name, "Webhook", "Svix", 1), s.header.Get(name))
				s.header.Del(name)
			}
		}},
		"repeated": {want: "repeated_header", change: func(s *sent) { s.header.Add("Webhook-Id", "evt_1") }},
		"milliseconds": {want: "timestamp_format", says: "milliseconds", change: func(s *sent) {
			s.header.Set("Webhook-Timestamp", s.header.Get("Webhook-Timestamp")+"000")
		}},
		"RFC 3339": {want: "timestamp_format", change: func(s *sent) {
			s.header.Set("Webhook-Timestamp", "2026-01-01T00:00:00Z")
		}},
		"dot in id": {want: "id_format", change: func(s *sent) { s.header.Set("Webhook-Id", "evt.1") }},
		"no version": {want: "signature_format", change: func(s *sent) {
			s.header.Set("Webhook-Signature", strings.TrimPrefix(s.header.Get("Webhook-Signature"), "v1,"))
		}},
		"hex without version": {want: "signature_format", says: "hexadecimal", change: func(s *sent) {
			s.sign(decoded, s.prefix()+s.body, hex.EncodeToString)
		}},
		"hex": {want: "other_scheme", says: "id, time and body, and writes the signature in hexadecimal",
			change: func(s *sent) {
				s.sign(decoded, s.prefix()+s.body, func(b []byte) string { return "v1," + hex.EncodeToString(b) })
			}},
		"body alone": {want: "other_scheme", says: "the body alone", change: func(s *sent) {
			s.sign(decoded, s.body, v1)
		}},
		"wrong secret": {want: "wrong_secret", says: "looks as this library sends it",
			secret: signature.NewKey().Reveal(), change: func(*sent) {}},
		"other kind": {want: "other_kind_of_secret", secret: publicKey(t), change: func(*sent) {}},
		"text of the secret": {want: "secret_encoding", says: "with whsec_", change: func(s *sent) {
			s.sign([]byte(testSecret), s.prefix()+s.body, v1)
		}},
		"text after whsec_": {want: "secret_encoding", says: "not decoded", change: func(s *sent) {
			s.sign([]byte(testSecret[6:]), s.prefix()+s.body, v1)
		}},
		"text of the secret and another body": {want: "secret_encoding", says: "without white space",
			change: func(s *sent) {
				s.sign([]byte(testSecret), s.prefix()+s.body, v1)
				s.body = pretty(s.body)
			}},
		"secret without whsec_": {want: "secret_encoding", secret: testSecret[6:], change: func(*sent) {}},
		"secret in quotes": {want: "secret_format", says: "quotes", secret: `"` + testSecret + `"`,
			change: func(*sent) {}},
		"secret cut": {want: "secret_format", secret: testSecret[:20], change: func(*sent) {}},
		"indented": {want: "body_changed", says: "without white space", change: func(s *sent) {
			s.body = pretty(s.body)
		}},
		"decoded by JavaScript": {want: "body_changed", says: "Python", change: func(s *sent) { s.body = testBody },
			signed: `{"event_id": "evt_1", "event_type": "object.created", "metadata": ` +
				`{"a": "<\u00fc/>", "n": 1.50}}`},
		"sorted by a middleware": {want: "body_changed", says: "as this library encodes the event",
			change: func(s *sent) {
				s.body = `{"metadata":{"n":1.50,"a":"<ü/>"},"event_type":"object.created","event_id":"evt_1"}`
			}},
		"line break added": {want: "body_changed", says: "without the line break", change: func(s *sent) {
			s.body += "\n"
		}},
		"CRLF": {want: "body_changed", says: "LF instead of CRLF", signed: "{\n}\n", change: func(s *sent) {
			s.body = "{\r\n}\r\n"
		}},
		"base64": {want: "body_changed", says: "base64", change: func(s *sent) {
			s.body = key.EncodeToString([]byte(s.body))
		}},
		"in a string": {want: "body_changed", says: "JSON string", change: func(s *sent) {
			b, err := json.Marshal(s.body)
			require.NoError(t, err)
			s.body = string(b)
		}},
		"Latin-1": {want: "body_changed", says: "Latin-1", change: func(s *sent) {
			s.body = strings.Replace(s.body, "ü", "Ã¼", 1)
		}},
		"compressed by a proxy": {want: "body_changed", says: "decompressed", change: func(s *sent) {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = w.Write([]byte(s.body))
			require.NoError(t, w.Close())
			s.body = b.String()
		}},
		"truncated": {want: "body_truncated", change: func(s *sent) {
			s.header.Set("Content-Length", strconv.Itoa(len(s.body)))
			s.body = s.body[:10]
		}},
		"empty":    {want: "body_missing", change: func(s *sent) { s.body = "" }},
		"other id": {want: "other_id", change: func(s *sent) { s.header.Set("Webhook-Id", "req_2") }},
		"id mismatch": {want: "id_mismatch", signed: strings.Replace(testBody, "evt_1", "evt_2", 1),
			change: func(*sent) {}},
		"not an event": {want: "not_an_event", signed: `{"hello":1}`, change: func(*sent) {}},
		"folded signature": {want: "folded_header", change: func(s *sent) {
			both := s.header.Get("Webhook-Signature") + " v1," + strings.Repeat("A", 43) + "="
			s.header["Webhook-Signature"] = []string{both[:20] + " " + both[20:]}
		}},
		"what follows the body": {change: func(s *sent) {
			s.header.Set("Content-Length", strconv.Itoa(len(s.body)))
			s.body += "\n\n"
		}},
		"chunks": {change: func(s *sent) {
			s.header.Set("Transfer-Encoding", "chunked")
			s.body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(s.body), s.body)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := testBody
			if c.signed != "" {
				body = c.signed
			}
			s := newSent(t, body)
			c.change(s)
			e := env{envSigningSecret: testSecret}
			if c.secret != "" {
				e[envSigningSecret] = c.secret
			}
			v, got := verify(t, e, s.raw())
			assert.Equal(t, c.want, v.Reason, v.Cause)
			assert.Equal(t, c.want == "", v.Accepted)
			assert.Contains(t, v.Cause, c.says)
			if c.want == "" {
				assert.Equal(t, exitOK, got.code)
				assert.Equal(t, "evt_1", v.EventID)
				assert.Equal(t, 1, v.Key)
				return
			}
			assert.Equal(t, exitNo, got.code)
			assert.NotEmpty(t, v.Remedy)
			assert.GreaterOrEqual(t, v.Status, 400)
			assert.NotContains(t, got.stdout, testSecret[6:], "a secret is printed")

			text := runs(t, e, s.raw(), "verify")
			assert.Equal(t, exitNo, text.code)
			assert.Contains(t, text.stdout, "refused with ")
			assert.Contains(t, text.stdout, "\nremedy  ")
		})
	}
}

func publicKey(t *testing.T) string {
	t.Helper()
	public, ok := signature.NewKeyPair().Public()
	require.True(t, ok)
	return public.Reveal()
}

func TestVerifyJudgesTheClockLast(t *testing.T) {
	t.Parallel()
	e := env{envSigningSecret: testSecret}
	raw := newSent(t, testBody).raw()
	v, _ := verify(t, e, raw, "--at", time.Now().Add(time.Hour).Format(time.RFC3339))
	assert.Equal(t, "too_old", v.Reason)
	assert.Contains(t, v.Cause, "The signature is right")
	v, _ = verify(t, e, raw, "--at", "2h")
	assert.Equal(t, "too_new", v.Reason)
	v, _ = verify(t, e, raw, "--at", "2h", "--tolerance", "3h")
	assert.True(t, v.Accepted)
	v, _ = verify(t, e, strings.Replace(raw, "evt_1", "evt_1 ", 1), "--at", "2h")
	assert.NotEqual(t, "wrong_secret", v.Reason)
}

// A header that goes on over several lines, and lines that end in LF.
func TestVerifyReadsWhatPeopleWriteDown(t *testing.T) {
	t.Parallel()
	e := env{envSigningSecret: testSecret}
	s := newSent(t, testBody)
	raw := strings.ReplaceAll(s.raw(), "\r\n", "\n")
	v, _ := verify(t, e, raw)
	assert.True(t, v.Accepted)
	v, _ = verify(t, e, strings.TrimPrefix(raw, "POST /webhooks HTTP/1.1\n"))
	assert.True(t, v.Accepted, "without the request line")
	sum := s.header.Get("Webhook-Signature")
	v, _ = verify(t, e, strings.Replace(raw, sum, sum[:9]+"\n "+sum[9:], 1))
	assert.Equal(t, "folded_header", v.Reason)
	v, _ = verify(t, e, strings.Replace(raw, "evt_1\n", "evt_\n 1\n", 1))
	assert.Equal(t, "folded_header", v.Reason)

	args := []string{"--body", file(t, testBody)}
	for _, name := range signatureHeaders {
		args = append(args, "--header", strings.ToLower(name)+": "+s.header.Get(name))
	}
	v, _ = verify(t, e, "", args...)
	assert.True(t, v.Accepted, "from flags")
	got := runs(t, e, "", append([]string{"verify", "request.txt"}, args...)...)
	assert.Equal(t, exitUsage, got.code)
	assert.Contains(t, got.stderr, "but not both")

	got = runs(t, e, testBody, "verify")
	assert.Equal(t, exitUsage, got.code)
	assert.Contains(t, got.stderr, "line 1 is not a header")
}

func TestVerifyStaticSecret(t *testing.T) {
	t.Parallel()
	const right = "correct-horse-battery"
	raw := func(header string) string {
		return "POST / HTTP/1.1\nContent-Type: application/json\n" + header + "\n" + testBody
	}
	e := env{envStaticSecret: right}
	for header, want := range map[string]string{
		"X-Mixpeek-Secret: " + right + "\n": "",
		"":                                  "static_secret_missing",
		"X_Mixpeek_Secret: " + right + "\n": "header_name",
		"X-Mixpeek-Secret: Bearer " + right + "\n":                     "static_secret_format",
		"X-Mixpeek-Secret: Correct-horse-battery\n":                    "static_secret_mismatch",
		"X-Mixpeek-Secret: other-secret-of-ours\n":                     "static_secret_mismatch",
		strings.Repeat("X-Mixpeek-Secret: correct-horse-battery\n", 2): "static_secret_repeated",
	} {
		v, _ := verify(t, e, raw(header))
		assert.Equal(t, want, v.Reason, header)
		assert.NotContains(t, v.Cause+v.Remedy, right)
	}
	v, _ := verify(t, env{envStaticSecret: right + " "}, raw("X-Mixpeek-Secret: "+right+"\n"))
	assert.Equal(t, "static_secret_format", v.Reason)
	v, _ = verify(t, e, raw("X-Token: "+right+"\n"), "--static-header", "x-token")
	assert.True(t, v.Accepted)
}

// What sign prints, verify accepts.
func TestSign(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"secret", "new"}, {"secret", "new", "--ed25519"}} {
		made := strings.Fields(runs(t, nil, "", args...).stdout)
		private, public := made[0], made[len(made)-1]
		signed := runs(t, env{envSigningSecret: private, envStaticSecret: "correct-horse-battery"}, testBody, "sign",
			"--to", "https://example.com/webhooks?a=b")
		require.Equal(t, exitOK, signed.code, signed.stderr)
		v, _ := verify(t, env{envSigningSecret: "\n" + public + "\n", envStaticSecret: "correct-horse-battery"}, signed.stdout)
		assert.True(t, v.Accepted, v.Cause)
	}
	headers := runs(t, env{envSigningSecret: testSecret + "\n" + signature.NewKey().Reveal()}, "x", "sign",
		"--id", "evt_9", "--at", "2026-01-01T00:00:00Z")
	assert.Regexp(t, `^webhook-id: evt_9\nwebhook-timestamp: 1767225600\nwebhook-signature: v1,\S+ v1,\S+\n$`,
		headers.stdout)
	assert.Contains(t, runs(t, env{envSigningSecret: testSecret}, testBody, "sign", "--json").stdout,
		`"webhook-id":"evt_1"`)
	assert.Contains(t, runs(t, env{envSigningSecret: testSecret}, "x", "sign").stderr, "--id")
	assert.Contains(t, runs(t, env{envSigningSecret: "whsec_x"}, "x", "sign").stderr, "signing secret 1")
}
