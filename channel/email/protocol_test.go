package email_test

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
)

// plainMailServer speaks SMTP in the clear and notes what it is told. Its
// fields may be set before it is started.
type plainMailServer struct {
	extensions []string
	reply      func(line string) string // "" is the usual reply
	end        string                   // the reply to a mail; "" is the usual one
	early      string                   // what it says to DATA after 354 before it hangs up, if not ""

	port  int
	mu    sync.Mutex
	lines []string
	mails []string
}

// start starts the server; it is gone at the end of t.
func (s *plainMailServer) start(t testing.TB) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.port = listener.Addr().(*net.TCPAddr).Port
	var conns sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		conns.Wait()
	})
	conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				s.serve(conn)
				_ = conn.Close()
			})
		}
	})
}

func (s *plainMailServer) serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	say := func(line string) { _, _ = conn.Write([]byte(line + "\r\n")) }
	say("220 relay.example.com")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.lines = append(s.lines, line)
		s.mu.Unlock()
		if s.reply != nil {
			if answer := s.reply(line); answer != "" {
				say(answer)
				continue
			}
		}
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "EHLO":
			say("250-relay.example.com")
			for _, e := range s.extensions {
				say("250-" + e)
			}
			say("250 HELP")
		case "DATA":
			say("354 go on")
			if s.early != "" {
				_, _ = r.ReadString('\n') // and then it reads no further
				say(s.early)
				return
			}
			var mail strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				mail.WriteString(line)
			}
			s.mu.Lock()
			s.mails = append(s.mails, mail.String())
			s.mu.Unlock()
			say(cmp.Or(s.end, "250 taken"))
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// client returns an SMTP that sends through the server.
func (s *plainMailServer) client(t testing.TB, change func(*email.SMTPConfig)) *email.SMTP {
	config := email.SMTPConfig{Host: "127.0.0.1", Port: s.port, TLS: email.NoTLS,
		From: "hooks@example.com", Hello: "me.example.com"}
	if change != nil {
		change(&config)
	}
	client, err := email.NewSMTP(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// send sends the message of all tests to the addresses.
func (s *plainMailServer) send(t testing.TB, to ...string) (channel.Result, *channel.Error) {
	return s.sendConfig(t, email.Config{ToAddresses: to}, channelfixture.Message())
}

func (s *plainMailServer) sendConfig(
	t testing.TB, config email.Config, m *channel.Message,
) (channel.Result, *channel.Error) {
	result, err := channelfixture.Open(t, emailDriver(t, s.client(t, nil)), config).Send(t.Context(),
		m)
	return result, channel.AsError(err)
}

// said returns the lines that begin with a verb.
func (s *plainMailServer) said(verb string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, line := range s.lines {
		if strings.HasPrefix(line, verb) {
			lines = append(lines, line)
		}
	}
	return lines
}

// headers parses the header of each mail, which must be ASCII unless SMTPUTF8
// was asked for, in lines that every server takes.
func (s *plainMailServer) headers(t testing.TB) []mail.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	var headers []mail.Header
	for _, raw := range s.mails {
		msg, err := mail.ReadMessage(strings.NewReader(raw))
		require.NoError(t, err)
		head, _, _ := strings.Cut(raw, "\r\n\r\n")
		for line := range strings.SplitSeq(head, "\r\n") {
			assert.LessOrEqual(t, len(line), 998, "RFC 5322, section 2.1.1")
			assert.NotEmpty(t, strings.TrimSpace(line))
		}
		headers = append(headers, msg.Header)
	}
	return headers
}

// answering replies to commands that begin with a prefix.
func answering(prefix, reply string) func(string) string {
	return func(line string) string {
		if strings.HasPrefix(line, prefix) {
			return reply
		}
		return ""
	}
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7e })
}

