package event

import "slices"

// The built-in event types. The catalogue is open: your own types work
// everywhere a built-in one does, see [ValidType].
const (
	ObjectCreated       = "object.created"
	ObjectUpdated       = "object.updated"
	ObjectDeleted       = "object.deleted"
	ObjectRedacted      = "object.redacted"
	ObjectsCreatedBatch = "objects.created.batch"

	CollectionCreated          = "collection.created"
	CollectionUpdated          = "collection.updated"
	CollectionDeleted          = "collection.deleted"
	CollectionDocumentsWritten = "collection.documents.written"

	TaxonomyCreated        = "taxonomy.created"
	TaxonomyUpdated        = "taxonomy.updated"
	TaxonomyDeleted        = "taxonomy.deleted"
	TaxonomyMappingUpdated = "taxonomy.mapping.updated"
	TaxonomyMaterialized   = "taxonomy.materialized"

	ClusterCreated            = "cluster.created"
	ClusterUpdated            = "cluster.updated"
	ClusterDeleted            = "cluster.deleted"
	ClusterExecutionStarted   = "cluster.execution.started"
	ClusterExecutionCompleted = "cluster.execution.completed"
	ClusterExecutionFailed    = "cluster.execution.failed"
	ClusterCompleted          = "cluster.completed"

	TriggerCreated            = "trigger.created"
	TriggerUpdated            = "trigger.updated"
	TriggerDeleted            = "trigger.deleted"
	TriggerPaused             = "trigger.paused"
	TriggerResumed            = "trigger.resumed"
	TriggerFired              = "trigger.fired"
	TriggerExecutionCompleted = "trigger.execution.completed"
	TriggerExecutionFailed    = "trigger.execution.failed"

	AlertCreated            = "alert.created"
	AlertUpdated            = "alert.updated"
	AlertDeleted            = "alert.deleted"
	AlertTriggered          = "alert.triggered"
	AlertExecutionCompleted = "alert.execution.completed"
	AlertExecutionFailed    = "alert.execution.failed"

	BatchCompleted = "batch.completed"
)

// Status says whether the live service emits an event type already.
type Status string

// The states of a built-in event type. This module treats both alike.
const (
	StatusImplemented Status = "implemented"
	StatusPlanned     Status = "planned"
)

// TypeInfo describes an event type of a [Catalogue].
type TypeInfo struct {
	// Type is the event type: "object.created".
	Type string
	// Category groups types: "object", "collection".
	Category string
	// Status says whether the service emits the type already. Empty means
	// [StatusImplemented].
	Status Status
	// DefaultScope is how much of a cache such an event makes stale unless its
	// envelope says otherwise. The contract gives it for objects (key) and for
	// collections, taxonomies and clusters (collection). A batch may have
	// written to any collection of its namespace; triggers and alerts change no
	// cached data ([ScopeNone]).
	DefaultScope ScopeKind
	// Description is one line for people.
	Description string
}

// Catalogue lists the event types of a service, for people to choose from. It is not a
// bound: other types work as well.
type Catalogue []TypeInfo

// Mixpeek returns the built-in event types, grouped by category. The caller may change
// what it gets.
func Mixpeek() Catalogue { return slices.Clone(catalogue[:]) }

// Validate checks that each type is a [ValidType] and is listed once. The error is a
// [*ValidationError].
func (c Catalogue) Validate() error {
	var p Problems
	seen := make(map[string]bool, len(c))
	for i, info := range c {
		field := pathOfElement(i) + ".Type"
		p.required(field, info.Type, ValidType)
		if seen[info.Type] {
			p.Add(field, "is listed twice")
		}
		seen[info.Type] = true
	}
	return p.Err()
}

// Lookup finds a built-in event type. It does not allocate.
func Lookup(eventType string) (TypeInfo, bool) {
	for i := range catalogue {
		if catalogue[i].Type == eventType {
			return catalogue[i], true
		}
	}
	return TypeInfo{}, false
}

