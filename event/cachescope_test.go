package event_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

func TestCovers(t *testing.T) {
	t.Parallel()
	key := event.CacheKey("acme", "articles", "obj_1")
	tests := map[string]struct {
		scope *event.CacheScope
		key   string
		want  bool
	}{
		"nil":     {nil, key, false},
		"no kind": {&event.CacheScope{Keys: []string{key}}, key, false},
		"unknown kind": {&event.CacheScope{Kind: "world", Keys: []string{key}}, key,
			false},
		"key":                          {event.KeyScope("other", key), key, true},
		"key in capitals":              {&event.CacheScope{Kind: "KEY", Keys: []string{key}}, key, true},
		"another key":                  {event.KeyScope(key), key + "2", false},
		"prefix of a key":              {event.KeyScope(key), "mixpeek:acme:articles:obj", false},
		"no keys":                      {event.KeyScope(), key, false},
		"key of another form":          {event.KeyScope("invoice:1"), "invoice:1", true},
		"collection":                   {event.CollectionScope("articles"), key, true},
		"another collection":           {event.CollectionScope("article"), key, false},
		"collection in object's place": {event.CollectionScope("obj_1"), key, false},
		"collection, key of other form": {event.CollectionScope("articles"), "x:acme:articles:obj_1",
			false},
		"collection, key too short": {event.CollectionScope("articles"), "mixpeek:acme:articles",
			false},
		"collection without id": {event.CollectionScope(""), "mixpeek:acme::obj_1", false},
		"namespace by id":       {event.NamespaceScope("acme"), key, true},
		"namespace by name": {&event.CacheScope{Kind: "namespace", Namespace: "acme"}, key,
			true},
		"another namespace":     {event.NamespaceScope("acm"), key, false},
		"namespace without any": {event.NamespaceScope(""), "mixpeek::articles:obj_1", false},
		"collection with a colon": {event.CollectionScope("a:b"),
			event.CacheKey("acme", "a:b", "obj_1"), true},
		"part of a name with a colon": {event.CollectionScope("a"),
			event.CacheKey("acme", "a:b", "obj_1"), false},
		"object with a colon": {event.CollectionScope("articles"),
			event.CacheKey("acme", "articles", "s3://b/k"), true},
	}
	for name, test := range tests {
		assert.Equal(t, test.want, test.scope.Covers(test.key), name)
	}
}

func TestInvalidates(t *testing.T) {
	t.Parallel()
	byName := event.CacheKey("acme", "articles", "obj_1")
	byID := event.CacheKey("ns_1", "col_1", "obj_1")
	collection, namespace := event.CollectionScope("col_1"), event.NamespaceScope("ns_1")
	tests := map[string]struct {
		event event.Event
		key   string
		want  bool
	}{
		"no scope": {event.Event{Namespace: "acme", Collection: "articles"}, byName,
			false},
		"key": {event.Event{CacheScope: event.KeyScope(byName)}, byName, true},
		"another key": {event.Event{CacheScope: event.KeyScope(byName),
			Namespace: "ns_1", Collection: "col_1"}, byID, false},
		"collection by id": {event.Event{CacheScope: collection}, byID, true},
		"collection by name": {event.Event{CacheScope: collection, Namespace: "acme",
			Collection: "articles"}, byName, true},
		"name in another namespace": {event.Event{CacheScope: collection, Namespace: "beta",
			Collection: "articles"}, byName, false},
		"name, namespace by id only": {event.Event{CacheScope: collection, NamespaceID: "ns_1",
			Collection: "articles"}, byName, true},
		"name, key's namespace an id": {event.Event{CacheScope: collection, Namespace: "acme",
			NamespaceID: "ns_1", Collection: "articles"}, event.CacheKey("ns_1", "articles", "o"), true},
		"ids only, key by name": {event.Event{CacheScope: collection, NamespaceID: "ns_1"}, byName,
			false},
		"another collection": {event.Event{CacheScope: collection, Namespace: "acme",
			Collection: "videos"}, byName, false},
		"namespace by id": {event.Event{CacheScope: namespace}, byID, true},
		"namespace by the event": {event.Event{CacheScope: namespace, Namespace: "acme"}, byName,
			true},
		"event of another namespace": {event.Event{CacheScope: namespace, Namespace: "acme",
			NamespaceID: "ns_2"}, byName, false},
		"another namespace": {event.Event{CacheScope: namespace, Namespace: "beta"}, byName,
			false},
		"key of another form": {event.Event{CacheScope: namespace, Namespace: "acme"},
			"acme:articles", false},
		"unknown kind": {event.Event{CacheScope: &event.CacheScope{Kind: "world"},
			Namespace: "acme"}, byName, false},
		"key scope does not look wide": {event.Event{CacheScope: event.KeyScope("x"), Namespace: "acme",
			Collection: "articles"}, byName, false},
	}
	for name, test := range tests {
		assert.Equal(t, test.want, test.event.Invalidates(test.key), name)
	}
}

