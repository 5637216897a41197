package receiver_test

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

	"github.com/mixpeek/webhooks-go/receiver"
)

// A client of nginx gets the receiver's refusal, and not a 502 of nginx, while nginx is still
// sending the body.
func TestRefusalsBehindNginx(t *testing.T) {
	t.Parallel()
	for i, path := range nginxPaths {
		if testing.Short() && i > 0 {
			continue // each has an nginx of its own
		}
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(c *receiver.Config) { c.MaxBody = 64 << 10 })
			server := httptest.NewServer(b.Handler(receiver.HandlerFunc(ok)))
			t.Cleanup(server.Close)
			p := startNginx(t, server.Listener.Addr().String())
			for size, times := range map[int]int{100_000: 20, 300_000: 10, 900_000: 10,
				2_000_000: 5, 8_000_000: 2} {
				if testing.Short() {
					if size > 1_000_000 {
						continue
					}
					times = 1
				}
				body := bytes.Repeat([]byte(" "), size)
				for _, tt := range []struct {
					secret string
					status int
				}{{"guess", 401}, {secret, 413}} {
					got := make(map[int]int)
					for range times {
						got[p.post(t, path, tt.secret, body)]++
					}
					assert.Equal(t, map[int]int{tt.status: times}, got, "%d bytes", size)
				}
			}
			assert.Equal(t, 200, p.post(t, path, secret, []byte(envelope(t, "evt_1"))))
		})
	}
}

// A proxy is a real nginx in front of a receiver. It listens on a unix socket, so that it needs
// no free port.
type proxy struct {
	client *http.Client
}

// nginxConfig takes the folder of nginx and the address of the receiver.
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
		listen unix:%[1]s/s;
		location /1.0/ { proxy_http_version 1.0; proxy_pass http://%[2]s; }
		location /1.1/ { proxy_pass http://%[2]s; }
		location /kept/ { proxy_set_header Connection ""; proxy_pass http://kept; }
		location /unbuffered/ { proxy_request_buffering off; proxy_pass http://%[2]s; }
		location /unbuffered-1.0/ { proxy_http_version 1.0; proxy_request_buffering off; proxy_pass http://%[2]s; }
		location /unbuffered-kept/ { proxy_request_buffering off; proxy_set_header Connection ""; proxy_pass http://kept; }
	}
}
`

// nginxPaths are the locations of nginxConfig.
var nginxPaths = []string{"1.0", "1.1", "kept", "unbuffered", "unbuffered-1.0", "unbuffered-kept"}

func startNginx(t *testing.T, behind string) proxy {
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
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(folder, "error.log"))
			t.Logf("nginx said:\n%s%.4000s", output.String(), log)
		}
	})
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn,
		error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(folder, "s"))
	}}
	t.Cleanup(transport.CloseIdleConnections)
	p := proxy{client: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
	require.Eventually(t, func() bool {
		conn, err := net.Dial("unix", filepath.Join(folder, "s"))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, 5*time.Millisecond, "nginx does not listen")
	return p
}

func (p proxy) post(t *testing.T, path, secret string, body []byte) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://app/"+path+"/",
		bytes.NewReader(body))
	require.NoError(t, err)
	r.Header = post("").Header
	r.Header.Set(receiver.DefaultSecretHeader, secret)
	response, err := p.client.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}
