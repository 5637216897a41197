// Command emitter is the publishing half as a server. It takes events over HTTP, answers when they
// are durable in a SQLite file, and delivers them to the webhooks that subscribe to them. SIGTERM
// and SIGINT stop it cleanly: requests and attempts in progress end, and what is left is delivered
// after the next start.
//
// It listens on loopback by default, because every client that reaches it can publish.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/examples/internal/httpserver"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/monitor"
	"github.com/mixpeek/webhooks-go/webhook/promhook"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

func main() {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	cfg, err := parseConfig(os.Args[1:], os.Getenv, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		logger.Error("the configuration is wrong", "error", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, cfg, logger); err != nil {
		logger.Error("failed", "error", err)
		os.Exit(1)
	}
	logger.Info("stopped")
}

func run(ctx context.Context, cfg config, logger *slog.Logger) (err error) {
	store, err := sqlite.Open(ctx, cfg.db, sqlite.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	registry := newRegistry()
	metrics, err := promhook.New(registry, promhook.Config{})
	if err != nil {
		return err
	}
	channels, err := standard.New(standard.Config{
		HTTP: channelkit.HTTPConfig{AllowHTTP: cfg.dev, AllowPrivate: cfg.dev,
			Connected: metrics.Connected},
	})
	if err != nil {
		return err
	}
	alerts, err := monitor.New(monitor.Config{Logger: logger})
	if err != nil {
		return err
	}
	dispatcher, err := dispatch.New(store, dispatch.Config{
		Channels: channels,
		Logger:   logger,
		Hooks: dispatch.JoinHooks(
			metrics.Hooks(), alerts.Hooks(), dispatch.Hooks{Attempted: logAttempts(logger)}),
	})
	if err != nil {
		return err
	}
	metrics.Watch(dispatcher)
	if cfg.url != "" {
		if err := dispatcher.PutSubscription(ctx, cfg.subscription()); err != nil {
			return cfg.explain(err)
		}
	}

	handler, err := newHandler(dispatcher, metricsHandler(registry, logger), alerts.Reasons, logger)
	if err != nil {
		return err
	}
	if cfg.apiKey != "" {
		keys, err := apikey.New(store, apikey.Config{Logger: logger})
		if err != nil {
			return err
		}
		defer keys.Wait()
		if handler, err = withManagement(handler, dispatcher, cfg.apiKey, keys, logger); err != nil {
			return err
		}
		if handler, err = withConsole(handler, dispatcher, cfg.apiKey, keys, logger); err != nil {
			return err
		}
	}

	// Delivering outlives serving: an event that is accepted by one of the last
	// requests is stored like any other.
	delivering, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	delivered := make(chan error, 1)
	go func() { delivered <- dispatcher.Run(delivering) }()
	// The last attempts may be what there is to tell, so the monitor ends after them.
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()
	watched := make(chan error, 1)
	go func() { watched <- alerts.Run(watching, dispatcher) }()

	err = httpserver.Serve(ctx, logger, cfg.addr, handler)
	stop()
	logger.Info("draining") // attempts under way end, other deliveries stay in the store
	err = errors.Join(err, <-delivered)
	stopWatching()
	return errors.Join(err, <-watched)
}

func logAttempts(logger *slog.Logger) func(dispatch.Result) {
	return func(o dispatch.Result) {
		level := slog.LevelInfo
		if o.Attempt.Error != "" {
			level = slog.LevelWarn
		}
		logger.Log(context.Background(), level, "attempted",
			"event_id", o.EventID, "event_type", o.EventType,
			"delivery_id", o.DeliveryID.String(), "organization_id", o.OrganizationID,
			"webhook_id", o.Endpoint.SubscriptionID, "channel", o.Endpoint.Channel,
			"attempt", o.Attempt.Number, "status_code", o.Attempt.StatusCode, "error", o.Attempt.Error,
			"duration", o.Attempt.Duration.String(), "delivery", string(o.Status))
	}
}
