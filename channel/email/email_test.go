package email_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channeltest"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/event"
)

// parts returns the parts of a mail by content type, decoded, and their order.
func parts(t testing.TB, msg *mail.Message) (map[string]string, []string) {
	media, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	require.NoError(t, err)
	decode := func(encoding string, r io.Reader) string {
		if strings.EqualFold(encoding, "quoted-printable") {
			r = quotedprintable.NewReader(r)
		}
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		return strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	if !strings.HasPrefix(media, "multipart/") {
		return map[string]string{media: decode(msg.Header.Get("Content-Transfer-Encoding"), msg.Body)},
			[]string{media}
	}
	require.Equal(t, "multipart/alternative", media)
	all, order := map[string]string{}, []string(nil)
	for r := multipart.NewReader(msg.Body, params["boundary"]); ; {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return all, order
		}
		require.NoError(t, err)
		kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		require.NoError(t, err)
		all[kind] = decode(part.Header.Get("Content-Transfer-Encoding"), part)
		order = append(order, kind)
	}
}

func TestEmailDefault(t *testing.T) {
	t.Parallel()
	server := &mailServer{}
	c := server.channel(t, email.Config{
		ToAddresses:  []string{"Team <team@example.com>", "second@example.com"},
		CCAddresses:  []string{"cc@example.com"},
		BCCAddresses: []string{"secret@example.com", "team@example.com"},
	})
	m := channelfixture.Message()
	m.DeliveryID = "dlv_1"
	result, err := c.Send(t.Context(), m)
	require.NoError(t, err)
	assert.Equal(t, 250, result.StatusCode)
	assert.Equal(t, "reached 4 of 4", result.Response)

	require.Len(t, server.received(), 1)
	got := server.received()[0]
	assert.Equal(t, "hooks@example.com", got.from)
	assert.Equal(t, []string{"team@example.com", "second@example.com", "cc@example.com",
		"secret@example.com"}, got.to, "each once")
	assert.NotContains(t, got.raw, "secret@example.com", "bcc is in no header")

	msg := got.parse(t)
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	require.NoError(t, err)
	assert.Equal(t, "object.created: object obj_abc123", subject)
	assert.Equal(t, `"Webhooks" <hooks@example.com>`, msg.Header.Get("From"))
	assert.Equal(t, `"Team" <team@example.com>, <second@example.com>`, msg.Header.Get("To"))
	assert.Equal(t, "<cc@example.com>", msg.Header.Get("Cc"))
	assert.Equal(t, "<evt_abc123.dlv_1@example.com>", msg.Header.Get("Message-Id"))
	assert.Equal(t, "evt_abc123", msg.Header.Get("X-Webhook-Event-Id"))
	assert.Equal(t, "object.created", msg.Header.Get("X-Webhook-Event-Type"))
	assert.Equal(t, "auto-generated", msg.Header.Get("Auto-Submitted"))
	_, err = msg.Header.Date()
	assert.NoError(t, err)

	body, order := parts(t, msg)
	assert.Equal(t, []string{"text/plain", "text/html"}, order, "the best comes last")
	for _, want := range []string{"object.created", "obj_abc123", "8 October 2025, 16:09:00 UTC",
		"acme", "video/mp4", "evt_abc123"} {
		assert.Contains(t, body["text/plain"], want)
		assert.Contains(t, body["text/html"], want)
	}

	_, err = c.Send(t.Context(), m)
	require.NoError(t, err)
	again := server.received()[1].parse(t)
	assert.Equal(t, msg.Header.Get("Message-Id"), again.Header.Get("Message-Id"),
		"a mail that is sent again can be recognised")
	assert.Equal(t, 1, server.connections(), "the connection is used again")
}

