package channeltest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
)

// A Misbehaviour is one way in which an HTTP endpoint goes wrong. An attempt at any of them has to
// end in time, as one failed attempt (or a success if Complete is set), and must leave nothing
// behind. Tests of whole systems can use them too.
type Misbehaviour struct {
	// Name says what the endpoint does.
	Name string

	// Complete says that the endpoint nevertheless sends a complete 2xx answer, so that the attempt
	// succeeds.
	Complete bool

	// Hangs says that the attempt ends because its time runs out.
	Hangs bool

	scheme string
	// tls serves the connection as a TLS server whose certificate is not trusted.
	tls bool
	// closed has no listener at all.
	closed bool
	serve  func(conn *badConn)
}

// badConn is a connection of a misbehaving server.
type badConn struct {
	net.Conn
	gone context.Context // done when the server closes
}

// Start starts the endpoint, which stops at the end of t, and returns the base of its URLs: http,
// or https for those that misbehave in TLS.
func (m Misbehaviour) Start(t testing.TB) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("channeltest: %v", err)
	}
	url := m.scheme + "://" + listener.Addr().String()
	if m.closed {
		_ = listener.Close()
		return url
	}
	if m.tls {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}})
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
				defer stop()
				defer func() { _ = conn.Close() }()
				m.serve(&badConn{Conn: conn, gone: ctx})
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		wg.Wait()
	})
	return url
}

// readRequest reads one request to its end.
func (c *badConn) readRequest() {
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	_, _ = bufio.NewReader(req.Body).WriteTo(discard{})
}

// say writes s as it is.
func (c *badConn) say(s string) { _, _ = c.Write([]byte(s)) }

// hang waits until the client has gone.
func (c *badConn) hang() {
	buf := make([]byte, 512)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

// endless writes s until the client has had enough.
func (c *badConn) endless(s string) {
	s = strings.Repeat(s, 1+4096/len(s))
	for {
		if _, err := c.Write([]byte(s)); err != nil {
			return
		}
	}
}

// drip writes s again and again, a byte at a time.
func (c *badConn) drip(s string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		if _, err := c.Write([]byte{s[i%len(s)]}); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-c.gone.Done():
			return
		}
	}
}

// reset makes the close of the connection a reset.
func (c *badConn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// misbehaviourRules turns every Misbehaviour into a rule.
func misbehaviourRules() []rule {
	var list []rule
	for _, m := range Misbehaviours() {
		list = append(list, rule{
			name:     "Misbehaving/" + strings.ReplaceAll(m.Name, " ", "_"),
			parallel: true,
			why: "Whatever an endpoint does is one attempt that ends in time: success if a complete 2xx answer came, " +
				"otherwise an *Error that is worth retrying, with a bounded and printable excerpt.",
			check: func(t testing.TB, h *Harness) error { return h.meets(t, m) },
		})
	}
	return list
}

// meets makes attempts at a misbehaving endpoint: several, because what is left
// of one may hurt the next, unless each takes until its time runs out. All
// misbehaviours together see more than a hundred.
func (h *Harness) meets(t testing.TB, m Misbehaviour) error {
	c, err := h.Driver.Open(h.HTTP.Config(m.Start(t)))
	if err != nil {
		return err
	}
	limit, attempts := 2*prompt, 3 // more than it is given: it is to end by itself
	if m.Hangs {
		limit, attempts = patience, 1
	}
	for i := range attempts {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		result, err, late := sendWithin(ctx, c, prompt)
		cancel()
		if late != nil {
			return late
		}
		if e := errors.Join(h.checkResult(result), h.secretIn("the error", err)); e != nil {
			return e
		}
		if m.Complete && (err == nil || h.HTTP.Accept != nil) {
			continue // with an Accept the body decides
		}
		var failed *channel.Error
		switch {
		case m.Complete && i == 0: // the second may meet what the first left on the connection
			return fmt.Errorf("the attempt failed although the answer is complete: %w", err)
		case err == nil:
			return errors.New("the attempt succeeded")
		case !errors.As(err, &failed):
			return fmt.Errorf("the attempt returned no *channel.Error but a %T: %w", err, err)
		case !failed.Retryable():
			return fmt.Errorf("action %s: %w", failed.Action, err)
		case failed.Class == "" || failed.Class == channel.ClassUnknown:
			return fmt.Errorf("the error has no class: %w", err)
		case m.Hangs && failed.Class != channel.ClassTimeout:
			return fmt.Errorf("class %q: %w", failed.Class, err)
		}
	}
	return nil
}
