package channelkit_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/channel/sms"
)

// conversation starts an endpoint that talks on each connection as talk says,
// and then closes it.
func conversation(t testing.TB, talk func(c net.Conn, br *bufio.Reader)) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var conns sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = c.Close() }()
				talk(c, bufio.NewReader(c))
			})
		}
	})
	return "http://" + l.Addr().String()
}

// readRequest reads one request to its end.
func readRequest(br *bufio.Reader) bool {
	r, err := http.ReadRequest(br)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err == nil
}

// A server that restarts closes its idle connections while requests are on
// their way to it, and asks to close the others. No attempt fails for that.
func TestWebhookGracefulRestarts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		var served atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			served.Add(1)
		}))
		t.Cleanup(server.Close)
		ch := channelfixture.Open(t, httpendpoint.NewDriver(channelfixture.NewClient(t, config),
			httpendpoint.Options{}), httpendpoint.Config{URL: server.URL, Timeout: 60})

		var attempts, failed atomic.Int64
		var senders sync.WaitGroup
		stop := make(chan struct{})
		for i := range 8 {
			senders.Go(func() {
				m := channelfixture.Message()
				if i%2 == 0 { // more than is written at once
					m.Payload = []byte(`{"event_id":"evt_abc123","x":"` + strings.Repeat("x", 100_000) + `"}`)
				}
				for {
					select {
					case <-stop:
						return
					default:
					}
					attempts.Add(1)
					if _, err := ch.Send(t.Context(), m); err != nil {
						failed.Add(1)
						t.Log(err)
					}
				}
			})
		}
		for range 10 {
			for until := served.Load() + 30; served.Load() < until; {
				runtime.Gosched()
			}
			server.Config.SetKeepAlivesEnabled(false) // as Shutdown begins
			server.Config.SetKeepAlivesEnabled(true)
		}
		close(stop)
		senders.Wait()
		assert.Zero(t, failed.Load(), "of %d attempts", attempts.Load())
	})
}

// A kept connection that ends with the next request unanswered: the webhook is
// sent once more, on a new connection.
func TestKeptConnectionEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for tenths of a second")
	}
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		tests := []struct {
			name   string
			ending func(br *bufio.Reader)
		}{
			{"before the request is read", func(br *bufio.Reader) { _, _ = br.Peek(1) }},
			{"in the middle of it", func(br *bufio.Reader) { _, _ = br.Discard(3000) }},
			{"after it", func(br *bufio.Reader) { readRequest(br) }},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				var requests atomic.Int64
				url := conversation(t, func(c net.Conn, br *bufio.Reader) {
					if readRequest(br) {
						requests.Add(1)
						_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
						tt.ending(br)
					}
				})
				client := channelfixture.NewClient(t, config)
				m := channelfixture.Message()
				m.Payload = append(bytes.Clone(m.Payload[:len(m.Payload)-1]),
					`,"later":"`+strings.Repeat("x", 300_000)+`"}`...)
				subscription := channelfixture.Open(t, httpendpoint.NewDriver(client, httpendpoint.Options{}),
					httpendpoint.Config{URL: url})
				for i := range 4 {
					_, err := subscription.Send(t.Context(), m)
					assert.NoError(t, err, "request %d", i+1)
				}
				assert.Equal(t, int64(4), requests.Load())
			})
		}
	})
}

// What people read is not sent once more: they would read it twice.
func TestKeptConnectionEndsForPeople(t *testing.T) {
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		var requests atomic.Int64
		base := conversation(t, func(c net.Conn, br *bufio.Reader) {
			if !readRequest(br) {
				return
			}
			requests.Add(1)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			if readRequest(br) {
				requests.Add(1)
			}
		})
		client := channelfixture.NewClient(t, config)
		driver, err := slack.NewDriver(client, slack.Options{})
		require.NoError(t, err)
		slack := channelfixture.Open(t, driver, slack.Config{WebhookURL: channel.Secret(base)})
		twilio, err := sms.NewTwilio(sms.TwilioConfig{
			AccountSID: "AC" + strings.Repeat("0", 32), AuthToken: "token", From: "+14155550100",
			Client: client, API: base,
		})
		require.NoError(t, err)
		for name, send := range map[string]func() error{
			"slack": func() error {
				_, err := slack.Send(t.Context(),
					channelfixture.Message())
				return err
			},
			"twilio": func() error {
				_, err := twilio.SendSMS(t.Context(), "+14155550101",
					"hello")
				return err
			},
		} {
			var err error
			untilKept(func() bool {
				requests.Store(0)
				client.CloseIdleConnections()
				_ = send()
				err = send()
				return err != nil && channel.AsError(err).Class == channel.ClassClosed
			})
			require.Error(t, err, name)
			assert.Equal(t, channel.ClassClosed, channel.AsError(err).Class, "%s: %v", name, err)
			assert.Equal(t, int64(2), requests.Load(), name)
		}
	})
}

