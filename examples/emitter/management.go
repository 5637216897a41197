package main

import (
	"log/slog"
	"net/http"

	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// withManagement serves the management API (webhooks, deliveries, replays) before the handler. This
// server has one organization, with an empty name. The key from the environment is the first one,
// and creates others, which are in the store. A service with customers gives each of them an
// organization.
func withManagement(
	handler http.Handler, d *dispatch.Dispatcher, key string, stored *apikey.Keys, logger *slog.Logger,
) (http.Handler, error) {
	first := api.NewKeys() // in memory: it comes from the environment, and opens an empty store
	if err := first.Add("", api.HashKey(key)); err != nil {
		return nil, err
	}
	management, err := api.New(d, first.Authenticate, api.Config{
		APIKeys: stored,
		Publish: true, // one's own organization has all API keys
		Logger:  logger,
		// The first key has no name. This tells what was done with it from what the library did.
		Actor: func(*http.Request) string { return "the management API" },
	})
	if err != nil {
		return nil, err
	}
	return management.Before(handler), nil
}
