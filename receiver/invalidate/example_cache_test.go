package invalidate_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/invalidate"
)

// articles is a cache in this process, in front of a slow source. A generation
// number is part of each key, so that a whole collection becomes stale at once.
type articles struct {
	source      map[string]string
	generations *invalidate.Generations

	mu      sync.Mutex
	entries map[string]string
}

func newArticles(source map[string]string) *articles {
	a := &articles{source: source, entries: make(map[string]string)}
	a.generations = invalidate.NewGenerations(invalidate.NewMemoryCounters(),
		invalidate.GenerationsConfig{Remove: a.remove})
	return a
}

// get returns an article from the cache, or else from the source.
func (a *articles) get(ctx context.Context, id string) string {
	// The key is taken before the article is loaded: if the article changes during the load,
	// it is stored under the old key, where no reader looks.
	key, err := a.generations.Key(ctx, "acme", "col_articles", id)
	if err != nil {
		return a.source[id]
	}
	a.mu.Lock()
	text, cached := a.entries[key]
	a.mu.Unlock()
	if !cached {
		text = a.source[id]
		a.mu.Lock()
		a.entries[key] = text
		a.mu.Unlock()
	}
	return text
}

func (a *articles) remove(_ context.Context, keys ...string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, key := range keys {
		delete(a.entries, key)
	}
	return nil
}

// A cache in the process that webhooks invalidate. When a webhook is acknowledged, readers get
// the new articles.
func Example() {
	ctx := context.Background()
	source := map[string]string{"1": "one", "2": "two"}
	cache := newArticles(source)
	rcv, err := receiver.New(receiver.Config{
		Secrets:     []receiver.Secret{{Value: "correct-horse-battery-staple"}},
		Invalidator: cache.generations,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	webhooks := rcv.Handler(receiver.NewRouter()) // no handlers: events only invalidate
	deliver := func(body string) {
		r := httptest.NewRequest(http.MethodPost, "https://example.com/webhooks",
			strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Mixpeek-Secret", "correct-horse-battery-staple")
		webhooks.ServeHTTP(httptest.NewRecorder(), r)
	}

	fmt.Println(cache.get(ctx, "1"), cache.get(ctx, "2"))
	source["1"], source["2"] = "ONE", "TWO"
	fmt.Println(cache.get(ctx, "1"), cache.get(ctx, "2"), "(from the cache)")
	deliver(`{"event_id":"evt_1","event_type":"object.updated","cache_scope":{"scope":"key","keys":["mixpeek:acme:col_articles:1"]}}`)
	fmt.Println(cache.get(ctx, "1"), cache.get(ctx, "2"), "(one object was updated)")
	deliver(`{"event_id":"evt_2","event_type":"collection.documents.written","cache_scope":{"scope":"collection","collection_id":"col_articles"}}`)
	fmt.Println(cache.get(ctx, "1"), cache.get(ctx, "2"), "(the collection was written)")
	// Output:
	// one two
	// one two (from the cache)
	// ONE two (one object was updated)
	// ONE TWO (the collection was written)
}
