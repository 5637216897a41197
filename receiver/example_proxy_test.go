package receiver_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// proxied is a request to a handler as the proxy at an address passes it on.
func proxied(h http.Handler, proxy, secret string) *http.Response {
	r := httptest.NewRequest(http.MethodPost, "http://example.com/webhooks",
		strings.NewReader(created))
	r.RemoteAddr = proxy
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Mixpeek-Secret", secret)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// A receiver behind a proxy that ends TLS believes the proxies of one network, and no other
// sender, that a request came over HTTPS. While the senders change to a new secret, the old
// one is accepted as well.
func ExampleConfig_trustedProxies() {
	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{
			{Value: "the-new-secret-of-the-senders"},
			{Value: "the-old-secret-of-the-senders", NotAfter: time.Now().Add(24 * time.Hour)},
		},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Logger:         slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	events := receiver.NewRouter()
	events.On("object.*", func(_ context.Context, e *event.Event) error {
		fmt.Println("handling", e.Type)
		return nil
	})
	h := rcv.Handler(events)
	for _, proxy := range []string{"10.1.2.3:4711", "192.0.2.1:4711"} {
		answer := proxied(h, proxy, "the-old-secret-of-the-senders")
		_ = answer.Body.Close()
		fmt.Println("through", proxy, answer.Status)
	}
	// Output:
	// handling object.created
	// through 10.1.2.3:4711 200 OK
	// through 192.0.2.1:4711 400 Bad Request
}