func TestDefaultScope(t *testing.T) {
	t.Parallel()
	object := event.Subject{Type: "object", ID: "obj_1"}
	collection := event.Subject{Type: "collection", ID: "col_1"}
	taxonomy := event.Subject{Type: "taxonomy", ID: "tax_1"}
	tests := map[string]struct {
		event event.Event
		want  *event.CacheScope
	}{
		"object": {event.Event{Type: event.ObjectUpdated, Namespace: "acme",
			Collection: "articles", Subject: object}, event.KeyScope("mixpeek:acme:articles:obj_1")},
		"object, namespace_id": {event.Event{Type: event.ObjectDeleted, NamespaceID: "ns_1",
			Collection: "articles", Subject: object}, event.KeyScope("mixpeek:ns_1:articles:obj_1")},
		"object, no collection": {event.Event{Type: event.ObjectUpdated, Namespace: "acme",
			Subject: object}, nil},
		"object, no namespace": {event.Event{Type: event.ObjectUpdated, Collection: "articles",
			Subject: object}, nil},
		"objects": {event.Event{Type: event.ObjectsCreatedBatch, Namespace: "acme",
			Collection: "articles", Subject: event.Subject{Type: "bucket", ID: "bkt_1"}}, nil},
		"collection": {event.Event{Type: event.CollectionDocumentsWritten,
			Subject: collection}, event.CollectionScope("col_1")},
		"taxonomy": {event.Event{Type: event.TaxonomyMaterialized, Subject: taxonomy,
			Metadata: map[string]any{"collection_id": "col_2"}}, event.CollectionScope("col_2")},
		"taxonomy, no id": {event.Event{Type: event.TaxonomyMaterialized, Subject: taxonomy,
			Collection: "articles"}, nil},
		"taxonomy, odd id": {event.Event{Type: event.TaxonomyMaterialized, Subject: taxonomy,
			Metadata: map[string]any{"collection_id": 7}}, nil},
		"batch by id": {event.Event{Type: event.BatchCompleted, Namespace: "acme",
			NamespaceID: "ns_1"}, event.NamespaceScope("ns_1")},
		"batch by name": {event.Event{Type: event.BatchCompleted, Namespace: "acme"},
			&event.CacheScope{Kind: event.ScopeNamespace, Namespace: "acme"}},
		"batch, no namespace": {event.Event{Type: event.BatchCompleted}, nil},
		"alert":               {event.Event{Type: event.AlertTriggered, Namespace: "acme"}, nil},
		"own type": {event.Event{Type: "invoice.paid", Namespace: "acme",
			Collection: "articles", Subject: object}, nil},
	}
	for name, test := range tests {
		got := test.event.DefaultScope()
		assert.Equal(t, test.want, got, name)
		assert.NoError(t, got.Validate(), name)
	}
}