func TestEmailContentTypes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		config email.Config
		order  []string
		want   map[string][]string
		not    map[string][]string
	}{
		{
			config: email.Config{ContentType: email.ContentPlainText},
			order:  []string{"text/plain"},
			want: map[string][]string{"text/plain": {"object.created: object obj_abc123\n",
				"When: 8 October 2025"}},
		},
		{
			config: email.Config{ContentType: email.ContentPlainText,
				BodyTemplate: "{{ event_type }} <{{ subject.id }}>"},
			order: []string{"text/plain"},
			want:  map[string][]string{"text/plain": {"object.created <obj_abc123>"}},
		},
		{
			config: email.Config{BodyTemplate: `<h1>{{ event_type }}</h1><style>p{}</style><p>It&#39;s <b>{{ metadata.evil }}</b><br>done</p>`},
			order:  []string{"text/plain", "text/html"},
			want: map[string][]string{
				"text/plain": {"object.created\nIt's <script>x</script>\ndone\n"},
				"text/html":  {"<h1>object.created</h1>", "&lt;script&gt;x"},
			},
			not: map[string][]string{"text/html": {"<script"}, "text/plain": {"p{}"}},
		},
		{
			config: email.Config{ContentType: email.ContentMarkdown,
				BodyTemplate: "# {{ event_type }}\n\n**{{ subject.id }}** {{ metadata.evil }}\n\n[x](javascript:alert)\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"},
			order: []string{"text/plain", "text/html"},
			want: map[string][]string{
				"text/plain": {"# object.created\n", "**obj_abc123**"},
				"text/html":  {"object.created</h1>", "<strong>obj_abc123</strong>", "<td>1</td>"},
			},
			not: map[string][]string{"text/html": {"<script", "javascript:"}},
		},
		{
			config: email.Config{ContentType: email.ContentMarkdown},
			order:  []string{"text/plain", "text/html"},
			want: map[string][]string{"text/plain": {"object.created: object obj_abc123"},
				"text/html": {"<table"}},
			not: map[string][]string{"text/html": {"<script"}},
		},
		{
			config: email.Config{ContentType: email.ContentJSON},
			order:  []string{"text/plain", "application/json"},
			want: map[string][]string{"text/plain": {"\n  \"event_id\": \"evt_abc123\""},
				"application/json": {`{"event_id":"evt_abc123"`}},
		},
		{
			config: email.Config{ContentType: email.ContentJSON,
				BodyTemplate: `{"id": {{ subject.id | tojson }}}`},
			order: []string{"text/plain", "application/json"},
			want: map[string][]string{"text/plain": {`"id": "obj_abc123"`},
				"application/json": {`"obj_abc123"`}},
		},
	}
	server := &mailServer{}
	server.start(t, email.STARTTLS)
	d := emailDriver(t, server.client(t, email.STARTTLS, nil))
	m := channelfixture.Message()
	m.Payload = []byte(strings.Replace(channelfixture.Payload, `"content_type"`,
		`"evil":"<script>x</script>","content_type"`, 1))
	for _, tt := range tests {
		tt.config.ToAddresses = []string{"team@example.com"}
		_, err := channelfixture.Open(t, d, tt.config).Send(t.Context(), m)
		if !assert.NoError(t, err, "%+v", tt.config) {
			continue
		}
		mails := server.received()
		body, order := parts(t, mails[len(mails)-1].parse(t))
		assert.Equal(t, tt.order, order, "%+v", tt.config)
		for kind, wants := range tt.want {
			for _, want := range wants {
				assert.Contains(t, body[kind], want, "%+v", tt.config)
			}
		}
		for kind, nots := range tt.not {
			for _, not := range nots {
				assert.NotContains(t, body[kind], not, "%+v", tt.config)
			}
		}
	}
}

