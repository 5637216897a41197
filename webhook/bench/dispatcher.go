package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// bench is a running Dispatcher with one webhook: the sink.
type bench struct {
	dispatcher *webhook.Dispatcher
	stop       context.CancelFunc
	ended      chan error
	closeStore func() error
}

func newBench(ctx context.Context, o options, s *sink, storeName string) (*bench, error) {
	d, closeStore, err := newDispatcher(ctx, o, s, storeName)
	if err != nil {
		return nil, err
	}
	runCtx, stop := context.WithCancel(ctx)
	b := &bench{dispatcher: d, stop: stop, ended: make(chan error, 1), closeStore: closeStore}
	go func() { b.ended <- d.Run(runCtx) }()
	return b, nil
}

func (b *bench) close() error {
	b.stop()
	return errors.Join(<-b.ended, b.closeStore())
}

func newDispatcher(ctx context.Context, o options, s *sink, storeName string) (*webhook.Dispatcher, func() error, error) {
	store, closeStore, err := openStore(ctx, o, storeName)
	if err != nil {
		return nil, nil, err
	}
	// The sink is on loopback and speaks plain HTTP.
	channels, err := channel.Standard(channel.StandardConfig{HTTP: channel.HTTPConfig{AllowHTTP: true, AllowPrivate: true}})
	if err != nil {
		return nil, nil, err
	}
	d, err := webhook.New(store, webhook.Config{
		Channels:               channels,
		MaxInFlightPerEndpoint: o.inFlight, // the sink is the only endpoint
		Logger:                 slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, nil, err
	}
	return d, closeStore, d.CreateWebhook(ctx, &webhook.Webhook{
		Name:       "sink",
		EventTypes: []event.Pattern{"object.*"},
		Channels: []webhook.ChannelConfig{webhook.Via(channel.NameWebhook, map[string]any{
			"url": s.url, "headers": map[string]string{"X-Mixpeek-Secret": "a shared secret of some length"},
		})},
	})
}
