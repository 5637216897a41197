package main

import (
	"log/slog"
	"net/http"

	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// withManagement serves the management API (webhooks, deliveries, replays) before the handler. This
// server has one organization, with an empty name, and one API key for it. A service with
// customers gives each of them an organization and keys of its own.
func withManagement(
	handler http.Handler, d *dispatch.Dispatcher, key string, logger *slog.Logger,
) (http.Handler, error) {
	keys := api.NewKeys()
	if err := keys.Add("", api.HashKey(key)); err != nil {
		return nil, err
	}
	management, err := api.New(d, keys.Authenticate, api.Config{
		Logger: logger,
		// The key has no name. This tells what was done over the API from what the library did.
		Actor: func(*http.Request) string { return "the management API" },
	})
	if err != nil {
		return nil, err
	}
	return management.Before(handler), nil
}
