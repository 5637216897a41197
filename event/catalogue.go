package event

import (
	"fmt"
	"strings"
)

// The built-in event types.
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

// TypeInfo describes a built-in event type.
type TypeInfo struct {
	// Type is the event type: "object.created".
	Type string
	// Category groups types: "object", "collection".
	Category string
	// Status says whether the live service emits the type already.
	Status Status
	// DefaultScope is how much of a cache such an event makes stale unless it
	// says otherwise.
	DefaultScope ScopeKind
	// Description is one line for people.
	Description string
}

// Catalogue returns the built-in event types.
func Catalogue() []TypeInfo { return nil }

// Lookup finds a built-in event type.
func Lookup(eventType string) (TypeInfo, bool) { return TypeInfo{Type: eventType}, false }

const (
	maxTypeLength = 128
	minSegments   = 2
	maxSegments   = 4
)

// ValidType says whether s can be an event type, built in or a user's own.
func ValidType(s string) error { return validSegments(s, minSegments, maxSegments) }

func validSegments(s string, atLeast, atMost int) error {
	if n := strings.Count(s, ".") + 1; n < atLeast || n > atMost {
		return fmt.Errorf("must have %d to %d segments separated by dots", atLeast, atMost)
	}
	return nil
}
