package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// dispatcherEngine is a Dispatcher with one webhook: the sink.
type dispatcherEngine struct {
	dispatcher *dispatch.Dispatcher
	store      *store
	stop       context.CancelFunc
	ended      chan error
}

func newDispatcherEngine(
	ctx context.Context, o options, s *sink, storeName string,
) (*dispatcherEngine, error) {
	opened, err := openStore(ctx, o, storeName)
	if err != nil {
		return nil, err
	}
	d, err := newDispatcher(o, opened)
	if err == nil {
		err = d.CreateSubscription(ctx, newSubscription("", s.url))
	}
	if err != nil {
		return nil, errors.Join(err, opened.close())
	}
	return &dispatcherEngine{dispatcher: d, store: opened}, nil
}

func (e *dispatcherEngine) emit(ctx context.Context) error {
	_, err := e.dispatcher.Emit(ctx, newEvent())
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

func newDispatcher(o options, s webhook.Store) (*dispatch.Dispatcher, error) {
	// The sink is on loopback and speaks plain HTTP.
	channels, err := standard.New(standard.Config{HTTP: channelkit.HTTPConfig{AllowHTTP: true,
		AllowPrivate: true}})
	if err != nil {
		return nil, err
	}
	return dispatch.New(s, dispatch.Config{
		Channels:               channels,
		MaxInFlightPerEndpoint: o.inFlight, // the sink is the only endpoint
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
