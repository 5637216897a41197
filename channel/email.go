package channel

import (
	"context"
	"encoding/json"
	"errors"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/mixpeek/webhooks-go/template"
)

// EmailConfig is the configuration of the "email" channel as the published
// contract spells it, for programs that write one. An address is "a@b.c" or
// "Name <a@b.c>".
type EmailConfig struct {
	// ToAddresses are required. When it is absent, "recipients", the name in an
	// older example of the contract, is read in its place.
	ToAddresses  []string `json:"to_addresses"`
	CCAddresses  []string `json:"cc_addresses,omitempty"`
	BCCAddresses []string `json:"bcc_addresses,omitempty"`

	// SubjectTemplate and BodyTemplate are templates. Empty means a default
	// that says what happened to what, and when.
	SubjectTemplate string `json:"subject_template,omitempty"`
	BodyTemplate    string `json:"body_template,omitempty"`

	// ContentType is what the body is: html, plain_text, markdown or json.
	// Empty means html.
	ContentType string `json:"content_type,omitempty"`
}

// The content types of a mail.
const (
	ContentHTML      = "html"
	ContentPlainText = "plain_text"
	ContentMarkdown  = "markdown"
	ContentJSON      = "json"
)

// maxRecipients is what every mail server must take in one mail (RFC 5321,
// section 4.5.3.1.8).
const maxRecipients = 100

// NewEmailDriver returns the driver of the "email" channel, which sends mail
// through server, which is required; its configuration is an [EmailConfig].
func NewEmailDriver(server *SMTP) (Driver, error) {
	if server == nil {
		return nil, errors.New("channel: NewEmailDriver: the server is nil")
	}
	return &emailDriver{server: server}, nil
}

type emailDriver struct{ server *SMTP }

// emailChannel is an EmailConfig made ready.
type emailChannel struct {
	server  *SMTP
	to, cc  []*mail.Address
	all     []string // the addresses of to, cc and bcc, each once
	subject *tmpl
	body    *tmpl
	content string
}

// Open checks everything and compiles the templates.
func (d *emailDriver) Open(config json.RawMessage) (Channel, error) {
	r := readConfig(config)
	c := &emailChannel{server: d.server}
	field := "to_addresses"
	if _, ok := r.get(field); !ok {
		if _, ok := r.get("recipients"); ok {
			field = "recipients"
		}
	}
	c.to = r.addresses(field)
	if _, ok := r.get(field); r.fields != nil && (!ok || r.isEmptyList(field)) {
		r.problems.Add(field, "must hold at least one address")
	}
	c.cc = r.addresses("cc_addresses")
	bcc := r.addresses("bcc_addresses")
	for _, a := range slices.Concat(c.to, c.cc, bcc) {
		if !slices.Contains(c.all, a.Address) {
			c.all = append(c.all, a.Address)
		}
	}
	if len(c.all) > maxRecipients {
		r.problems.Add(field, "must be at most %d recipients, cc and bcc included", maxRecipients)
	}
	c.content = r.text("content_type")
	switch c.content {
	case "":
		c.content = ContentHTML
	case ContentHTML, ContentPlainText, ContentMarkdown, ContentJSON:
	default:
		r.problems.Add("content_type", "must be html, plain_text, markdown or json")
	}
	c.subject = r.textTemplate("subject_template", template.FormatPlain)
	if c.content == ContentJSON {
		c.body = r.jsonTemplate("body_template", template.FormatPlain)
	} else {
		c.body = r.textTemplate("body_template", bodyFormat(c.content))
	}
	if err := r.problems.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// addresses reads a list of mail addresses.
func (r *configReader) addresses(name string) []*mail.Address {
	var list []*mail.Address
	r.texts(name, func(field, s string) {
		a, err := parseAddress(s)
		if err != nil {
			r.problems.Add(field, "must be a mail address")
			return
		}
		list = append(list, a)
	})
	return list
}

// parseAddress parses one address and keeps out what could end a header or a
// command.
func parseAddress(s string) (*mail.Address, error) {
	a, err := mail.ParseAddress(s)
	if err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(a.Address, "@")
	if !isFieldValue(a.Address) || !isFieldValue(a.Name) || strings.ContainsAny(a.Address, " <>\t") || len(a.Address) > 254 ||
		strings.HasPrefix(domain, "[") || !isHostname(domain) {
		return nil, errors.New("not an address that mail is sent to")
	}
	return a, nil
}

// Timeout is how long an attempt may take.
func (c *emailChannel) Timeout() time.Duration { return c.server.config.Timeout }

// Send sends one mail to the recipients that no earlier attempt has reached. A
// recipient that is refused does not keep the mail from the others.
func (c *emailChannel) Send(ctx context.Context, m *Message) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, c.server.config.Timeout)
	defer cancel()
	done := readProgress(m.Progress)
	recipients := done.remaining(c.all)
	if len(recipients) == 0 {
		return done.settle(len(c.all), nil, nil)
	}
	letter, err := c.compose(ctx, m)
	if err != nil {
		return Result{Progress: done.after(err)}, err
	}
	var (
		reached []string
		failed  []failure
	)
	err = c.server.transact(ctx, func(client *smtp.Client) (bool, error) {
		reached, failed = nil, nil
		if err := client.Mail("<" + c.server.from.Address + ">"); err != nil {
			return isReply(err), err
		}
		for _, recipient := range recipients {
			err := client.Rcpt("<" + recipient + ">")
			if err != nil && !isReply(err) {
				return false, err
			}
			if err != nil {
				failed = append(failed, failure{recipient, AsError(smtpError(ctx, err))})
				continue
			}
			reached = append(reached, recipient)
		}
		if len(reached) == 0 {
			return true, nil
		}
		return data(client, letter)
	})
	if err != nil {
		result := Result{Progress: done.after(err)}
		if e := AsError(err); e != nil {
			result.StatusCode = e.StatusCode
		}
		return result, err
	}
	result, err := done.settle(len(c.all), reached, failed)
	if err == nil {
		result.StatusCode = smtpOK
	}
	return result, err
}

// smtpOK is the reply to a mail that was accepted.
const smtpOK = 250

// data sends the mail itself.
func data(client *smtp.Client, letter []byte) (reusable bool, err error) {
	w, err := client.Data()
	if err != nil {
		return isReply(err), err
	}
	if _, err := w.Write(letter); err != nil {
		return false, err
	}
	if err := w.Close(); err != nil {
		return isReply(err), err
	}
	return true, nil
}

// isReply reports whether err is a reply of the server's, after which the
// conversation can go on; 421 announces that it will not.
func isReply(err error) bool {
	var reply *textproto.Error
	return errors.As(err, &reply) && reply.Code != 421
}
