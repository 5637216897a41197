package main

import (
	"cmp"
	"context"
	"crypto/subtle"
	"log/slog"
	"net/http"

	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/console"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// withConsole serves the web console below console.DefaultPrefix before the handler. A browser asks
// for a name, which changes are recorded under, and for a password, which is the API key. A service
// with customers asks its own sessions who a person is, and which organization they belong to.
func withConsole(
	handler http.Handler, d *dispatch.Dispatcher, key string, stored *apikey.Keys, logger *slog.Logger,
) (http.Handler, error) {
	hash := api.HashKey(key)
	authorize := func(r *http.Request) (console.Identity, error) {
		name, password, ok := r.BasicAuth()
		given := api.HashKey(password)
		if !ok || subtle.ConstantTimeCompare([]byte(given), []byte(hash)) != 1 {
			return console.Identity{}, console.ErrUnauthenticated
		}
		// A browser may send a password alone. What the API did is by "the management API".
		return console.Identity{Name: cmp.Or(name, "the web console"), Organizations: []string{""},
			Operator: true, Role: console.Administer, Reveal: true}, nil
	}
	c, err := console.New(d, authorize, console.Config{
		Title:   "Emitter",
		APIKeys: stored,
		Logger:  logger,
		Audit:   logChanges(logger),
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.HandleFunc(console.DefaultPrefix+"/", func(w http.ResponseWriter, r *http.Request) {
		if _, err := authorize(r); err != nil {
			w.Header().Set("WWW-Authenticate", `Basic realm="webhooks", charset="UTF-8"`)
		}
		c.ServeHTTP(w, r)
	})
	return mux, nil
}

// logChanges writes a line for each change, with what it was about.
func logChanges(logger *slog.Logger) func(context.Context, console.Change) {
	return func(ctx context.Context, change console.Change) {
		args := []any{"changed_by", change.Identity.Name, "action", change.Action}
		delivery := ""
		if change.DeliveryID != 0 {
			delivery = change.DeliveryID.String()
		}
		for _, about := range [][2]string{
			{"webhook_id", change.SubscriptionID}, {"channel", change.Channel}, {"delivery_id", delivery},
			{"replay_id", change.ReplayID}, {"api_key_id", change.APIKeyID},
		} {
			if about[1] != "" {
				args = append(args, about[0], about[1])
			}
		}
		if change.Err != nil {
			args = append(args, "error", change.Err)
		}
		logger.InfoContext(ctx, "changed in the console", args...)
	}
}
