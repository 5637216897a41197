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

// The secrets of subscriptions are encrypted in the database. The keys come from where the service
// keeps its other secrets. The first key encrypts, and every key decrypts.
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
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
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
	// Reseal encrypts configs that are not encrypted yet, or are encrypted with a key that is to be
	// removed. It costs little if there are none. Its error names what it cannot decrypt.
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