// A new connection that is closed with no answer is a failed attempt: the
// endpoint does not want the request.
func TestNewConnectionEnds(t *testing.T) {
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		var requests atomic.Int64
		url := conversation(t, func(_ net.Conn, br *bufio.Reader) {
			readRequest(br)
			requests.Add(1)
		})
		_, err := channelfixture.Open(t, httpendpoint.NewDriver(channelfixture.NewClient(t, config),
			httpendpoint.Options{}), httpendpoint.Config{URL: url}).Send(t.Context(),
			channelfixture.Message())
		assert.Equal(t, channel.ClassClosed, channel.AsError(err).Class, "%v", err)
		assert.Equal(t, int64(1), requests.Load())
	})
}

// No field is sent for marking the request, and a customer's own stays.
func TestRepeatableHeader(t *testing.T) {
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		var got http.Header
		url := channelfixture.Serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header })
		d := httpendpoint.NewDriver(channelfixture.NewClient(t, config), httpendpoint.Options{})
		_, err := channelfixture.Open(t, d, httpendpoint.Config{URL: url}).Send(t.Context(),
			channelfixture.Message())
		require.NoError(t, err)
		assert.NotContains(t, got, "Idempotency-Key")
		_, err = channelfixture.Open(t, d,
			httpendpoint.Config{URL: url,
				Headers: map[string]string{"idempotency-key": "mine"}}).Send(t.Context(),
			channelfixture.Message())
		require.NoError(t, err)
		assert.Equal(t, []string{"mine"}, got["Idempotency-Key"])
	})
}

// What an endpoint writes after its answer appears nowhere, least of all in the
// standard log of the process.
func TestNothingGoesToTheStandardLog(
	t *testing.T,
) { // not parallel: it listens to the process's log
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		const secret = "sesame-sesame-4711"
		answers := map[string]string{
			"no body":           "HTTP/1.1 204 No Content\r\n\r\n",
			"no body, a length": "HTTP/1.1 204 No Content\r\nContent-Length: 900\r\n\r\n",
			"empty":             "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
			"declared":          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
			"declared twice":    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
			"far behind a colon": "HTTP/1.1 200 OK\r\nContent-Length:" + strings.Repeat(" ",
				5000) + strings.Repeat("0", 5000) + "2\r\n\r\nok",
			"chunked":            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
			"chunked, a length":  "HTTP/1.1 200 OK\r\nContent-Length: 900\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
			"chunked, a trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\no\n\r\n0\r\nX: y\r\n\r\n",
			"interim":            "HTTP/1.1 103 Early\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		}
		var out lockedBuffer
		defer log.SetOutput(log.Writer())
		log.SetOutput(&out)
		for _, encrypted := range []bool{false, true} {
			for name, answer := range answers {
				if testing.Short() && encrypted && name != "declared" {
					continue
				}
				for _, apart := range []bool{false, true} { // in one piece, or later
					ended := make(chan struct{})
					talk := func(c net.Conn, br *bufio.Reader) {
						defer close(ended)
						if !readRequest(br) {
							return
						}
						if rest := "got " + secret + "\r\n"; apart {
							_, _ = io.WriteString(c, answer)
							_, _ = io.WriteString(c, rest)
						} else {
							_, _ = io.WriteString(c, answer+rest)
						}
						_, _ = br.Peek(1) // until the client hangs up
					}
					url, client := conversation(t, talk), channelfixture.NewClient(t, config)
					if encrypted {
						url, client = tlsConversation(t, config, talk)
					}
					result, err := channelfixture.Open(t, httpendpoint.NewDriver(client, httpendpoint.Options{}),
						map[string]any{
							"url": url, "headers": map[string]string{"X-Mixpeek-Secret": secret},
						}).Send(t.Context(), channelfixture.Message())
					require.NoError(t, err, name)
					assert.NotContains(t, result.Response, "sesame")
					client.CloseIdleConnections() // no goroutine waits on them
					<-ended
				}
			}
		}
		assert.Empty(t, out.String())
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// tlsConversation is conversation over TLS, with a client that trusts it.
func tlsConversation(
	t testing.TB, config channelkit.HTTPConfig, talk func(c net.Conn, br *bufio.Reader),
) (string, *channelkit.HTTPClient) {
	return tlsServer(t, config, func(s *httptest.Server) { s.EnableHTTP2 = false },
		func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			// The request has been read: it is played to talk again.
			again := "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
			talk(c, bufio.NewReader(io.MultiReader(strings.NewReader(again), c)))
		})
}

// Whatever is in front of an endpoint's second answer, it is not taken for one.
func TestAnswersAreNotMixedUp(t *testing.T) {
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		url := conversation(t, func(c net.Conn, br *bufio.Reader) {
			for i := 0; readRequest(br); i++ {
				_, _ = fmt.Fprintf(c,
					"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%dHTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
					i)
			}
		})
		ch := channelfixture.Open(t, httpendpoint.NewDriver(channelfixture.NewClient(t, config),
			httpendpoint.Options{}), httpendpoint.Config{URL: url})
		for range 5 {
			result, err := ch.Send(context.Background(), channelfixture.Message())
			require.NoError(t, err)
			assert.Equal(t, "0", result.Response, "a fresh connection each time")
		}
	})
}
