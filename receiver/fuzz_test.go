package receiver_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// No request makes the receiver panic. Only requests with the secret and over HTTPS reach the
// handler, and every answer has a documented status.
func FuzzHandler(f *testing.F) {
	f.Add("POST", "application/json", "", secret, "10.0.0.1:80", "https",
		`{"event_id":"evt_1","event_type":"object.created"}`)
	f.Add("POST", "application/json; charset=utf-8", "gzip", secret, "192.0.2.1:80", "https, http",
		"\x1f\x8b\x08\x00")
	f.Add("GET", "text/plain", "identity", "guess", "@", "", "")
	f.Add("POST", "application/x+json", "", secret, "[::ffff:10.0.0.1]:1", "https,https",
		`{"event_id":"\u0000","cache_scope":{"scope":"KEY","keys":[""]}}`)
	f.Add("POST", "application/json", "", secret, "10.0.0.1:80", "https", strings.Repeat("[", 1000))

	reached := false
	rcv, err := receiver.New(receiver.Config{
		Secrets:        []receiver.Secret{{Value: secret}},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		MaxBody:        4096,
		MaxDecoded:     8192,
		Logger:         slog.New(slog.DiscardHandler),
		Dedupe:         forgetful{},
	})
	if err != nil {
		f.Fatal(err)
	}
	h := rcv.Handler(receiver.HandlerFunc(func(ctx context.Context, e *event.Event) error {
		reached = true
		d := receiver.DeliveryFrom(ctx)
		if key := d.Claim.Key; key == "" || len(key) > receiver.MaxKey ||
			strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return errors.New("a key that not every store can take: " + key)
		}
		return nil
	}))
	f.Fuzz(func(t *testing.T, method, contentType, encoding, given, peer, proto, body string) {
		r := &http.Request{
			Method: method, ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: peer, ContentLength: -1,
			Header: http.Header{"Content-Type": {contentType}, "X-Mixpeek-Secret": {given},
				"X-Forwarded-Proto": {proto}},
			Body: http.NoBody,
		}
		if encoding != "" {
			r.Header.Set("Content-Encoding", encoding)
		}
		if body != "" {
			r.Body = httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)).Body
		}
		reached = false
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		entitled := given == secret && method == "POST" &&
			strings.HasPrefix(strings.ToLower(strings.TrimSpace(proto)), "https")
		switch {
		case w.Code == 200 && !(reached && entitled):
			t.Errorf("accepted: reached %v, entitled %v", reached, entitled)
		case w.Code != 200 && reached:
			t.Errorf("handled, and answered %d: %s", w.Code, w.Body)
		}
		switch w.Code {
		case 200, 400, 401, 405, 413, 415:
		default:
			t.Errorf("answered %d", w.Code)
		}
	})
}
