package event

import "strings"

const cacheKeyPrefix = "mixpeek:"

// CacheKey returns the cache key of an object: "mixpeek:{namespace}:{collection}:{object}".
//
// Different objects have different keys: in the namespace and the collection, ':' is written
// as "%3A" and '%' as "%25". The object is the rest of the key and is not escaped, so that
// an id with a colon gives the same key as in other implementations.
func CacheKey(namespace, collection, object string) string {
	return cacheKeyPrefix + escapePart(namespace) + ":" + escapePart(collection) + ":" + object
}

// SplitCacheKey returns the parts of a key that [CacheKey] made. It returns false if the key has
// another form or a part of it is empty.
func SplitCacheKey(key string) (namespace, collection, object string, ok bool) {
	rest, ok := strings.CutPrefix(key, cacheKeyPrefix)
	if !ok {
		return "", "", "", false
	}
	namespace, rest, _ = strings.Cut(rest, ":")
	collection, object, _ = strings.Cut(rest, ":")
	if namespace == "" || collection == "" || object == "" {
		return "", "", "", false
	}
	return unescapePart(namespace), unescapePart(collection), object, true
}

func escapePart(s string) string {
	if !strings.ContainsAny(s, ":%") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "%", "%25"), ":", "%3A")
}

func unescapePart(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "%3A", ":"), "%25", "%")
}
