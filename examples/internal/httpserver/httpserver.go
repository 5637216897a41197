// Package httpserver runs an HTTP server with all of its timeouts set, until it
// is told to stop.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// drainTimeout is how long requests under way may take once the server is to stop.
const drainTimeout = 15 * time.Second

// Serve listens on addr and serves until ctx is cancelled. Then it lets the
// requests under way end, and returns nil if all of them did. It logs the
// address on which it listens.
func Serve(ctx context.Context, logger *slog.Logger, addr string, handler http.Handler) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	logger.Info("listening", "addr", listener.Addr().String())
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second, // from the end of the header: it bounds the handler
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	logger.Info("stopping", "requests_may_take", drainTimeout.String())
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		return errors.Join(fmt.Errorf("requests were still under way after %v: %w", drainTimeout, err),
			server.Close())
	}
	return nil
}
