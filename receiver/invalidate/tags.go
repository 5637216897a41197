package invalidate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
)

// DefaultMaxTags is how many tags are purged by one call unless told otherwise:
// what the strictest of the large CDNs takes.
const DefaultMaxTags = 30

// Tags purges a CDN by tag (Fastly and Varnish say surrogate key, Cloudflare
// and Akamai cache tag). Responses carry the tags of what they were made of, see
// [ResponseTags], and an event purges those that it makes stale.
type Tags struct {
	purge func(ctx context.Context, tags []string) error
	max   int
}

// TagsConfig configures [Tags].
type TagsConfig struct {
	// Max is how many tags one call may purge.
	// Defaults to [DefaultMaxTags].
	Max int
}

// NewTags returns an invalidator that calls purge, which asks the CDN to drop
// every response that has one of the tags and returns when it has agreed.
// Cancel and bound the request by ctx, and keep the API token out of the error.
func NewTags(purge func(ctx context.Context, tags []string) error, config TagsConfig) (*Tags, error) {
	var p event.Problems
	if purge == nil {
		p.Add("purge", "is required")
	}
	if config.Max < 0 {
		p.Add("Max", "must not be negative")
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	t := &Tags{purge: purge, max: config.Max}
	if t.max == 0 {
		t.max = DefaultMaxTags
	}
	return t, nil
}

// Invalidate purges the tags that the event makes stale. If one of several
// calls fails, the others are made all the same.
func (t *Tags) Invalidate(ctx context.Context, e *event.Event) error {
	var errs []error
	for tags := range slices.Chunk(staleTags(e), t.max) {
		if err := t.purge(ctx, tags); err != nil {
			errs = append(errs, fmt.Errorf("invalidate: purge: %w", err))
		}
	}
	return errors.Join(errs...)
}

func staleTags(e *event.Event) []string {
	var tags []string
	switch kind(e) {
	case event.ScopeKey:
		for _, key := range distinct(e.CacheScope.Keys...) {
			tags = append(tags, keyTag(key))
		}
	case event.ScopeCollection:
		for _, name := range collections(e) {
			tags = append(tags, collectionTag(name))
		}
	case event.ScopeNamespace:
		for _, name := range namespaces(e) {
			tags = append(tags, namespaceTag(name))
		}
	}
	return tags
}

// ResponseTags returns the tags of a response that was made of an object: one
// for itself, one for its collection, one for its namespace. Join them as the
// CDN's header wants it, with spaces (Surrogate-Key) or commas (Cache-Tag).
func ResponseTags(namespace, collection, object string) []string {
	return []string{
		keyTag(event.Key(namespace, collection, object)),
		collectionTag(collection),
		namespaceTag(namespace),
	}
}

func keyTag(key string) string         { return escapeTag(key) }
func collectionTag(name string) string { return "collection:" + escapeTag(name) }
func namespaceTag(name string) string  { return "namespace:" + escapeTag(name) }

// escapeTag leaves printable ASCII without the separators of tag headers.
func escapeTag(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == ',' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
