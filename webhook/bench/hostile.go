package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// hostile is a process that serves the endpoints of the attacks. It is not this one, because what
// an endpoint does with its CPU is not what the Dispatcher does with ours.
type hostile struct {
	url  string
	stop func()
}

// hostileVariable makes this program serve the hostile endpoints until its standard input ends.
const hostileVariable = "WEBHOOKS_BENCH_HOSTILE"

func startHostile(ctx context.Context) (*hostile, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, self)
	command.Env = append(os.Environ(), hostileVariable+"=1")
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	stop := func() { _ = stdin.Close(); _ = command.Wait() }
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		stop()
		return nil, fmt.Errorf("the process of the hostile endpoints printed no URL: %w", err)
	}
	return &hostile{strings.TrimSpace(url), stop}, nil
}

// serveHostile serves endpoints that accept a request and never answer it, or a byte at a time,
// or fail at once, under another host name than the victim's.
func serveHostile(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return err
	}
	fmt.Println("http://localhost:" + port)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(beHostile)}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func beHostile(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if strings.HasPrefix(r.URL.Path, "/fails") {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/answers") {
		return
	}
	var drip <-chan time.Time
	if strings.HasPrefix(r.URL.Path, "/drips") {
		ticker := time.NewTicker(500 * time.Millisecond)
		defer ticker.Stop()
		drip = ticker.C
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case <-drip:
			_, _ = w.Write([]byte{' '})
			_ = http.NewResponseController(w).Flush()
		}
	}
}
