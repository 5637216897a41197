package receiver_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// The most specific pattern gets the event, in whatever order On was called.
func TestRouter(t *testing.T) {
	t.Parallel()
	router := receiver.NewRouter()
	var got event.Pattern
	for _, p := range []event.Pattern{"*", "cluster.*", "cluster.execution.*",
		"cluster.execution.failed", "object.created"} {
		router.On(p, func(context.Context, *event.Event) error { got = p; return nil })
	}
	for eventType, want := range map[string]event.Pattern{
		"cluster.execution.failed":       "cluster.execution.failed",
		"cluster.execution.started":      "cluster.execution.*",
		"cluster.execution.node.started": "cluster.execution.*",
		"cluster.execution":              "cluster.*",
		"cluster.created":                "cluster.*",
		"cluster":                        "*",
		"clusters.created":               "*",
		"object.created":                 "object.created",
		"object.updated":                 "*",
		"":                               "*",
	} {
		assert.NoError(t, router.HandleEvent(t.Context(), &event.Event{Type: eventType}))
		assert.Equal(t, want, got, eventType)
		assert.True(t, want.Match(eventType), "the router agrees with Pattern.Match")
	}
}

func TestRouterNoHandler(t *testing.T) {
	t.Parallel()
	router := receiver.NewRouter()
	router.On("object.*", ok)
	assert.ErrorIs(t, router.HandleEvent(t.Context(), &event.Event{Type: "alert.created"}),
		receiver.ErrNoHandler)
}

func TestRouterReturnsTheHandlersError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	router := receiver.NewRouter()
	router.On("*", failing(broken))
	assert.Equal(t, broken, router.HandleEvent(t.Context(), &event.Event{Type: "alert.created"}))
}

// On panics for mistakes in the program.
func TestRouterPanics(t *testing.T) {
	t.Parallel()
	for _, p := range []event.Pattern{"", "object", "*.created", "object.*.created"} {
		assert.Panics(t, func() { receiver.NewRouter().On(p, ok) }, "pattern %q", p)
	}
	assert.Panics(t, func() { receiver.NewRouter().On("*", nil) })
	for _, p := range []event.Pattern{"*", "object.*", "object.created"} {
		router := receiver.NewRouter()
		router.On(p, ok)
		assert.Panics(t, func() { router.On(p, ok) }, "%q twice", p)
	}
}
