package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/seal"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// A database that shows none of the subscriptions' secrets. The keys come from where
// the service has its own secrets: the first one seals.
func ExampleOpen_sealed() {
	if err := openSealedStore(context.Background(),
		"2026-11:c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I="); err != nil {
		fmt.Println(err)
	}
	// Output:
	// resealed: 0
	// the file has the secret: false
}

func openSealedStore(ctx context.Context, configured string) error {
	dir, err := os.MkdirTemp("", "webhooks")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an example's
	path := filepath.Join(dir, "webhooks.db")

	var keys []seal.Key
	for _, text := range strings.Fields(configured) {
		key, err := seal.ParseKey(text)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	sealer, err := seal.New(keys...)
	if err != nil {
		return err
	}
	store, err := sqlite.Open(ctx, path, sqlite.Config{Sealer: sealer})
	if err != nil {
		return err
	}
	// What is in clear from before, or sealed with a key that is to go. This is
	// cheap when there is nothing to do, and names what cannot be opened.
	n, err := store.Reseal(ctx)
	if err != nil {
		return err
	}
	fmt.Println("resealed:", n)

	d, err := dispatch.New(store, dispatch.Config{})
	if err != nil {
		return err
	}
	err = d.CreateSubscription(ctx, &webhook.Subscription{
		Name: "the shop's caches", EventTypes: []event.Pattern{"object.*"},
		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{
			URL:     "https://shop.example.com/webhooks",
			Headers: map[string]string{"X-Mixpeek-Secret": "do not show"},
		})},
	})
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	fmt.Println("the file has the secret:", strings.Contains(string(file), "do not show"))
	return nil
}