// RFC 5321, sections 4.1.1.1 and 4.1.4: EHLO says a fully-qualified name, or an
// address literal where there is none.
func TestEmailHello(t *testing.T) {
	t.Parallel()
	for configured, want := range map[string]string{
		"relay.Example.com":        "relay.example.com",
		"bücher.example":           "xn--bcher-kva.example",
		"[192.0.2.7]":              "[192.0.2.7]",
		"[IPv6:2001:db8::7]":       "[IPv6:2001:db8::7]",
		"[ipv6:2001:db8::7]":       "[ipv6:2001:db8::7]",
		"a-b.c1":                   "a-b.c1",
		"":                         "", // the host's, below
		"vm":                       "refused",
		"localhost":                "refused",
		"localhost.localdomain":    "refused",
		"192.0.2.7":                "refused",
		"2001:db8::7":              "refused",
		"[2001:db8::7]":            "refused",
		"[IPv6:192.0.2.7]":         "refused",
		"[IPv6:fe80::1%eth0]":      "refused",
		"[192.0.2.7":               "refused",
		"[192.0.2.7]\r\nMAIL FROM": "refused",
		"[]":                       "refused",
		"a_b.example":              "refused",
		"-a.example":               "refused",
		"a..example":               "refused",
		"a.example.":               "refused",
		"a b.example":              "refused",
	} {
		s := &plainMailServer{}
		s.start(t)
		client, err := email.NewSMTP(email.SMTPConfig{Host: "127.0.0.1", Port: s.port, TLS: email.NoTLS,
			From: "hooks@example.com", Hello: configured})
		if want == "refused" {
			assert.ErrorContains(t, err, "Hello: must be a fully-qualified domain name", "%q", configured)
			continue
		}
		require.NoError(t, err, "%q", configured)
		t.Cleanup(func() { _ = client.Close() })
		_, err = channelfixture.Open(t, emailDriver(t, client),
			email.Config{ToAddresses: []string{"a@example.com"}}).Send(t.Context(), channelfixture.Message())
		require.NoError(t, err)
		if configured == "" {
			assert.Regexp(t, `^EHLO (\[127\.0\.0\.1\]|[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+)$`, s.said("EHLO")[0])
		} else {
			assert.Equal(t, []string{"EHLO " + want}, s.said("EHLO"))
		}
	}
}

// What a reply means depends on more than its first digit.
func TestEmailReplies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		verb, reply string
		action      channel.Action
		class       channel.Class
	}{
		{"RCPT", "504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname", channel.Retry,
			channel.ClassRejected},
		{"MAIL", "504 5.5.2 need fully-qualified hostname", channel.Retry, channel.ClassRejected},
		{"MAIL", "503 5.5.4 log in first", channel.Retry, channel.ClassRejected},
		{"DATA", "502 5.5.1 unrecognized", channel.Retry, channel.ClassRejected},
		{"MAIL", "500 5.5.1 unrecognized", channel.Retry, channel.ClassRejected},
		{"MAIL", "530 5.7.0 authentication required", channel.Retry, channel.ClassAuth},
		{"RCPT", "530 5.7.1 authentication required", channel.Retry, channel.ClassAuth},
		{"RCPT", "535 5.7.8 credentials expired", channel.Retry, channel.ClassAuth},
		{"MAIL", "538 5.7.11 encryption required", channel.Retry, channel.ClassAuth},
		{"MAIL", "454 4.7.0 later", channel.Retry, channel.ClassRejected},
		{"MAIL", "550 5.7.1 not allowed to send", channel.Retry, channel.ClassRejected},
		{"MAIL", "553 5.7.1 not owned by user", channel.Retry, channel.ClassRejected},
		{"MAIL", "555 5.5.4 unsupported parameter", channel.Retry, channel.ClassRejected},
		{"MAIL", "501 5.1.7 bad sender", channel.Retry, channel.ClassRejected},
		{"RCPT", "550 5.1.8 sender address rejected: domain not found", channel.Retry,
			channel.ClassRejected},
		{"DATA", "554 5.1.7 bad sender", channel.Retry, channel.ClassRejected},
		{"RCPT", "552 5.5.3 too many recipients", channel.Retry, channel.ClassRejected},
		{"RCPT", "552 5.2.2 mailbox full", channel.Retry, channel.ClassRejected},
		{"MAIL", "552 5.3.4 too large", channel.Permanent, channel.ClassRejected},
		{"RCPT", "501 5.1.3 bad address", channel.Permanent, channel.ClassRejected},
		{"RCPT", "550 5.1.1 unknown", channel.Permanent, channel.ClassRejected},
		{"RCPT", "555 5.5.2 syntax", channel.Permanent, channel.ClassRejected},
		{"RCPT", "556 5.1.10 takes no mail", channel.Permanent, channel.ClassRejected},
	}
	for _, tt := range tests {
		s := &plainMailServer{reply: answering(tt.verb, tt.reply)}
		s.start(t)
		result, err := s.send(t, "a@example.com")
		require.NotNil(t, err, tt.reply)
		assert.Equal(t, tt.action, err.Action, "%s to %s", tt.reply, tt.verb)
		assert.Equal(t, tt.class, err.Class, "%s to %s", tt.reply, tt.verb)
		assert.Equal(t, tt.reply[:3], strconv.Itoa(result.StatusCode))
	}
}

