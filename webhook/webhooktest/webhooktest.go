// Package webhooktest helps to test code that publishes events, without a database and without
// delivering anything:
//
//	d, store := webhooktest.New(t)
//	err := shop.PlaceOrder(ctx, d, order) // calls d.Emit
//	e := webhooktest.RequireEmitted(t, store, event.ObjectCreated)
//
// For code that calls EmitTx, begin a transaction with [memstore.Store.Begin] and pass it to the
// code. Its events count as emitted once it is committed.
//
// # What is where
//
// [New] makes the Dispatcher and its store. [Emitted] returns what was emitted; [RequireEmitted]
// and [RequireEmittedTypes] fail the test if that is not what was expected.
package webhooktest

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// New returns a Dispatcher and its store, which is in memory. The Dispatcher is not running, so it
// delivers nothing. If it cannot be made, the test fails.
func New(t testing.TB) (*dispatch.Dispatcher, *memstore.Store) {
	t.Helper()
	store := memstore.New()
	d, err := dispatch.New(store, dispatch.Config{})
	require.NoError(t, err)
	return d, store
}

// Emitted returns the events that were emitted, the first one first, as a consumer decodes
// them: numbers in their Metadata are json.Number.
func Emitted(t testing.TB, store *memstore.Store) []*event.Event {
	t.Helper()
	var events []*event.Event
	for _, stored := range store.Events() {
		e := &event.Event{}
		require.NoError(t, json.Unmarshal(stored.Payload, e), "the event %s", stored.ID)
		e.OrganizationID = stored.OrganizationID
		events = append(events, e)
	}
	return events
}

// RequireEmitted returns the one event of the type that was emitted. It fails the test
// if there are none, or several. Events of other types do not matter.
func RequireEmitted(t testing.TB, store *memstore.Store, eventType string) *event.Event {
	t.Helper()
	all := Emitted(t, store)
	of := slices.DeleteFunc(slices.Clone(all),
		func(e *event.Event) bool { return e.Type != eventType })
	require.Len(t, of, 1, "one event of the type %s must be emitted; emitted are %q", eventType,
		types(all))
	return of[0]
}

// RequireEmittedTypes fails the test unless exactly these events were emitted, in this order, by
// type. Without types, it fails the test if any event was emitted.
func RequireEmittedTypes(t testing.TB, store *memstore.Store, eventTypes ...string) {
	t.Helper()
	require.Equal(t, append([]string{}, eventTypes...), types(Emitted(t, store)),
		"the types of the events that were emitted")
}

func types(events []*event.Event) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, e.Type)
	}
	return out
}
