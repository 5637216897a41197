package invalidate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
)

// DefaultMaxTags is the default of [TagsConfig.Max]: the lowest limit among the large CDNs.
const DefaultMaxTags = 30

// Tags purges a CDN by tag (a surrogate key with Fastly and Varnish, a cache tag with Cloudflare
// and Akamai). Responses have the tags of the objects they were made of (see [ResponseTags]), and
// an event purges the tags that it makes stale.
type Tags struct {
	purge func(ctx context.Context, tags []string) error
	max   int
}

// TagsConfig configures [Tags].
type TagsConfig struct {
	// Max bounds the tags that one call purges. Defaults to [DefaultMaxTags]; a negative
	// number is an error.
	Max int
}

// NewTags returns Tags that call purge. purge tells the CDN to drop all responses that have one of
// the tags, and returns nil when the CDN has accepted that. It makes its request with ctx, returns
// no error with the API token in it, and must be safe for concurrent use. NewTags returns an
// [*event.ValidationError] if purge is nil or config.Max is negative.
func NewTags(
	purge func(ctx context.Context, tags []string) error, config TagsConfig,
) (*Tags, error) {
	var p event.Problems
	if purge == nil {
		p.Required("purge")
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

// Invalidate purges the tags that the event makes stale. If one of several calls fails, the
// others are still made.
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

// ResponseTags returns the tags of a response that was made of an object: one each for the
// object, its collection and its namespace. key is the object's cache key as the publisher makes
// it, such as [event.CacheKey]. Join the tags as the header of the CDN wants it, with spaces
// (Surrogate-Key) or commas (Cache-Tag).
func ResponseTags(key, namespace, collection string) []string {
	return []string{keyTag(key), collectionTag(collection), namespaceTag(namespace)}
}

func keyTag(key string) string         { return escapeTag(key) }
func collectionTag(name string) string { return "collection:" + escapeTag(name) }
func namespaceTag(name string) string  { return "namespace:" + escapeTag(name) }

// escapeTag escapes all bytes but printable ASCII, and the separators of tag headers.
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
