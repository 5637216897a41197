package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// dispatcherEngine is a Dispatcher with subscriptions that all go to the sink.
type dispatcherEngine struct {
	dispatcher *dispatch.Dispatcher
	shape      shape
	emits      atomic.Int64
	store      *store
	stop       context.CancelFunc
	ended      chan error
}

func newDispatcherEngine(
	ctx context.Context, o options, s *sink, storeName string, shape shape,
) (*dispatcherEngine, error) {
	opened, err := openStore(ctx, o, storeName)
	if err != nil {
		return nil, err
	}
	d, err := newDispatcher(o, s, opened)
	for i := 0; i < shape.organizations*shape.subscriptions && err == nil; i++ {
		organization := organizationName(i / shape.subscriptions)
		err = d.CreateSubscription(ctx, newSubscription(organization, s.url))
	}
	if err != nil {
		return nil, errors.Join(err, opened.close())
	}
	return &dispatcherEngine{dispatcher: d, shape: shape, store: opened}, nil
}

func organizationName(i int) string { return fmt.Sprintf("org_%04d", i) }

func (e *dispatcherEngine) emit(ctx context.Context) error {
	event := newEvent()
	event.OrganizationID = organizationName(int(e.emits.Add(1)) % e.shape.organizations)
	_, err := e.dispatcher.Emit(ctx, event)
	return err
}

func (e *dispatcherEngine) start(ctx context.Context) error {
	ctx, e.stop = context.WithCancel(ctx)
	e.ended = make(chan error, 1)
	go func() { e.ended <- e.dispatcher.Run(ctx) }()
	return nil
}

func (e *dispatcherEngine) close() error {
	var err error
	if e.stop != nil {
		e.stop()
		err = <-e.ended
	}
	return errors.Join(err, e.store.close())
}

// runDispatcher runs a Dispatcher on a store of its own. Stop ends both.
func runDispatcher(
	ctx context.Context, o options, s *sink, storeName string,
) (d *dispatch.Dispatcher, stop func() error, err error) {
	opened, err := openStore(ctx, o, storeName)
	if err != nil {
		return nil, nil, err
	}
	if d, err = newDispatcher(o, s, opened); err != nil {
		return nil, nil, errors.Join(err, opened.close())
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(running) }()
	return d, func() error {
		cancel()
		return errors.Join(<-ended, opened.close())
	}, nil
}

func newDispatcher(o options, s *sink, store webhook.Store) (*dispatch.Dispatcher, error) {
	// The sink is on loopback, and may speak plain HTTP.
	channels, err := standard.New(standard.Config{HTTP: channelkit.HTTPConfig{AllowHTTP: true,
		AllowPrivate: true, TLS: s.trust()}})
	if err != nil {
		return nil, err
	}
	return dispatch.New(store, dispatch.Config{
		Channels:               channels,
		MaxInFlight:            4 * o.inFlight / 3, // of which 3/4 are for endpoints that are new
		MaxInFlightPerEndpoint: o.inFlight,
		Retention:              dispatch.Retention{Succeeded: o.retention},
		Logger:                 slog.New(slog.DiscardHandler),
	})
}

// newSubscription makes a webhook that gets all events of the organization.
func newSubscription(organizationID, url string) *webhook.Subscription {
	return &webhook.Subscription{
		OrganizationID: organizationID,
		Name:           "sink",
		EventTypes:     []event.Pattern{"object.*"},
		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{
			URL: url, Headers: map[string]string{secretHeader: secret},
		})},
	}
}

// secretHeader and secret are sent along with every delivery.
const (
	secretHeader = "X-Mixpeek-Secret"
	secret       = "a shared secret of some length"
)