// Whatever an event holds, a header stays one line, and no recipient is added.
func TestEmailHeaderInjection(t *testing.T) {
	t.Parallel()
	server := &mailServer{}
	c := server.channel(t, email.Config{ToAddresses: []string{"team@example.com"},
		SubjectTemplate: "About {{ subject.id }}"})
	m := channelfixture.Message()
	m.EventID = "evt_1>\r\nX-Evil: 1"
	m.EventType = "x\r\nBcc: evil@example.com"
	m.Payload = []byte(`{"event_id":"evt_1","event_type":"x.y","subject":{"type":"t","id":"a\r\nBcc: evil@example.com\r\n\r\n<b>body ü</b>` +
		strings.Repeat("long ", 100) + `"}}`)
	_, err := c.Send(t.Context(), m)
	require.NoError(t, err)
	got := server.received()[0]
	assert.Equal(t, []string{"team@example.com"}, got.to)
	msg := got.parse(t)
	assert.Empty(t, msg.Header.Get("Bcc"))
	assert.Empty(t, msg.Header.Get("X-Evil"))
	assert.Equal(t, "<evt_1---X-Evil--1@example.com>", msg.Header.Get("Message-Id"))
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(subject, "About a Bcc: evil@example.com <b>body ü</b>"), subject)
	assert.LessOrEqual(t, len(subject), 220)
}

func TestEmailLogins(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		mode   email.SMTPTLS
		change func(*email.SMTPConfig)
	}{
		{"STARTTLS, PLAIN", email.STARTTLS, nil},
		{"implicit TLS, LOGIN", email.ImplicitTLS,
			func(c *email.SMTPConfig) { c.Auth = email.AuthLogin }},
		{"STARTTLS, XOAUTH2", email.STARTTLS, func(c *email.SMTPConfig) {
			c.Auth, c.Password = email.AuthXOAUTH2, ""
			c.Token = func(context.Context) (string, error) { return mailToken, nil }
		}},
		{"in the clear", email.NoTLS, nil},
	}
	for _, tt := range tests {
		server := &mailServer{}
		server.start(t, tt.mode)
		client := server.client(t, tt.mode, tt.change)
		_, err := channelfixture.Open(t, emailDriver(t, client),
			email.Config{ToAddresses: []string{"a@example.com"}}).Send(t.Context(), channelfixture.Message())
		assert.NoError(t, err, tt.name)
		assert.Len(t, server.received(), 1, tt.name)
	}
}

// A client logs in by what the server offers, and sends no password elsewhere.
func TestEmailPicksTheMechanism(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a few hundredths of a second of CPU time")
	}
	t.Parallel()
	token := func(context.Context) (string, error) { return mailToken, nil }
	tests := []struct {
		prefetched []string
		auth       email.SMTPAuth
		token      func(context.Context) (string, error)
		want       []string // that were asked for
		fails      string
	}{
		{[]string{"LOGIN"}, "", nil, []string{"LOGIN"}, ""},
		{[]string{"PLAIN"}, "", nil, []string{"PLAIN"}, ""},
		{[]string{"LOGIN", "PLAIN"}, "", nil, []string{"PLAIN"}, ""},
		{[]string{"login", "Plain"}, email.AuthLogin, nil, []string{"LOGIN"}, ""},
		{[]string{"LOGIN", "PLAIN", "XOAUTH2"}, "", token, []string{"XOAUTH2"}, ""},
		{[]string{"LOGIN", "CRAM-MD5"}, "", token, []string{"LOGIN"}, ""},
		{[]string{"LOGIN"}, email.AuthPlain, nil, nil,
			"channel: auth: the mail server does not offer to log in by [PLAIN]"},
		{[]string{"CRAM-MD5"}, "", nil, nil,
			"channel: auth: the mail server does not offer to log in by [PLAIN LOGIN]"},
		{[]string{}, "", token, nil,
			"channel: auth: the mail server does not offer to log in by [XOAUTH2 PLAIN LOGIN]"},
	}
	for _, tt := range tests {
		server := &mailServer{mechanisms: tt.prefetched}
		server.start(t, email.STARTTLS)
		client := server.client(t, email.STARTTLS,
			func(c *email.SMTPConfig) { c.Auth, c.Token = tt.auth, tt.token })
		_, err := channelfixture.Open(t, emailDriver(t, client),
			email.Config{ToAddresses: []string{"a@example.com"}}).Send(t.Context(), channelfixture.Message())
		if tt.fails == "" {
			assert.NoError(t, err, "%v", tt.prefetched)
		} else if assert.EqualError(t, err, tt.fails) {
			assert.True(t, channel.AsError(err).Retryable())
		}
		server.mu.Lock()
		assert.Equal(t, tt.want, server.logins, "%v", tt.prefetched)
		server.mu.Unlock()
	}
}

func TestEmailRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		server *mailServer
		mode   email.SMTPTLS // of the server
		change func(*email.SMTPConfig)
		action channel.Action
		class  channel.Class
		status int
	}{
		{name: "wrong password", change: func(c *email.SMTPConfig) { c.Password = "sesame-wrong" },
			action: channel.Retry, class: channel.ClassAuth, status: 535},
		{name: "no token", change: func(c *email.SMTPConfig) {
			c.Auth = email.AuthXOAUTH2
			c.Token = func(context.Context) (string, error) { return "", errors.New("sesame") }
		}, action: channel.Retry, class: channel.ClassAuth},
		{name: "no STARTTLS", mode: email.NoTLS, action: channel.Retry, class: channel.ClassTLS},
		{name: "certificate that is not trusted", change: func(c *email.SMTPConfig) { c.TLSConfig = nil },
			action: channel.Retry, class: channel.ClassTLS},
		{name: "nothing listens", change: func(c *email.SMTPConfig) { c.Port = 1 }, action: channel.Retry,
			class: channel.ClassConnect},
		{name: "no service", server: &mailServer{onConnect: func() error {
			return refuse(554,
				smtp.EnhancedCode{5, 3, 2})
		}},
			action: channel.Retry, class: channel.ClassRejected, status: 554},
		{name: "sender refused", server: &mailServer{onFrom: func() error {
			return refuse(550,
				smtp.EnhancedCode{5, 7, 1})
		}},
			action: channel.Retry, class: channel.ClassRejected, status: 550},
		{name: "sender put off", server: &mailServer{onFrom: func() error {
			return refuse(451,
				smtp.EnhancedCode{4, 7, 1})
		}},
			action: channel.Retry, class: channel.ClassRejected, status: 451},
		{name: "all refused", server: &mailServer{onRcpt: func(string) error {
			return refuse(550,
				smtp.EnhancedCode{5, 1, 1})
		}},
			action: channel.Permanent, class: channel.ClassRejected, status: 550},
		{name: "all put off", server: &mailServer{onRcpt: func(string) error {
			return refuse(450,
				smtp.EnhancedCode{4, 2, 1})
		}},
			action: channel.Retry, class: channel.ClassRejected, status: 450},
		{name: "content refused", server: &mailServer{onData: func() error {
			return refuse(554,
				smtp.EnhancedCode{5, 6, 0})
		}},
			action: channel.Permanent, class: channel.ClassRejected, status: 554},
		{name: "mailbox full", server: &mailServer{onData: func() error {
			return refuse(452,
				smtp.EnhancedCode{4, 2, 2})
		}},
			action: channel.Retry, class: channel.ClassRejected, status: 452},
	}
	for _, tt := range tests {
		if tt.server == nil {
			tt.server = &mailServer{}
		}
		tt.server.start(t, tt.mode)
		c := channelfixture.Open(t, emailDriver(t, tt.server.client(t, email.STARTTLS, tt.change)),
			email.Config{ToAddresses: []string{"a@example.com", "b@example.com"}})
		result, err := c.Send(t.Context(), channelfixture.Message())
		got := channel.AsError(err)
		if assert.NotNil(t, got, tt.name) {
			assert.Equal(t, tt.action, got.Action, "%s: %v", tt.name, err)
			assert.Equal(t, tt.class, got.Class, "%s: %v", tt.name, err)
			assert.Equal(t, tt.status, got.StatusCode, "%s: %v", tt.name, err)
			assert.Equal(t, tt.status, result.StatusCode, tt.name)
			assert.NotContains(t, err.Error(), "sesame", tt.name)
			assert.NotContains(t, err.Error(), "someone@example.org", "the server's words are not repeated")
		}
		assert.Empty(t, tt.server.received(), tt.name)
	}
}

