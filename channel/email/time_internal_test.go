package email

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
)

// slowServer is a mail server at the other end of pipes, so that its time may be
// that of synctest.
type slowServer struct {
	before map[string]time.Duration // how long it takes to reply, by verb; "." is the end of a mail

	serving sync.WaitGroup

	mu    sync.Mutex
	conns int
	mails []string // the recipients of those that were taken, when they were
}

// client returns an SMTP whose connections lead to the server.
func (s *slowServer) client(t *testing.T, config SMTPConfig) *SMTP {
	config.Host, config.From, config.TLS, config.Hello = "mail.example.com", "hooks@example.com",
		NoTLS, "me.example.com"
	client, err := NewSMTP(config)
	require.NoError(t, err)
	client.connect = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		s.mu.Lock()
		s.conns++
		s.mu.Unlock()
		s.serving.Go(func() { s.serve(theirs) })
		return ours, nil
	}
	t.Cleanup(func() {
		_ = client.Close()
		s.serving.Wait()
	})
	return client
}

func (s *slowServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	reply := func(verb, line string) bool {
		time.Sleep(s.before[verb])
		_, err := conn.Write([]byte(line + "\r\n"))
		return err == nil
	}
	if !reply("greeting", "220 mail.example.com") {
		return
	}
	var to []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		verb, _, _ := strings.Cut(line, " ")
		answer := "250 ok"
		switch verb {
		case "MAIL":
			to = nil
		case "RCPT":
			to = append(to, strings.Trim(strings.TrimPrefix(line, "RCPT TO:"), "<>"))
		case "DATA":
			if !reply(verb, "354 go on") {
				return
			}
			for verb != "." {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				verb = strings.TrimSpace(line)
			}
			s.mu.Lock() // whatever becomes of the reply
			s.mails = append(s.mails, to...)
			s.mu.Unlock()
		}
		if !reply(verb, answer) {
			return
		}
	}
}

func (s *slowServer) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mails...)
}

// openEmail opens a channel to the addresses through client.
func openEmail(t *testing.T, client *SMTP, to ...string) channel.Channel {
	d, err := NewDriver(client, Options{})
	require.NoError(t, err)
	raw, err := json.Marshal(Config{ToAddresses: to})
	require.NoError(t, err)
	c, err := d.Open(raw)
	require.NoError(t, err)
	return c
}

func emailMessage() *channel.Message {
	return &channel.Message{EventID: "evt_1", EventType: "object.created", DeliveryID: "dlv_1", Attempt: 1,
		Payload: []byte(`{"event_id":"evt_1","event_type":"object.created","subject":{"type":"object","id":"o"}}`)}
}

// RFC 5321, section 4.5.3.2: how long a step may take is a matter of the step.
func TestEmailStepsHaveTheirOwnTime(t *testing.T) {
	t.Parallel()
	const second = time.Second
	tests := []struct {
		name   string
		config SMTPConfig
		before map[string]time.Duration
		took   time.Duration // of the attempt
		fails  string
	}{
		{"just in time", SMTPConfig{}, map[string]time.Duration{
			"greeting": 299 * second, "EHLO": 299 * second, "MAIL": 299 * second, "RCPT": 299 * second,
			"DATA": 119 * second, ".": 599 * second,
		}, (4*299 + 119 + 599) * second, ""},
		{"greeting", SMTPConfig{}, map[string]time.Duration{"greeting": 301 * second}, 300 * second,
			"channel: timeout: the mail server has not answered in time"},
		{"MAIL", SMTPConfig{}, map[string]time.Duration{"MAIL": 301 * second}, 300 * second,
			"channel: timeout: the mail server has not answered in time"},
		{"RCPT", SMTPConfig{}, map[string]time.Duration{"RCPT": 301 * second}, 300 * second,
			"channel: timeout: the mail server has not answered in time"},
		{"DATA", SMTPConfig{}, map[string]time.Duration{"DATA": 121 * second}, 120 * second,
			"channel: timeout: the mail server has not answered in time"},
		{"end of the mail", SMTPConfig{}, map[string]time.Duration{".": 601 * second}, 600 * second,
			"channel: timeout: the mail server has not said in time whether it takes the mail"},
		{"a shorter time", SMTPConfig{Timeout: 20 * second},
			map[string]time.Duration{"RCPT": 19 * second, ".": 599 * second}, 618 * second, ""},
		{"too short a time", SMTPConfig{Timeout: 20 * second},
			map[string]time.Duration{"RCPT": 21 * second}, 20 * second,
			"channel: timeout: the mail server has not answered in time"},
		{"no longer time", SMTPConfig{Timeout: time.Hour}, map[string]time.Duration{"DATA": 121 * second},
			120 * second,
			"channel: timeout: the mail server has not answered in time"},
		{"a shorter time for the end", SMTPConfig{FinalTimeout: 20 * second},
			map[string]time.Duration{"RCPT": 299 * second, ".": 21 * second}, 319 * second,
			"channel: timeout: the mail server has not said in time whether it takes the mail"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &slowServer{before: tt.before}
				c := openEmail(t, s.client(t, tt.config), "a@example.com")
				began := time.Now()
				_, err := c.Send(t.Context(), emailMessage())
				assert.Equal(t, tt.took, time.Since(began))
				assert.GreaterOrEqual(t, c.Capabilities().Timeout, tt.took)
				if tt.fails == "" {
					assert.NoError(t, err)
					assert.Equal(t, []string{"a@example.com"}, s.taken())
				} else {
					assert.EqualError(t, err, tt.fails)
					assert.True(t, channel.AsError(err).Retryable())
				}
			})
		})
	}
}