func TestScopeValidate(t *testing.T) {
	t.Parallel()
	assert.NoError(t, (*event.CacheScope)(nil).Validate())
	for name, test := range map[string]struct {
		scope  event.CacheScope
		fields []string
	}{
		"key":        {*event.KeyScope("mixpeek:a:b:c", "own"), nil},
		"collection": {*event.CollectionScope("col_1"), nil},
		"namespace":  {*event.NamespaceScope("ns_1"), nil},
		"capitals":   {event.CacheScope{Kind: "NAMESPACE", Namespace: "acme"}, nil},
		"zero":       {event.CacheScope{}, []string{"scope"}},
		"unknown":    {event.CacheScope{Kind: "world"}, []string{"scope"}},
		"not a k":    {event.CacheScope{Kind: "\u212aey"}, []string{"scope"}},
		"no keys":    {*event.KeyScope(), []string{"keys"}},
		"bad keys": {*event.KeyScope("mixpeek:a::c", "a\nb", ""),
			[]string{"keys[0]", "keys[1]", "keys[2]"}},
		"long key":       {*event.KeyScope(strings.Repeat("k", 1025)), []string{"keys[0]"}},
		"no collection":  {*event.CollectionScope(""), []string{"collection_id"}},
		"bad collection": {*event.CollectionScope("a\x00"), []string{"collection_id"}},
		"no namespace":   {*event.NamespaceScope(""), []string{"namespace_id"}},
		"bad namespace": {event.CacheScope{Kind: "namespace", Namespace: "\xff"},
			[]string{"namespace"}},
		"what does not count": {event.CacheScope{Kind: "key", Keys: []string{"k"}, CollectionID: "\t"},
			[]string{"collection_id"}},
		"two things at once": {event.CacheScope{Kind: "collection", NamespaceID: "\n"},
			[]string{"collection_id", "namespace_id"}},
		"collection id is long": {*event.CollectionScope(string(make([]byte, 256))),
			[]string{"collection_id", "collection_id"}},
	} {
		err := test.scope.Validate()
		if test.fields == nil {
			assert.NoError(t, err, name)
			continue
		}
		require.Error(t, err, name)
		assert.Equal(t, test.fields, fieldsOf(t, err), name)
	}
}

func TestCacheKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ namespace, collection, object, key string }{
		{"acme", "articles", "obj_1", "mixpeek:acme:articles:obj_1"},
		{"a:b", "c", "d", "mixpeek:a%3Ab:c:d"},
		{"a", "b:c", "d", "mixpeek:a:b%3Ac:d"},
		{"a", "b", "c:d", "mixpeek:a:b:c:d"},
		{"50%", "%3A", "%3A", "mixpeek:50%25:%253A:%3A"},
	} {
		assert.Equal(t, test.key, event.CacheKey(test.namespace, test.collection, test.object))
		namespace, collection, object, ok := event.SplitCacheKey(test.key)
		assert.True(t, ok)
		assert.Equal(t, [3]string{test.namespace, test.collection, test.object},
			[3]string{namespace, collection, object})
	}
	for _, key := range []string{
		"", "mixpeek", "mixpeek:", "mixpeek:a", "mixpeek:a:b", "mixpeek:a:b:", "mixpeek::b:c",
		"mixpeek:a::c", "Mixpeek:a:b:c", "other:a:b:c",
	} {
		_, _, _, ok := event.SplitCacheKey(key)
		assert.False(t, ok, key)
	}
}

// SplitCacheKey returns the parts that CacheKey joined; therefore no two objects share a key.
func FuzzCacheKey(f *testing.F) {
	f.Add("acme", "articles", "obj_1")
	f.Add("a:b", "%3A", "c:d%25")
	f.Add("%", ":", "::")
	f.Fuzz(func(t *testing.T, namespace, collection, object string) {
		key := event.CacheKey(namespace, collection, object)
		gotNamespace, gotCollection, gotObject, ok := event.SplitCacheKey(key)
		if namespace == "" || collection == "" || object == "" {
			require.False(t, ok)
			return
		}
		require.True(t, ok)
		require.Equal(t, [3]string{namespace, collection, object},
			[3]string{gotNamespace, gotCollection, gotObject})
		require.True(t, event.KeyScope(key).Covers(key))
		require.True(t, event.CollectionScope(collection).Covers(key))
		require.True(t, event.NamespaceScope(namespace).Covers(key))
		require.False(t, event.CollectionScope(collection+"x").Covers(key))
	})
}