// RFC 5321, section 4.2: the first digit says whether a command has succeeded.
func TestEmailSuccessIsAnyReplyOf2(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"MAIL", "RCPT", "."} {
		s := &plainMailServer{reply: answering(verb, "259 2.0.0 fine"), end: "250 taken"}
		if verb == "." {
			s = &plainMailServer{end: "259 2.0.0 taken"}
		}
		s.start(t)
		result, err := s.send(t, "a@example.com", "b@example.com")
		require.Nil(t, err, verb)
		assert.JSONEq(t, `{"reached":["a@example.com","b@example.com"]}`, string(result.Progress))
		assert.Len(t, s.mails, 1)
	}
}

// A server that refuses a mail before it has all of it, and hangs up, has refused it.
func TestEmailRefusedInTheMiddle(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a few hundredths of a second of CPU time")
	}
	t.Parallel()
	s := &plainMailServer{early: "552 5.3.4 too large"}
	s.start(t)
	m := channelfixture.Message()
	result, err := s.sendConfig(t, email.Config{ToAddresses: []string{"a@example.com"},
		ContentType: email.ContentPlainText, BodyTemplate: "{{ 'a' * 900000 }}"}, m)
	require.NotNil(t, err)
	assert.Equal(t, channel.Permanent, err.Action)
	assert.Equal(t, channel.ClassRejected, err.Class)
	assert.Equal(t, 552, result.StatusCode)
}

// RFC 5321, section 4.5.3.1.10: the recipients beyond the limit get another mail, and
// the others do not get it twice.
func TestEmailTooManyRecipients(t *testing.T) {
	t.Parallel()
	s := &plainMailServer{reply: answering("RCPT TO:<c@", "552 5.5.3 too many recipients")}
	s.start(t)
	result, err := s.send(t, "a@example.com", "c@example.com")
	require.NotNil(t, err)
	assert.Equal(t, channel.Retry, err.Action)
	assert.JSONEq(t, `{"reached":["a@example.com"]}`, string(result.Progress))

	again := &plainMailServer{}
	again.start(t)
	m := channelfixture.Message()
	m.Attempt, m.Progress = 2, result.Progress
	_, err = again.sendConfig(t, email.Config{ToAddresses: []string{"a@example.com", "c@example.com"}},
		m)
	require.Nil(t, err)
	assert.Equal(t, []string{"RCPT TO:<c@example.com>"}, again.said("RCPT"))
	assert.Equal(t, "<a@example.com>, <c@example.com>", again.headers(t)[0].Get("To"))
}

