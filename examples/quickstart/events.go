package main

import "github.com/mixpeek/webhooks-go/event"

// documentedEvents returns fresh events of the kinds that the contract
// documents, each with an id of its own.
func documentedEvents() []*event.Event {
	return []*event.Event{objectCreated(), collectionUpdated(), taxonomyCreated(), documentsWritten()}
}

func objectCreated() *event.Event {
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_abc123"})
	e.Namespace, e.Collection = "acme", "articles"
	e.IndexSignature = "sig_c1f9"
	e.Metadata = map[string]any{
		"object_id": "obj_abc123", "bucket_id": "bkt_xyz", "namespace_id": "ns_acme",
		"content_type": "video/mp4",
	}
	e.CacheScope = e.DefaultScope() // for an object: its key
	return e
}

func collectionUpdated() *event.Event {
	e := event.New(event.CollectionUpdated, event.Subject{Type: "collection", ID: "col_images"})
	e.Namespace, e.Collection = "acme", "images"
	e.Metadata = map[string]any{"collection_id": "col_images", "changed": []string{"ranker"}}
	e.CacheScope = e.DefaultScope() // for a collection: all of its keys
	return e
}

func taxonomyCreated() *event.Event {
	e := event.New(event.TaxonomyCreated, event.Subject{Type: "taxonomy", ID: "tax_genres"})
	e.Namespace, e.Collection = "acme", "films"
	e.Metadata = map[string]any{"taxonomy_id": "tax_genres", "collection_id": "col_films"}
	e.CacheScope = e.DefaultScope() // for a taxonomy: the keys of its collection
	return e
}

// documentsWritten is in the form of the later sender, which names the namespace
// by its id only. Receivers accept both forms.
func documentsWritten() *event.Event {
	e := event.New(event.CollectionDocumentsWritten,
		event.Subject{Type: "collection", ID: "col_products"})
	e.NamespaceID = "ns_prod"
	e.Metadata = map[string]any{
		"document_count": 100, "collection_id": "col_products", "index_signature": "sig_xyz789",
	}
	e.CacheScope = event.CollectionScope("col_products")
	return e
}

// alertTriggered makes nothing stale, and is for people rather than caches.
func alertTriggered() *event.Event {
	e := event.New(event.AlertTriggered, event.Subject{Type: "alert", ID: "alr_search_latency"})
	e.Namespace = "acme"
	e.Metadata = map[string]any{"severity": "critical", "summary": "search takes 2.4 s"}
	return e
}
