package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/console"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// consoleAddr is where -serve serves the web console.
const consoleAddr = "127.0.0.1:8090"

// serveConsole serves the web console until ctx ends, and returns its URL. It is open to all users
// of this machine: a service says who each of them is, see ../emitter/console.go.
func serveConsole(ctx context.Context, d *dispatch.Dispatcher, addr string) (
	url string, stopped <-chan error, err error,
) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return "", nil, err
	}
	host := listener.Addr().String()
	keys, err := apikey.New(d, apikey.Config{})
	if err != nil {
		return "", nil, errors.Join(err, listener.Close())
	}
	c, err := console.New(d, func(r *http.Request) (console.Identity, error) {
		if r.Host != host { // a page of another site that has pointed its name at this address
			return console.Identity{}, console.ErrForbidden
		}
		return console.Identity{Name: "you", Organizations: []string{""}, Role: console.Administer,
			Reveal: true}, nil
	}, console.Config{APIKeys: keys, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", nil, errors.Join(err, listener.Close())
	}
	mux := http.NewServeMux()
	mux.Handle(console.DefaultPrefix+"/", c)
	mux.Handle("/{$}", http.RedirectHandler(console.DefaultPrefix+"/", http.StatusSeeOther))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() {
		err := server.Serve(listener)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		done <- err
	}()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return "http://" + host + console.DefaultPrefix + "/", done, nil
}