// One recipient that is refused does not keep the mail from the others, and no
// retry writes to those again.
func TestEmailPartial(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	busy := true
	server := &mailServer{onRcpt: func(to string) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case to == "gone@example.com":
			return refuse(550, smtp.EnhancedCode{5, 1, 1})
		case to == "busy@example.com" && busy:
			return refuse(450, smtp.EnhancedCode{4, 2, 1})
		}
		return nil
	}}
	c := server.channel(t, email.Config{ToAddresses: []string{"a@example.com", "gone@example.com",
		"busy@example.com"}})

	m := channelfixture.Message()
	result, err := c.Send(t.Context(), m)
	got := channel.AsError(err)
	require.NotNil(t, got)
	assert.Equal(t, channel.ClassPartial, got.Class)
	assert.True(t, got.Retryable(), "for the one that is busy")
	assert.EqualError(t, err, "channel: partial 450: 2 of 3 recipients not reached")
	assert.Equal(t,
		"reached 1 of 3\ngone@example.com: the mail server says 550 5.1.1\nbusy@example.com: the mail server says 450 4.2.1", result.Response)
	assert.JSONEq(t, `{"reached":["a@example.com"],"refused":["gone@example.com"]}`,
		string(result.Progress))
	assert.Equal(t, []string{"a@example.com"}, server.received()[0].to)

	mu.Lock()
	busy = false
	mu.Unlock()
	m = channelfixture.Message()
	m.Attempt, m.Progress = 2, result.Progress
	result, err = c.Send(t.Context(), m)
	got = channel.AsError(err)
	require.NotNil(t, got, "one was never reached")
	assert.Equal(t, channel.Permanent, got.Action)
	assert.EqualError(t, err, "channel: partial: 1 of 3 recipients not reached")
	assert.Equal(t, []string{"busy@example.com"}, server.received()[1].to,
		"no recipient is written to twice")
	assert.Equal(t, "<evt_abc123@example.com>", server.received()[1].parse(t).Header.Get("Message-Id"))
	assert.JSONEq(t, `{"reached":["a@example.com","busy@example.com"]}`, string(result.Progress),
		"a replay asks again for the one that is gone")
	assert.Equal(t, 1, server.connections(), "a refusal does not cost the connection")
}

func TestEmailConfigProblems(t *testing.T) {
	t.Parallel()
	server := &mailServer{}
	d := emailDriver(t, server.client(t, email.NoTLS, func(c *email.SMTPConfig) { c.Port = 25 }))
	many := `["` + strings.Repeat(`a@example.com","`, 100) + `"]`
	tests := []struct {
		config string
		want   []string
	}{
		{`{}`, []string{"to_addresses"}},
		{`{"to_addresses":[]}`, []string{"to_addresses"}},
		{`{"recipients":[]}`, []string{"recipients"}},
		{`{"to_addresses":"a@example.com"}`, []string{"to_addresses"}},
		{`{"to_addresses":["a@example.com","nobody","a@b@c","a@example.com\r\nBcc: x@example.com","a@[127.0.0.1]",5,"x <a@-.>"],"cc_addresses":["@"],"bcc_addresses":["a@ü..example"],"content_type":"rtf"}`,
			[]string{"to_addresses[1]", "to_addresses[2]", "to_addresses[3]", "to_addresses[4]",
				"to_addresses[5]", "to_addresses[6]", "cc_addresses[0]", "bcc_addresses[0]", "content_type"}},
		{`{"to_addresses":["a@example.com"],"subject_template":"{{ bad","body_template":"{% endif %}"}`,
			[]string{"subject_template", "body_template"}},
		{`{"to_addresses":` + many + `}`, []string{"to_addresses[100]"}},
	}
	for _, tt := range tests {
		_, err := d.Open(json.RawMessage(tt.config))
		var invalid *event.ValidationError
		if assert.ErrorAs(t, err, &invalid, "%.80s", tt.config) {
			var fields []string
			for _, p := range invalid.Problems {
				fields = append(fields, p.Field)
			}
			assert.Equal(t, tt.want, fields, "%.80s: %v", tt.config, err)
		}
	}
	_, err := d.Open(json.RawMessage(
		`{"recipients":["team@example.com","Admin <admin@example.com>"],"subject_template":"Mixpeek Alert: {event_type}"}`))
	assert.NoError(t, err, "the older example")
}

