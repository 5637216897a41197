package email_test

import (
	"bufio"
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
)

// scriptedSMTP answers each command by its verb with what the script says; what
// the script lacks is answered as a server without ambition would. The reply ""
// closes the connection, "hang" says nothing more, "endless" never stops.
func scriptedSMTP(t testing.TB, script map[string]string) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	replies := map[string]string{
		"greeting": "220 mail", "EHLO": "250 mail", "HELO": "250 mail", "MAIL": "250 ok",
		"RCPT": "250 ok", "DATA": "354 go on",
		".": "250 taken", "RSET": "250 ok", "NOOP": "250 ok", "QUIT": "221 bye",
	}
	for verb, reply := range script {
		replies[verb] = reply
	}
	var wg sync.WaitGroup
	gone, leave := context.WithCancel(context.Background())
	talk := func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		defer context.AfterFunc(gone, func() { _ = conn.Close() })()
		r := bufio.NewReader(conn)
		var data bool
		for verb := "greeting"; ; {
			switch reply := replies[verb]; reply {
			case "":
				return
			case "hang":
				_, _ = r.WriteTo(net.Conn(discardConn{}))
				return
			case "endless":
				for {
					if _, err := conn.Write([]byte("250-more and more and more\r\n")); err != nil {
						return
					}
				}
			default:
				_, _ = conn.Write([]byte(reply + "\r\n"))
				data = verb == "DATA" && strings.HasPrefix(reply, "354")
			}
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				verb, _, _ = strings.Cut(strings.TrimSpace(line), " ")
				if !data || verb == "." {
					break
				}
			}
		}
	}
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { talk(conn) })
		}
	})
	t.Cleanup(func() {
		leave()
		_ = listener.Close()
		wg.Wait()
	})
	return listener.Addr().(*net.TCPAddr).Port
}

type discardConn struct{ net.Conn }

func (discardConn) Write(p []byte) (int, error) { return len(p), nil }

// Whatever a mail server does is one attempt that ends in time.
func TestEmailMisbehavingServers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	tests := []struct {
		name   string
		script map[string]string
		class  channel.Class
		action channel.Action
	}{
		{"hangs up at once", map[string]string{"greeting": ""}, channel.ClassClosed, channel.Retry},
		{"says nothing", map[string]string{"greeting": "hang"}, channel.ClassTimeout, channel.Retry},
		{"greets without end", map[string]string{"greeting": "endless"}, "", channel.Retry},
		{"speaks HTTP", map[string]string{"greeting": "HTTP/1.1 400 Bad Request\r\n"},
			channel.ClassProtocol, channel.Retry},
		{"is busy", map[string]string{"greeting": "421 4.3.2 later"}, channel.ClassRejected,
			channel.Retry},
		{"greets with nonsense", map[string]string{"greeting": "\x00\xff\xfe"}, channel.ClassProtocol,
			channel.Retry},
		{"hangs up at EHLO", map[string]string{"EHLO": "", "HELO": ""}, channel.ClassClosed,
			channel.Retry},
		{"answers EHLO without end", map[string]string{"EHLO": "endless"}, "", channel.Retry},
		{"hangs up at MAIL", map[string]string{"MAIL": ""}, channel.ClassClosed, channel.Retry},
		{"hangs at RCPT", map[string]string{"RCPT": "hang"}, channel.ClassTimeout, channel.Retry},
		{"hangs up at DATA", map[string]string{"DATA": ""}, channel.ClassClosed, channel.Retry},
		{"refuses DATA", map[string]string{"DATA": "554 5.5.1 no"}, channel.ClassRejected,
			channel.Permanent},
		{"answers DATA too early", map[string]string{"DATA": "250 ok"}, channel.ClassProtocol,
			channel.Retry},
		{"hangs up after the mail", map[string]string{".": ""}, channel.ClassClosed, channel.Retry},
		{"hangs after the mail", map[string]string{".": "hang"}, channel.ClassTimeout, channel.Retry},
		{"puts the mail off", map[string]string{".": "451 4.3.0 later"}, channel.ClassRejected,
			channel.Retry},
		{"answers the mail with nonsense", map[string]string{".": "what?"}, channel.ClassProtocol,
			channel.Retry},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			timeout := time.Minute // what the server does ends the attempt, however busy the machine
			if tt.class == channel.ClassTimeout {
				timeout = 500 * time.Millisecond
			}
			server, err := email.NewSMTP(email.SMTPConfig{
				Host: "127.0.0.1", Port: scriptedSMTP(t, tt.script), From: "hooks@example.com",
				TLS: email.NoTLS, Timeout: timeout, FinalTimeout: timeout,
			})
			require.NoError(t, err)
			t.Cleanup(func() { _ = server.Close() })
			c := channelfixture.Open(t, emailDriver(t, server),
				email.Config{ToAddresses: []string{"a@example.com"}})
			for range 2 {
				_, err := c.Send(t.Context(), channelfixture.Message())
				got := channel.AsError(err)
				require.NotNil(t, got)
				if tt.class != "" {
					assert.Equal(t, tt.class, got.Class, "%v", err)
				}
				assert.Equal(t, tt.action, got.Action, "%v", err)
			}
		})
	}
}

// A connection that the server has closed in the meantime is not an attempt.
func TestEmailConnectionGoneStale(t *testing.T) {
	t.Parallel()
	port := scriptedSMTP(t, map[string]string{"RSET": ""})
	server, err := email.NewSMTP(email.SMTPConfig{Host: "127.0.0.1", Port: port,
		From: "hooks@example.com", TLS: email.NoTLS})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	c := channelfixture.Open(t, emailDriver(t, server),
		email.Config{ToAddresses: []string{"a@example.com"}})
	for i := range 3 {
		_, err := c.Send(t.Context(), channelfixture.Message())
		assert.NoError(t, err, strconv.Itoa(i))
	}
}
