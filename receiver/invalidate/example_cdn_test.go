package invalidate_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver/invalidate"
)

// A CDN is purged by tag, with an API like those of the large CDNs.
func ExampleNewTags() {
	cdn := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println("purge", r.Header.Get("Surrogate-Key"))
	}))
	defer cdn.Close()

	tags, err := invalidate.NewTags(func(ctx context.Context, tags []string) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, cdn.URL+"/service/example/purge",
			nil)
		if err != nil {
			return err
		}
		r.Header.Set("Surrogate-Key", strings.Join(tags, " "))
		response, err := cdn.Client().Do(r)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("purge answered %d", response.StatusCode)
		}
		return nil
	}, invalidate.TagsConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("tag with", strings.Join(invalidate.ResponseTags(event.CacheKey("acme", "col_articles",
		"1"), "acme", "col_articles"), " "))
	err = tags.Invalidate(context.Background(),
		&event.Event{CacheScope: event.CollectionScope("col_articles")})
	fmt.Println(err)
	// Output:
	// tag with mixpeek:acme:col_articles:1 collection:col_articles namespace:acme
	// purge collection:col_articles
	// <nil>
}