// RFC 6531, section 3.4: no SMTPUTF8 for a mail that does not need it. A domain
// never does.
func TestEmailAddressesOutsideASCII(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		prefetched bool
		to         []string
		mail       []string // parameters of MAIL
		rcpt       []string
		headers    []string // To
		failed     string   // of the Result
	}{
		{"ASCII", true, []string{"a@example.com"}, []string{""}, []string{"a@example.com"},
			[]string{"<a@example.com>"}, ""},
		{"domain", true, []string{"Jörg <info@Bücher.example>"}, []string{""},
			[]string{"info@xn--bcher-kva.example"},
			[]string{"=?utf-8?q?J=C3=B6rg?= <info@xn--bcher-kva.example>"}, ""},
		{"domain, not offered", false, []string{"info@bücher.example"}, []string{""},
			[]string{"info@xn--bcher-kva.example"},
			[]string{"<info@xn--bcher-kva.example>"}, ""},
		{"one domain in two spellings", true,
			[]string{"info@bücher.example", "info@XN--bcher-kva.example"}, []string{""},
			[]string{"info@xn--bcher-kva.example"}, []string{"<info@xn--bcher-kva.example>"}, ""},
		{"local part", true, []string{"jörg@bücher.example"}, []string{" SMTPUTF8"},
			[]string{"jörg@xn--bcher-kva.example"},
			[]string{"<jörg@xn--bcher-kva.example>"}, ""},
		{"both", true, []string{"ops@example.com", "jörg@example.com"}, []string{"", " SMTPUTF8"},
			[]string{"ops@example.com", "jörg@example.com"},
			[]string{"<ops@example.com>", "<ops@example.com>, <jörg@example.com>"}, ""},
		{"both, not offered", false, []string{"jörg@example.com", "ops@example.com"}, []string{""},
			[]string{"ops@example.com"},
			[]string{"<ops@example.com>"},
			"reached 1 of 2\njörg@example.com: the mail server takes no address outside ASCII: it offers no SMTPUTF8"},
		{"local part, not offered", false, []string{"jörg@example.com"}, nil, nil, nil,
			"reached 0 of 1\njörg@example.com: the mail server takes no address outside ASCII: it offers no SMTPUTF8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &plainMailServer{}
			if tt.prefetched {
				s.extensions = []string{"SMTPUTF8"}
			}
			s.start(t)
			result, err := s.send(t, tt.to...)
			if tt.failed == "" {
				assert.Nil(t, err)
			} else if assert.NotNil(t, err) {
				assert.Equal(t, channel.Permanent, err.Action)
				assert.Equal(t, tt.failed, result.Response)
			}
			var mails, rcpts, tos []string
			for _, line := range s.said("MAIL") {
				mails = append(mails, strings.TrimPrefix(line, "MAIL FROM:<hooks@example.com>"))
			}
			for _, line := range s.said("RCPT") {
				rcpts = append(rcpts, strings.TrimSuffix(strings.TrimPrefix(line, "RCPT TO:<"), ">"))
			}
			for i, h := range s.headers(t) {
				tos = append(tos, h.Get("To"))
				if !strings.Contains(mails[i], "SMTPUTF8") {
					assert.True(t, isASCII(s.mails[i]), s.mails[i])
				}
			}
			assert.Equal(t, tt.mail, mails)
			assert.Equal(t, tt.rcpt, rcpts)
			assert.Equal(t, tt.headers, tos)
		})
	}
}

// What the first of two mails has reached stays reached when the second fails,
// with a reply or without one.
func TestEmailSecondMailFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		reply, says string
		action      channel.Action
	}{
		{"451 4.3.0 later", "channel: partial 451: 1 of 2 recipients not reached", channel.Retry},
		{"554 5.6.9 no", "channel: partial 554: 1 of 2 recipients not reached", channel.Permanent},
		{"421 4.3.0 bye", "channel: rejected 421: the mail server says 421 4.3.0", channel.Retry},
	} {
		var international atomic.Bool
		s := &plainMailServer{extensions: []string{"SMTPUTF8"}, reply: func(line string) string {
			international.CompareAndSwap(false, strings.HasSuffix(line, "SMTPUTF8"))
			if line == "DATA" && international.Load() {
				return tt.reply
			}
			return ""
		}}
		s.start(t)
		result, err := s.send(t, "jörg@example.com", "a@example.com")
		require.NotNil(t, err)
		assert.EqualError(t, err, tt.says)
		assert.Equal(t, tt.action, err.Action)
		assert.JSONEq(t, `{"reached":["a@example.com"]}`, string(result.Progress))
		assert.Len(t, s.headers(t), 1)
	}
}

// A sender outside ASCII is the operator's matter, and no recipient's.
func TestEmailSenderOutsideASCII(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from       string
		extensions []string
		mail       []string
		class      channel.Class
	}{
		{"hooks@bücher.example", nil, []string{"MAIL FROM:<hooks@xn--bcher-kva.example>"}, ""},
		{"jörg@example.com", []string{"SMTPUTF8"}, []string{"MAIL FROM:<jörg@example.com> SMTPUTF8"}, ""},
		{"jörg@example.com", nil, nil, channel.ClassConfig},
	} {
		s := &plainMailServer{extensions: tt.extensions}
		s.start(t)
		d := emailDriver(t, s.client(t, func(c *email.SMTPConfig) { c.From = tt.from }))
		_, err := channelfixture.Open(t, d,
			email.Config{ToAddresses: []string{"a@example.com", "b@example.com"}}).Send(t.Context(),
			channelfixture.Message())
		assert.Equal(t, tt.mail, s.said("MAIL"))
		if tt.class == "" {
			require.NoError(t, err)
			assert.Contains(t, s.headers(t)[0].Get("Message-Id"),
				"@"+strings.Split(strings.Trim(tt.mail[0], "> "), "@")[1][:7])
			continue
		}
		got := channel.AsError(err)
		require.NotNil(t, got)
		assert.Equal(t, tt.class, got.Class)
		assert.Equal(t, channel.Retry, got.Action)
	}
}

