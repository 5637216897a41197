package event

import "strings"

const keyPrefix = "mixpeek:"

// Key builds the cache key of an object: "mixpeek:{namespace}:{collection}:{object}".
//
// No two objects share a key: in the namespace and the collection, ':' is
// written as "%3A" and '%' as "%25". The object is the rest of the key and
// stands as it is, so that ids with a colon give the key that other
// implementations give.
func Key(namespace, collection, object string) string {
	return keyPrefix + escapePart(namespace) + ":" + escapePart(collection) + ":" + object
}

// SplitKey takes a key of [Key]'s form apart. It reports false when the form
// is another or a part is empty.
func SplitKey(key string) (namespace, collection, object string, ok bool) {
	rest, ok := strings.CutPrefix(key, keyPrefix)
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
