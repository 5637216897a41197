// Command receiver is the receiving half as a server, made with package receiver. It verifies the
// webhooks that are posted to /webhooks, handles each event once, and drops from a cache what the
// event makes stale. SIGTERM and SIGINT stop it cleanly: running handlers end, and senders send
// again what was not acknowledged.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/examples/internal/httpserver"
	"github.com/mixpeek/webhooks-go/receiver"
)

func main() {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	cfg, err := parseConfig(os.Args[1:], os.Getenv, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		logger.Error("invalid configuration", "error", err)
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

func run(ctx context.Context, cfg config, logger *slog.Logger) error {
	cache := newCache(cfg.keys, logger)
	rcv, err := receiver.New(receiver.Config{
		Secrets:        []receiver.Secret{{Value: cfg.secret}},
		AllowHTTP:      cfg.dev,
		TrustedProxies: cfg.trustedProxies,
		Invalidator:    receiver.InvalidatorFunc(cache.invalidate),
		Logger:         logger,
	})
	if err != nil {
		return err
	}
	service, events := newService(cfg.notify), receiver.NewRouter()
	events.On(event.MatchAll, func(ctx context.Context, e *event.Event) error {
		if cfg.notify != "" {
			if err := service.notify(ctx, e); err != nil {
				return err
			}
		}
		logger.Info("handled", "event_id", e.ID, "event_type", e.Type,
			"subject", e.Subject.Type+" "+e.Subject.ID)
		return nil
	})

	mux := http.NewServeMux()
	mux.Handle("/webhooks", rcv.Handler(events))
	mux.HandleFunc("GET /healthz",
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	return httpserver.Serve(ctx, logger, cfg.addr, mux)
}