// No mail names a recipient who is refused: a reply to all would fail.
func TestEmailHeaderNamesThoseReached(t *testing.T) {
	t.Parallel()
	s := &plainMailServer{reply: answering("RCPT TO:<gone", "550 5.1.1 unknown")}
	s.start(t)
	_, err := s.sendConfig(t, email.Config{
		ToAddresses: []string{"gone@example.com", "a@example.com"},
		CCAddresses: []string{"Gone too <gone2@example.com>"},
	}, channelfixture.Message())
	require.NotNil(t, err)
	_, err = s.sendConfig(t, email.Config{ToAddresses: []string{"gone@example.com"},
		BCCAddresses: []string{"secret@example.com"}}, channelfixture.Message())
	require.NotNil(t, err)
	headers := s.headers(t)
	assert.Equal(t, "<a@example.com>", headers[0].Get("To"))
	assert.Empty(t, headers[0].Get("Cc"))
	assert.Equal(t, "undisclosed-recipients:;", headers[1].Get("To"))
	for _, m := range s.mails {
		assert.NotContains(t, m, "gone")
		assert.NotContains(t, m, "secret@")
	}
}

// RFC 5321, section 4.1.2: a local part that is no dot-string is quoted.
func TestEmailQuotedLocalPart(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		`"a,b"@example.com`:           `"a,b"@example.com`,
		`"a..b"@example.com`:          `"a..b"@example.com`,
		`".a"@example.com`:            `".a"@example.com`,
		`"a@b"@example.com`:           `"a@b"@example.com`,
		`"a\"b\\c"@example.com`:       `"a\"b\\c"@example.com`,
		`"plain.dots"@example.com`:    `plain.dots@example.com`,
		`o'brien+x=1@example.com`:     `o'brien+x=1@example.com`,
		`Name <"a(b"@EXAMPLE.com>`:    `"a(b"@example.com`,
		"{a|b}/c~d!e#f%g@example.com": "{a|b}/c~d!e#f%g@example.com",
	} {
		s := &plainMailServer{}
		s.start(t)
		_, err := s.send(t, to)
		require.Nil(t, err, to)
		assert.Equal(t, []string{"RCPT TO:<" + want + ">"}, s.said("RCPT"))
		parsed, perr := s.headers(t)[0].AddressList("To")
		if assert.NoError(t, perr, to) {
			assert.Equal(t, want[strings.LastIndexByte(want, '@'):],
				parsed[0].Address[strings.LastIndexByte(parsed[0].Address, '@'):])
			assert.Contains(t, s.headers(t)[0].Get("To"), "<"+want+">")
		}
	}
}

// Whatever an event holds is what a reader of the mail sees, an encoded word
// included (RFC 2047), and signs that are made of several characters stay whole.
func TestEmailSubjectIsShownLiterally(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a few hundredths of a second of CPU time")
	}
	t.Parallel()
	const family, persian = "👨\u200d👩\u200d👧", "می\u200cخواهم"
	for value, want := range map[string]string{
		"plain":                              "plain",
		"=?utf-8?b?aGVsbG8=?=":               "=?utf-8?b?aGVsbG8=?=",
		"a =?utf-8?q?b?= c":                  "a =?utf-8?q?b?= c",
		"=?utf-8?q?b":                        "=?utf-8?q?b",
		"ü =?utf-8?q?b?=":                    "ü =?utf-8?q?b?=",
		"=?utf-8?b?DQpCY2M6IGV2aWxAYS5iDQo=": "=?utf-8?b?DQpCY2M6IGV2aWxAYS5iDQo=",
		family:                               family,
		persian:                              persian,
		"🏴\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F": "🏴\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F",
		"hi\U000E0068\U000E0069dden":                                    "hidden",
		"❤\ufe0f":                                                       "❤\ufe0f",
		"invoice\u202efdp.exe":                                          "invoicefdp.exe",
		"\u2066a\u2069 \u200fb\u200e":                                   "a b",
		"soft\u00adhyphen\ufeff":                                        "softhyphen",
		"\u06dd٣":                                                       "\u06dd٣",
		"bad \xff byte":                                                 "bad \ufffd byte",
		"tab\tand\vline\nend\x00\x1b":                                   "tab and line end",
		"no\u00a0break\u3000space":                                      "no break space",
		strings.Repeat("ü", 150):                                        strings.Repeat("ü", 100) + "…",
		strings.Repeat("x", 190) + " ":                                  strings.Repeat("x", 190),
	} {
		s := &plainMailServer{}
		s.start(t)
		m := channelfixture.Message()
		m.EventID, m.EventType = value, value
		quoted, err := json.Marshal(value)
		require.NoError(t, err)
		m.Payload = []byte(strings.Replace(channelfixture.Payload, `"id":"obj_abc123"`,
			`"id":`+string(quoted), 1))
		_, failed := s.sendConfig(t, email.Config{ToAddresses: []string{"a@example.com"},
			SubjectTemplate: "{{ subject.id }}"}, m)
		require.Nil(t, failed)
		h := s.headers(t)[0]
		assert.True(t, isASCII(strings.SplitN(s.mails[0], "\r\n\r\n", 2)[0]))
		for _, name := range []string{"Subject", "X-Webhook-Event-Id", "X-Webhook-Event-Type"} {
			shown, err := new(mime.WordDecoder).DecodeHeader(h.Get(name))
			require.NoError(t, err)
			assert.Equal(t, want, shown, "%s of %q", name, value)
		}
	}
}