// A mail server gets as many mails at a time as there are connections to it.
func TestEmailLimit(t *testing.T) {
	t.Parallel()
	for conns, want := range map[int]int{0: 4, 1: 1, 9: 9} {
		client, err := email.NewSMTP(email.SMTPConfig{Host: "Mail.example.com.", From: "a@example.com",
			MaxConns: conns})
		require.NoError(t, err)
		c := channelfixture.Open(t, emailDriver(t, client),
			email.Config{ToAddresses: []string{"a@example.com"}})
		assert.Equal(t, want, c.Capabilities().MaxInFlight)
		assert.Equal(t, "mail.example.com", c.Capabilities().Host)
	}
}

func TestNewSMTPProblems(t *testing.T) {
	t.Parallel()
	_, err := email.NewSMTP(email.SMTPConfig{Port: -1, TLS: 7, Username: "u", From: "x"})
	for _, want := range []string{"Host", "From", "Port", "TLS", "needs Username"} {
		assert.ErrorContains(t, err, want)
	}
	_, err = email.NewSMTP(email.SMTPConfig{Host: "h", From: "a@example.com", MaxConns: -1,
		Timeout: -1, FinalTimeout: -1, Hello: "vm"})
	for _, want := range []string{"MaxConns", "; Timeout", "FinalTimeout", "Hello"} {
		assert.ErrorContains(t, err, want)
	}
	_, err = email.NewSMTP(email.SMTPConfig{Host: "h", From: "a@example.com", TLS: email.NoTLS,
		Username: "u", Password: "sesame"})
	assert.ErrorContains(t, err, "in the clear")
	assert.NotContains(t, err.Error(), "sesame")
	_, err = email.NewSMTP(email.SMTPConfig{Host: "h", From: "a@example.com", Auth: email.AuthXOAUTH2})
	assert.ErrorContains(t, err, "Token")
	_, err = email.NewSMTP(email.SMTPConfig{Host: "h", From: "a@example.com", Auth: "NTLM"})
	assert.ErrorContains(t, err, "Auth: must be")
	for _, c := range []email.SMTPConfig{{Password: "sesame"},
		{Token: func(context.Context) (string, error) { return "", nil }}} {
		c.Host, c.From = "h", "a@example.com"
		_, err = email.NewSMTP(c)
		assert.ErrorContains(t, err, "Username: is required with a Password or a Token")
	}
	for _, host := range []string{"smtp.example.com:587", "[::1]", "[2001:db8::7]:25", "smtps://a.example",
		"a.example/", "a b", "::1]", " a.example"} {
		_, err = email.NewSMTP(email.SMTPConfig{Host: host, From: "a@example.com"})
		assert.ErrorContains(t, err, "Host: must be a name or an address, without a port or brackets", host)
	}
	for _, host := range []string{"smtp.example.com", "localhost", "127.0.0.1", "::1", "fe80::1%eth0",
		"a_b.example", "mail.example.com."} {
		_, err = email.NewSMTP(email.SMTPConfig{Host: host, From: "a@example.com"})
		assert.NoError(t, err, host)
	}
}

