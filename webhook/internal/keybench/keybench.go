// Package keybench measures what it costs to look up an API key for each request of the management
// API. Modules of stores run it on theirs.
package keybench

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// Run reads one webhook over and over: with a key in memory, with an API key of the store, and with
// that without the rest of the request.
func Run(b *testing.B, store webhook.Store) {
	logger := slog.New(slog.DiscardHandler)
	d, err := dispatch.New(store, dispatch.Config{Logger: logger})
	check(b, err)
	check(b, d.CreateSubscription(b.Context(), &webhook.Subscription{
		ID: "wh_0123456789abcdef", OrganizationID: "org", Name: "w", EventTypes: []event.Pattern{"*"},
		Channels: []webhook.ChannelConfig{{Channel: "webhook", Configs: []byte(`{"url": "https://x.org"}`)}},
	}))
	stored, err := apikey.New(store, apikey.Config{Logger: logger})
	check(b, err)
	b.Cleanup(stored.Wait)
	key, _, err := stored.Create(b.Context(), apikey.Service("bench"),
		webhook.APIKey{OrganizationID: "org", Name: "bench"})
	check(b, err)
	inMemory, hash := api.NewKey()
	keys := api.NewKeys()
	check(b, keys.Add("org", hash))

	b.Run("request=memory", func(b *testing.B) { read(b, d, keys.Authenticate, nil, inMemory) })
	b.Run("request=stored", func(b *testing.B) { read(b, d, nil, stored, key) })
	b.Run("lookup", func(b *testing.B) {
		for b.Loop() {
			_, err := stored.Authenticate(b.Context(), key)
			check(b, err)
		}
	})
}

func read(
	b *testing.B, d *dispatch.Dispatcher, authenticate api.Authenticator, keys *apikey.Keys, key string,
) {
	a, err := api.New(d, authenticate, api.Config{APIKeys: keys})
	check(b, err)
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet,
			api.DefaultPrefix+"/wh_0123456789abcdef", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
	}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