// JSON can spell half a character, which no text can hold.
func TestEmailSubjectOfALoneSurrogate(t *testing.T) {
	t.Parallel()
	s := &plainMailServer{}
	s.start(t)
	m := channelfixture.Message()
	m.Payload = []byte(strings.Replace(channelfixture.Payload, `"id":"obj_abc123"`, `"id":"a\ud83d b"`,
		1))
	_, err := s.sendConfig(t, email.Config{ToAddresses: []string{"a@example.com"},
		SubjectTemplate: "{{ subject.id }}"}, m)
	require.Nil(t, err)
	assert.Equal(t, "=?utf-8?q?a=EF=BF=BD_b?=", s.headers(t)[0].Get("Subject"))
}

// A name before an address is for people, and cannot pretend to be another.
func TestEmailDisplayNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		`Team`:                                "Team",
		`"Team, A"`:                           "Team, A",
		`"a \"b\" \\ c"`:                      `a "b" \ c`,
		`"=?utf-8?q?boss=40example?="`:        "=?utf-8?q?boss=40example?=",
		`=?utf-8?q?J=C3=B6rg?=`:               "Jörg",
		"Jörg Müller":                         "Jörg Müller",
		"\"a\u202eb\"":                        "ab",
		"\"👨\u200d👩\"":                        "👨\u200d👩",
		`"` + strings.Repeat("n ", 90) + `"`:  strings.TrimSpace(strings.Repeat("n ", 90)),
		`"` + strings.Repeat("n", 5000) + `"`: strings.Repeat("n", 200) + "…",
	} {
		s := &plainMailServer{}
		s.start(t)
		_, err := s.send(t, name+" <a@example.com>", "B <b@example.com>")
		require.Nil(t, err, name)
		list, perr := s.headers(t)[0].AddressList("To")
		require.NoError(t, perr, s.mails[0])
		assert.Equal(t, []*mail.Address{{Name: want, Address: "a@example.com"},
			{Name: "B", Address: "b@example.com"}}, list)
		if strings.Contains(want, "=?") {
			assert.NotContains(t, s.mails[0], `"=?`, "many readers decode that too")
		}
		for line := range strings.SplitSeq(strings.SplitN(s.mails[0], "\r\n\r\n", 2)[0], "\r\n") {
			assert.LessOrEqual(t, len(line), 76, "RFC 2047, section 2")
		}
	}
}

// Printing a configuration shows no secret, however it is printed.
func TestSMTPConfigPrintsNoSecret(t *testing.T) {
	t.Parallel()
	c := email.SMTPConfig{Host: "mail.example.com", Username: "u", Password: "sesame-password"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{c, &c, struct{ C email.SMTPConfig }{c}, []email.SMTPConfig{c}} {
			out := fmt.Sprintf(verb, v)
			assert.NotContains(t, out, "sesame", verb)
			assert.NotContains(t, out, fmt.Sprintf("%x", "sesame"), verb)
		}
	}
	assert.Contains(t, fmt.Sprintf("%+v", c), "Host:mail.example.com")
	assert.Contains(t, fmt.Sprintf("%+v", c), "Password:[redacted]")
}
