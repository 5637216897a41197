package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// nginxConfig is all that nginx reads: the folder, and the address behind it.
const nginxConfig = `
daemon off;
master_process off;
pid %[1]s/pid;
error_log %[1]s/error.log;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	client_max_body_size 0;
	proxy_http_version 1.1;
	upstream kept { server %[2]s; keepalive 8; }
	server {
		listen unix:%[1]s/kept;
		location / { proxy_set_header Connection ""; proxy_pass http://kept; }
	}
	server {
		listen unix:%[1]s/unbuffered;
		location / { proxy_request_buffering off; proxy_pass http://%[2]s; }
	}
}
`

// A refusal of a large body reaches a client behind a proxy that is still sending the
// body, instead of the proxy's 502.
func TestRefusalsBehindNginx(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	server := httptest.NewServer(newTestHandler(t))
	t.Cleanup(server.Close)
	folder := startNginx(t, server.Listener.Addr().String())
	body := bytes.Repeat([]byte(" "), 5*dispatch.MaxPayload)
	for _, way := range []string{"kept", "unbuffered"} {
		client := &http.Client{
			Timeout:   5 * time.Minute,
			Transport: throughSocket(t, filepath.Join(folder, way)),
		}
		for _, tt := range []struct {
			method, path string
			status       int
		}{
			{http.MethodPost, "/events", http.StatusRequestEntityTooLarge},
			{http.MethodPost, "/no/such/path", http.StatusNotFound},
			{http.MethodPut, "/events", http.StatusMethodNotAllowed},
		} {
			const times = 10
			got := make(map[int]int)
			for range times {
				r, err := http.NewRequestWithContext(t.Context(), tt.method, "http://app"+tt.path,
					bytes.NewReader(body))
				require.NoError(t, err)
				response, err := client.Do(r)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				got[response.StatusCode]++
			}
			assert.Equal(t, map[int]int{tt.status: times}, got, "%s: %s %s", way, tt.method, tt.path)
		}
	}
}

func throughSocket(t *testing.T, path string) *http.Transport {
	t.Helper()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// startNginx starts a real nginx and returns the folder of its sockets.
func startNginx(t *testing.T, behind string) string {
	t.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no nginx, which CI=true requires: install it")
		}
		t.Skip("nginx is not installed: what a proxy makes of refusals is not tested")
	}
	folder, err := os.MkdirTemp("", "nginx") // short: the path of a socket has at most 107 bytes
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	config := filepath.Join(folder, "nginx.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, nginxConfig, folder, behind), 0o600))
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "-p", folder, "-c", config)
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("unix", filepath.Join(folder, "unbuffered"))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, 5*time.Millisecond, "nginx does not listen")
	return folder
}