func TestEmailContract(t *testing.T) {
	server := &mailServer{}
	server.start(t, email.STARTTLS)
	client := server.client(t, email.STARTTLS,
		func(c *email.SMTPConfig) { c.Timeout = 30 * time.Second })
	clients := []*email.SMTP{client}
	driver := func(config json.RawMessage) (channel.Channel, error) {
		var c struct {
			Port    int
			TLS     email.SMTPTLS
			Timeout time.Duration
		}
		if err := json.Unmarshal(config, &c); err != nil || c.Port == 0 {
			return emailDriver(t, client).Open(config)
		}
		elsewhere, err := email.NewSMTP(email.SMTPConfig{Host: "127.0.0.1", Port: c.Port, TLS: c.TLS,
			From: "hooks@example.com", Timeout: c.Timeout, FinalTimeout: c.Timeout})
		if err != nil {
			return nil, err
		}
		clients = append(clients, elsewhere)
		return emailDriver(t, elsewhere).Open(config)
	}
	says := func(verb, reply string, want channel.Action) channeltest.Answer {
		return channeltest.Answer{Name: reply + " to " + verb, Want: want,
			Config: func(t testing.TB) json.RawMessage {
				return fmt.Appendf(nil,
					`{"to_addresses":["a@example.com"],"tls":%d,"port":%d,"timeout":10000000000}`, email.NoTLS,
					scriptedSMTP(t, map[string]string{verb: reply}))
			}}
	}
	hanging := func(t testing.TB) json.RawMessage {
		return json.RawMessage(`{"to_addresses":["a@example.com"],"timeout":1000000000,"port":` + channelfixture.HangingPort(t) + `}`)
	}
	if testing.Short() {
		hanging = nil // servers that hang take a fifth of a second of CPU time, and a second to wait
	}
	channeltest.Run(t, channeltest.Harness{
		Driver: channel.DriverFunc(driver),
		Answers: []channeltest.Answer{
			says(".", "250 2.0.0 taken", channel.Success),
			says("greeting", "421 4.3.2 later", channel.Retry),
			says("greeting", "554 5.3.2 no", channel.Retry),
			says("MAIL", "451 4.7.1 later", channel.Retry),
			says("MAIL", "550 5.7.1 no", channel.Retry),
			says("RCPT", "450 4.2.1 later", channel.Retry),
			says("RCPT", "421 4.3.2 later", channel.Retry),
			says("RCPT", "550 5.1.1 no", channel.Permanent),
			says("DATA", "451 4.3.0 later", channel.Retry),
			says("DATA", "554 5.5.1 no", channel.Permanent),
			says(".", "452 4.2.2 later", channel.Retry),
			says(".", "554 5.6.0 no", channel.Permanent),
		},
		Accepting: func(testing.TB) json.RawMessage {
			return json.RawMessage(`{"to_addresses":["a@example.com"],"bcc_addresses":["b@example.com"]}`)
		},
		Hanging: hanging,
		Bad: []channeltest.Bad{{Name: "nobody", Config: `{"content_type":"rtf"}`,
			Fields: []string{"to_addresses", "content_type"}}},
		Secrets: []string{mailPassword},
		Close: func() {
			for _, c := range clients {
				_ = c.Close()
			}
		},
	})
}

// A recipient that was refused, and is then taken out of the configuration, fails nothing.
func TestRemovedRecipientsFailNothing(t *testing.T) {
	t.Parallel()
	server := &mailServer{}
	c := server.channel(t, email.Config{ToAddresses: []string{"b@example.com"}})
	m := channelfixture.Message()
	m.Progress = []byte(`{"refused":["a@example.com"]}`)
	result, err := c.Send(t.Context(), m)
	require.NoError(t, err)
	assert.Equal(t, "reached 1 of 1", result.Response)
}