// The wait for one of the connections is no part of an attempt: a hundred mails
// of ten seconds each, through two connections, take as long as they take.
func TestEmailWaitsForAConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowServer{before: map[string]time.Duration{".": 10 * time.Second}}
		c := openEmail(t, s.client(t, SMTPConfig{MaxConns: 2, Timeout: time.Second,
			FinalTimeout: 11 * time.Second}), "a@example.com")
		began := time.Now()
		var attempts sync.WaitGroup
		for range 100 {
			attempts.Go(func() {
				_, err := c.Send(t.Context(), emailMessage())
				assert.NoError(t, err)
			})
		}
		attempts.Wait()
		assert.Equal(t, 500*time.Second, time.Since(began))
		assert.Len(t, s.taken(), 100)
		assert.Equal(t, 2, s.conns)
	})
}

// Tests of webhooks wait for each other: however many there are, deliveries find the other
// connections.
func TestEmailTestsLeaveConnectionsToDeliveries(t *testing.T) {
	t.Parallel()
	const second, tests = time.Second, 48
	for _, tt := range []struct {
		conns, deliveries int
		each, all         time.Duration // how long a delivery takes, and all tests
	}{
		{conns: 0, deliveries: 3, each: second, all: 48 * second},
		{conns: 8, deliveries: 6, each: second, all: 24 * second},
		{conns: 2, deliveries: 1, each: second, all: 48 * second},
		{conns: 1, deliveries: 1, each: 2 * second, all: 49 * second}, // behind one test
	} {
		t.Run(strconv.Itoa(tt.conns), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &slowServer{before: map[string]time.Duration{".": second}}
				c := openEmail(t, s.client(t, SMTPConfig{MaxConns: tt.conns}), "a@example.com")
				send := func(m *channel.Message) {
					_, err := c.Send(t.Context(), m)
					assert.NoError(t, err)
				}
				test := emailMessage()
				test.DeliveryID = ""
				began := time.Now()
				var testing, delivering sync.WaitGroup
				for range tests {
					testing.Go(func() { send(test) })
				}
				synctest.Wait()
				for range tt.deliveries {
					delivering.Go(func() { send(emailMessage()) })
				}
				delivering.Wait()
				assert.Equal(t, tt.each, time.Since(began), "the deliveries")
				testing.Wait()
				assert.Equal(t, tt.all, time.Since(began), "the tests")
				assert.Len(t, s.taken(), tests+tt.deliveries)
			})
		})
	}
}

// A wait that the caller ends is no verdict, and one that the caller's deadline
// ends is a failure. In neither has anything been tried.
func TestEmailEndsToWaitForAConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowServer{before: map[string]time.Duration{".": 30 * time.Second}}
		c := openEmail(t, s.client(t, SMTPConfig{MaxConns: 1}), "a@example.com")
		go func() { _, _ = c.Send(t.Context(), emailMessage()) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		_, err := c.Send(ctx, emailMessage())
		assert.ErrorIs(t, err, context.Canceled)
		ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err = c.Send(ctx, emailMessage())
		assert.EqualError(t, err, "channel: timeout: no complete answer in time")
		time.Sleep(time.Minute)
		assert.Len(t, s.taken(), 1)
	})
}

// A process that stops while a server has not answered the end of a mail cannot
// know what became of it.
func TestEmailCancelledAfterTheMail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowServer{before: map[string]time.Duration{".": time.Minute}}
		c := openEmail(t, s.client(t, SMTPConfig{}), "a@example.com")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		began := time.Now()
		result, err := c.Send(ctx, emailMessage())
		assert.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, 5*time.Second, time.Since(began))
		assert.Nil(t, result.Progress)
		assert.Len(t, s.taken(), 1)
	})
}

// A connection that has gone silent, because a firewall has forgotten it, costs
// a part of an attempt and not the attempt.
func TestEmailConnectionGoneSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowServer{before: map[string]time.Duration{"RSET": time.Hour}}
		c := openEmail(t, s.client(t, SMTPConfig{}), "a@example.com")
		began := time.Now()
		for range 2 {
			_, err := c.Send(t.Context(), emailMessage())
			assert.NoError(t, err)
		}
		assert.Equal(t, smtpStale, time.Since(began))
		assert.Len(t, s.taken(), 2)
	})
}
