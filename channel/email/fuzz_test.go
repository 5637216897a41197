package email_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
)

// FuzzConversation has a server say anything, and hang up. The attempt ends, its error has nothing
// in it that a terminal would take for a command, and a mail counts as taken only after the reply
// to it.
func FuzzConversation(f *testing.F) {
	const ready = "220 a\r\n250-a\r\n250 HELP\r\n"
	for _, seed := range []string{
		"", "220", "220 a\r\n", "554 no\r\n", ready + "250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 taken\r\n221 bye\r\n",
		ready + "250 ok\r\n550-5.1.1 a\r\n550 5.1.1 b\x1b[2J\r\n", ready + "250 ok\r\n250-\r\n", "999 x\r\n",
		"220 a\r\n250-AUTH \r\n250-SIZE x\r\n250-SMTPUTF8\r\n250 STARTTLS\r\n", "-20 a\r\n", "220\n250\n250\n250\n354\n250",
		ready + "421 4.7.0 later\r\n", "220-" + strings.Repeat("x", 5000), ready + "250 ok\r\n250 ok\r\n354 go\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Write(said)
				_ = conn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			}
		}()
		client, err := email.NewSMTP(email.SMTPConfig{Host: "127.0.0.1",
			Port: listener.Addr().(*net.TCPAddr).Port, TLS: email.NoTLS, From: "hooks@example.com",
			Hello: "me.example.com"})
		require.NoError(t, err)
		_, err = channelfixture.Open(t, emailDriver(t, client),
			email.Config{ToAddresses: []string{"a@example.com"}}).Send(t.Context(), channelfixture.Message())
		require.NoError(t, client.Close())
		require.NoError(t, listener.Close())
		<-ended
		if err == nil {
			// Greeting, EHLO, MAIL and RCPT, then DATA, then the mail: of a code that is not in the
			// list, the first digit counts (RFC 5321 4.2).
			before, after, _ := strings.Cut("\n"+string(said), "\n3")
			if strings.Count(before, "\n2") < 4 || !strings.Contains(after, "\n2") {
				t.Errorf("taken after %q", said)
			}
			return
		}
		if text := err.Error(); len(text) > 1000 || strings.ContainsFunc(text,
			func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("%q gives the error %q", said, text)
		}
		if e := channel.AsError(err); e.Action < channel.Retry || e.Action >= channel.Success ||
			e.RetryAfter < 0 || e.RetryAfter > channel.MaxRetryAfter {
			t.Errorf("%q gives %+v", said, e)
		}
	})
}