// SplitCacheKey accepts any text.
func FuzzSplitCacheKey(f *testing.F) {
	f.Add("mixpeek:acme:articles:obj_1")
	f.Add("mixpeek:%3a:%2:%")
	f.Fuzz(func(t *testing.T, key string) {
		namespace, collection, object, ok := event.SplitCacheKey(key)
		if !ok {
			require.Empty(t, namespace+collection+object)
			return
		}
		again, _, _, ok := event.SplitCacheKey(event.CacheKey(namespace, collection, object))
		require.True(t, ok)
		require.Equal(t, namespace, again)
	})
}

func TestCacheKeysPrefix(t *testing.T) {
	t.Parallel()
	shop := event.CacheKeys{Prefix: "shop"}
	key := shop.Key("acme", "a:b", "obj:1")
	assert.Equal(t, "shop:acme:a%3Ab:obj:1", key)
	namespace, collection, object, ok := shop.Split(key)
	assert.True(t, ok)
	assert.Equal(t, []string{"acme", "a:b", "obj:1"}, []string{namespace, collection, object})
	_, _, _, ok = event.SplitCacheKey(key)
	assert.False(t, ok, "the contract's prefix is another")
	assert.Equal(t, event.CacheKey("n", "c", "o"), event.CacheKeys{}.Key("n", "c", "o"))

	e := event.New("article.changed", event.Subject{Type: "object", ID: "1"})
	e.Namespace, e.Collection = "acme", "articles"
	types := event.Catalogue{{Type: "article.changed", DefaultScope: event.ScopeKey}}
	assert.Nil(t, e.DefaultScope(), "the built-in catalogue does not list the type")
	e.CacheScope = types.DefaultScope(e, shop)
	assert.Equal(t, event.KeyScope("shop:acme:articles:1"), e.CacheScope)
	require.NoError(t, e.Validate())
	assert.True(t, shop.Invalidated(e, "shop:acme:articles:1"))

	e.CacheScope = event.CollectionScope("col_1")
	for key, stale := range map[string]bool{
		"shop:acme:articles:2":    true,
		"shop:acme:col_1:2":       true,
		"shop:other:articles:2":   false,
		"mixpeek:acme:articles:2": false,
	} {
		assert.Equal(t, stale, shop.Invalidated(e, key), key)
	}
	assert.Nil(t, types.DefaultScope(event.New("x.y", event.Subject{}), shop))
}

// Types of one's own need no namespace, and keys with a prefix of one's own may have none.
func TestCacheKeysWithoutNamespace(t *testing.T) {
	t.Parallel()
	shop := event.CacheKeys{Prefix: "shop"}
	key := shop.Key("", "articles", "1")
	assert.Equal(t, "shop::articles:1", key)
	namespace, collection, object, ok := shop.Split(key)
	assert.True(t, ok)
	assert.Equal(t, []string{"", "articles", "1"}, []string{namespace, collection, object})
	for _, other := range []string{"shop::articles", "shop:::1", "shop::articles:", "mixpeek::articles:1"} {
		_, _, _, ok := shop.Split(other)
		assert.False(t, ok, other)
	}
	_, _, _, ok = event.CacheKeys{Prefix: "mixpeek"}.Split("mixpeek::articles:1")
	assert.False(t, ok, "the contract's keys have all parts")

	named := event.Event{Collection: "articles", CacheScope: event.CollectionScope("col_1")}
	for name, test := range map[string]struct {
		event event.Event
		want  bool
	}{
		"key":                {event.Event{CacheScope: event.KeyScope(key)}, true},
		"collection":         {event.Event{CacheScope: event.CollectionScope("articles")}, true},
		"collection by name": {named, true},
		"collection by name, in a namespace": {event.Event{Namespace: "acme", NamespaceID: "ns_1",
			Collection: "articles", CacheScope: event.CollectionScope("col_1")}, true},
		"another collection": {event.Event{CacheScope: event.CollectionScope("videos")}, false},
		"namespace by id":    {event.Event{CacheScope: event.NamespaceScope("ns_1")}, false},
		"namespace by name": {event.Event{CacheScope: &event.CacheScope{Kind: "namespace",
			Namespace: "acme"}}, false},
		"namespace, both": {event.Event{Namespace: "acme", NamespaceID: "ns_1",
			CacheScope: event.NamespaceScope("ns_1")}, false},
	} {
		assert.Equal(t, test.want, shop.Invalidated(&test.event, key), name)
	}
}