// catalogue is never written to.
var catalogue = [...]TypeInfo{
	{ObjectCreated, "object", StatusImplemented, ScopeKey, "An object was ingested into a bucket"},
	{ObjectUpdated, "object", StatusImplemented, ScopeKey, "An object's content or metadata changed"},
	{ObjectDeleted, "object", StatusImplemented, ScopeKey, "An object was deleted for good"},
	{ObjectRedacted, "object", StatusPlanned, ScopeKey, "Personal data was removed from an object"},
	{ObjectsCreatedBatch, "object", StatusImplemented, ScopeKey, "Several objects were ingested at once"},

	{CollectionCreated, "collection", StatusImplemented, ScopeCollection, "A collection was created"},
	{CollectionUpdated, "collection", StatusImplemented, ScopeCollection, "A collection's configuration changed"},
	{CollectionDeleted, "collection", StatusImplemented, ScopeCollection, "A collection was deleted"},
	{CollectionDocumentsWritten, "collection", StatusImplemented, ScopeCollection, "Documents were written to a collection's index"},

	{TaxonomyCreated, "taxonomy", StatusImplemented, ScopeCollection, "A taxonomy was created"},
	{TaxonomyUpdated, "taxonomy", StatusImplemented, ScopeCollection, "A taxonomy changed"},
	{TaxonomyDeleted, "taxonomy", StatusImplemented, ScopeCollection, "A taxonomy was deleted"},
	{TaxonomyMappingUpdated, "taxonomy", StatusPlanned, ScopeCollection, "The mapping of a taxonomy to a collection changed"},
	{TaxonomyMaterialized, "taxonomy", StatusImplemented, ScopeCollection, "A taxonomy was applied to a collection's documents"},

	{ClusterCreated, "cluster", StatusImplemented, ScopeCollection, "A cluster was created"},
	{ClusterUpdated, "cluster", StatusImplemented, ScopeCollection, "A cluster's configuration changed"},
	{ClusterDeleted, "cluster", StatusImplemented, ScopeCollection, "A cluster was deleted"},
	{ClusterExecutionStarted, "cluster", StatusImplemented, ScopeCollection, "A clustering run began"},
	{ClusterExecutionCompleted, "cluster", StatusImplemented, ScopeCollection, "A clustering run ended well"},
	{ClusterExecutionFailed, "cluster", StatusImplemented, ScopeCollection, "A clustering run failed"},
	{ClusterCompleted, "cluster", StatusImplemented, ScopeCollection, "A clustering run's results are ready"},

	{TriggerCreated, "trigger", StatusImplemented, ScopeNone, "A trigger was created"},
	{TriggerUpdated, "trigger", StatusImplemented, ScopeNone, "A trigger's configuration changed"},
	{TriggerDeleted, "trigger", StatusImplemented, ScopeNone, "A trigger was deleted"},
	{TriggerPaused, "trigger", StatusImplemented, ScopeNone, "A trigger was paused"},
	{TriggerResumed, "trigger", StatusImplemented, ScopeNone, "A paused trigger was resumed"},
	{TriggerFired, "trigger", StatusImplemented, ScopeNone, "A trigger's condition was met"},
	{TriggerExecutionCompleted, "trigger", StatusImplemented, ScopeNone, "What a trigger started ended well"},
	{TriggerExecutionFailed, "trigger", StatusImplemented, ScopeNone, "What a trigger started failed"},

	{AlertCreated, "alert", StatusImplemented, ScopeNone, "An alert was created"},
	{AlertUpdated, "alert", StatusImplemented, ScopeNone, "An alert's configuration changed"},
	{AlertDeleted, "alert", StatusImplemented, ScopeNone, "An alert was deleted"},
	{AlertTriggered, "alert", StatusImplemented, ScopeNone, "An alert's condition was met"},
	{AlertExecutionCompleted, "alert", StatusImplemented, ScopeNone, "An alert's evaluation ended well"},
	{AlertExecutionFailed, "alert", StatusImplemented, ScopeNone, "An alert's evaluation failed"},

	{BatchCompleted, "batch", StatusImplemented, ScopeNamespace, "A batch of objects was processed"},
}
