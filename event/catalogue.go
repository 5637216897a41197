package event

import "slices"

// The built-in event types. Types of your own work everywhere a built-in type does, see
// [ValidType].
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

// TypeStatus says whether the service already emits events of a type.
type TypeStatus string

// The statuses of an event type. They are for people to read: this module handles both alike.
const (
	TypeImplemented TypeStatus = "implemented"
	TypePlanned     TypeStatus = "planned"
)

// TypeInfo describes an event type of a [Catalogue].
type TypeInfo struct {
	// Type is the event type: "object.created".
	Type string
	// Category groups types: "object", "collection".
	Category string
	// Status says whether the service already emits the type. Empty means
	// [TypeImplemented].
	Status TypeStatus
	// DefaultScope is how much of a cache such an event makes stale. Events about objects
	// have key scopes; those about collections, taxonomies and clusters have collection
	// scopes; a batch may write to any collection of its namespace; triggers and alerts
	// change no cached data ([ScopeNone]). See [Event.DefaultScope].
	DefaultScope ScopeKind
	// Description is one line of text for people.
	Description string
	// Example is the JSON of a sample envelope. The management API shows it to subscribers, and
	// previews and tests use it when a request has no event; they fill in missing fields, so subject
	// and metadata are enough. Empty means that there is no example.
	Example string
}

// Catalogue lists the event types of a service, for subscribers to choose from. Events of types
// that it does not list are emitted and delivered too.
type Catalogue []TypeInfo

// Mixpeek returns a copy of the built-in event types, grouped by category.
func Mixpeek() Catalogue { return slices.Clone(catalogue[:]) }

// Validate returns a [*ValidationError] unless every type is a [ValidType] and listed once, and
// every example decodes and has either no event_type or the type that it is an example of.
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
		if info.Example != "" {
			checkExample(&p, pathOfElement(i)+".Example", info)
		}
	}
	return p.Err()
}

func checkExample(p *Problems, field string, info TypeInfo) {
	e, err := Decode([]byte(info.Example))
	switch {
	case err != nil:
		p.AddError(field, err)
	case e.Type != "" && e.Type != info.Type:
		p.Add(field, "must be of type %s, is of type %s", info.Type, e.Type)
	}
}

// Lookup returns the entry of a type in the catalogue. It returns false if the type is not listed.
// It does not allocate.
func (c Catalogue) Lookup(eventType string) (TypeInfo, bool) {
	for i := range c {
		if c[i].Type == eventType {
			return c[i], true
		}
	}
	return TypeInfo{}, false
}

// Lookup returns the entry of a type in the [Mixpeek] catalogue. It returns false if the type is
// not listed. It does not allocate.
func Lookup(eventType string) (TypeInfo, bool) { return Catalogue(catalogue[:]).Lookup(eventType) }

// catalogue must not be changed: Lookup reads it concurrently.
var catalogue = [...]TypeInfo{
	builtIn(ObjectCreated, "object", TypeImplemented, ScopeKey,
		"An object was ingested into a bucket"),
	builtIn(ObjectUpdated, "object", TypeImplemented, ScopeKey,
		"An object's content or metadata changed"),
	builtIn(ObjectDeleted, "object", TypeImplemented, ScopeKey, "An object was deleted permanently"),
	builtIn(ObjectRedacted, "object", TypePlanned, ScopeKey,
		"Personal data was removed from an object"),
	builtIn(ObjectsCreatedBatch, "object", TypeImplemented, ScopeKey,
		"Several objects were ingested at once"),

	builtIn(CollectionCreated, "collection", TypeImplemented, ScopeCollection,
		"A collection was created"),
	builtIn(CollectionUpdated, "collection", TypeImplemented, ScopeCollection,
		"A collection's configuration changed"),
	builtIn(CollectionDeleted, "collection", TypeImplemented, ScopeCollection,
		"A collection was deleted"),
	builtIn(CollectionDocumentsWritten, "collection", TypeImplemented, ScopeCollection,
		"Documents were written to a collection's index"),

	builtIn(TaxonomyCreated, "taxonomy", TypeImplemented, ScopeCollection, "A taxonomy was created"),
	builtIn(TaxonomyUpdated, "taxonomy", TypeImplemented, ScopeCollection, "A taxonomy changed"),
	builtIn(TaxonomyDeleted, "taxonomy", TypeImplemented, ScopeCollection, "A taxonomy was deleted"),
	builtIn(TaxonomyMappingUpdated, "taxonomy", TypePlanned, ScopeCollection,
		"The mapping of a taxonomy to a collection changed"),
	builtIn(TaxonomyMaterialized, "taxonomy", TypeImplemented, ScopeCollection,
		"A taxonomy was applied to a collection's documents"),

	builtIn(ClusterCreated, "cluster", TypeImplemented, ScopeCollection, "A cluster was created"),
	builtIn(ClusterUpdated, "cluster", TypeImplemented, ScopeCollection,
		"A cluster's configuration changed"),
	builtIn(ClusterDeleted, "cluster", TypeImplemented, ScopeCollection, "A cluster was deleted"),
	builtIn(ClusterExecutionStarted, "cluster", TypeImplemented, ScopeCollection,
		"A clustering run began"),
	builtIn(ClusterExecutionCompleted, "cluster", TypeImplemented, ScopeCollection,
		"A clustering run succeeded"),
	builtIn(ClusterExecutionFailed, "cluster", TypeImplemented, ScopeCollection,
		"A clustering run failed"),
	builtIn(ClusterCompleted, "cluster", TypeImplemented, ScopeCollection,
		"A clustering run's results are ready"),

	builtIn(TriggerCreated, "trigger", TypeImplemented, ScopeNone, "A trigger was created"),
	builtIn(TriggerUpdated, "trigger", TypeImplemented, ScopeNone,
		"A trigger's configuration changed"),
	builtIn(TriggerDeleted, "trigger", TypeImplemented, ScopeNone, "A trigger was deleted"),
	builtIn(TriggerPaused, "trigger", TypeImplemented, ScopeNone, "A trigger was paused"),
	builtIn(TriggerResumed, "trigger", TypeImplemented, ScopeNone, "A paused trigger was resumed"),
	builtIn(TriggerFired, "trigger", TypeImplemented, ScopeNone, "A trigger's condition was met"),
	builtIn(TriggerExecutionCompleted, "trigger", TypeImplemented, ScopeNone,
		"A run that a trigger started succeeded"),
	builtIn(TriggerExecutionFailed, "trigger", TypeImplemented, ScopeNone,
		"A run that a trigger started failed"),

	builtIn(AlertCreated, "alert", TypeImplemented, ScopeNone, "An alert was created"),
	builtIn(AlertUpdated, "alert", TypeImplemented, ScopeNone, "An alert's configuration changed"),
	builtIn(AlertDeleted, "alert", TypeImplemented, ScopeNone, "An alert was deleted"),
	builtIn(AlertTriggered, "alert", TypeImplemented, ScopeNone, "An alert's condition was met"),
	builtIn(AlertExecutionCompleted, "alert", TypeImplemented, ScopeNone,
		"An alert's evaluation succeeded"),
	builtIn(AlertExecutionFailed, "alert", TypeImplemented, ScopeNone, "An alert's evaluation failed"),

	builtIn(BatchCompleted, "batch", TypeImplemented, ScopeNamespace,
		"A batch of objects was processed"),
}

func builtIn(name, category string, s TypeStatus, scope ScopeKind, description string) TypeInfo {
	return TypeInfo{
		Type: name, Category: category, Status: s, DefaultScope: scope, Description: description,
	}
}
