package main

import (
	"log/slog"
	"net/http"

	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// mountManagement adds the management API: webhooks, deliveries, replays. This
// server has one organization, the one without a name, and one key to it; a
// service with customers gives each of theirs keys of its own.
func mountManagement(
	mux *http.ServeMux,
	d *dispatch.Dispatcher,
	key string,
	logger *slog.Logger,
) error {
	keys := api.NewKeys()
	if err := keys.Add("", api.HashKey(key)); err != nil {
		return err
	}
	management, err := api.New(d, keys.Authenticate, api.Config{Logger: logger})
	if err != nil {
		return err
	}
	management.Mount(mux)
	return nil
}
