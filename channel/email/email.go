package email

import (
	"context"
	"encoding/json"
	"errors"
	"net/textproto"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/template"
)

// Name is the channel's name in subscriptions.
const Name = "email"

// Config is the configuration of the "email" channel. Its JSON is that of the published contract.
// An address is "a@b.c" or "Name <a@b.c>", and there may be at most 100 addresses in all. A domain
// with letters outside ASCII is sent as A-labels (RFC 5890). An address with such letters before
// the @ works only if the recipient's mail server supports SMTPUTF8 (RFC 6531).
type Config struct {
	// ToAddresses, CCAddresses and BCCAddresses are the recipients. ToAddresses is required. If the
	// JSON does not have it, "recipients" is read instead, as an older example of the contract
	// names it.
	ToAddresses  []string `json:"to_addresses"`
	CCAddresses  []string `json:"cc_addresses,omitempty"`
	BCCAddresses []string `json:"bcc_addresses,omitempty"`

	// SubjectTemplate and BodyTemplate are templates. If one is empty, a default says what happened
	// to what, and when.
	SubjectTemplate string `json:"subject_template,omitempty"`
	BodyTemplate    string `json:"body_template,omitempty"`

	// ContentType is the format of the body: ContentHTML, ContentPlainText, ContentMarkdown or
	// ContentJSON. Empty means HTML. Markdown is sent as HTML and as text; only as text if it is longer
	// than 128 KiB, or nests so deep or repeats so much that converting it would cost too much. JSON is
	// sent as it is and indented; only as it is if indenting would make it more than four times as long.
	ContentType string `json:"content_type,omitempty"`
}

// ChannelName returns Name.
func (Config) ChannelName() string { return Name }

// The values of Config.ContentType: what BodyTemplate renders to.
const (
	ContentHTML      = "html"
	ContentPlainText = "plain_text"
	ContentMarkdown  = "markdown"
	ContentJSON      = "json"
)

// maxRecipients is what every mail server must take in one mail (RFC 5321,
// section 4.5.3.1.8).
const maxRecipients = 100

// Options are the options of NewDriver.
type Options struct {
	// Library has filters and functions that templates can use beyond Jinja2.
	// Defaults to none.
	Library *template.Library
}

// NewDriver returns the driver of the "email" channel, which sends mail through server. Its
// configuration is a [Config]. It returns an error if server is nil.
func NewDriver(server *SMTP, options Options) (channel.Driver, error) {
	if server == nil {
		return nil, errors.New("email: NewDriver: the server is nil")
	}
	return &emailDriver{server: server, library: options.Library}, nil
}

type emailDriver struct {
	server  *SMTP
	library *template.Library
}

// emailChannel is a Config that was checked.
type emailChannel struct {
	server  *SMTP
	to, cc  []mailbox
	all     []string // the addresses of to, cc and bcc, each once
	subject *channelkit.Template
	body    *channelkit.Template
	content string
}

// Open checks everything and compiles the templates.
func (d *emailDriver) Open(config json.RawMessage) (channel.Channel, error) {
	r := channelkit.ReadConfig(config, d.library)
	c := &emailChannel{server: d.server}
	field := "to_addresses"
	if _, ok := r.Get(field); !ok {
		if _, ok := r.Get("recipients"); ok {
			field = "recipients"
		}
	}
	c.to = c.add(readAddresses(r, field))
	if _, ok := r.Get(field); r.IsObject() && (!ok || r.IsEmptyList(field)) {
		r.Problems.Add(field, "must hold at least one address")
	}
	c.cc = c.add(readAddresses(r, "cc_addresses"))
	c.add(readAddresses(r, "bcc_addresses"))
	if len(c.all) > maxRecipients {
		r.Problems.Add(field, "must be at most %d recipients, cc and bcc included", maxRecipients)
	}
	c.content = r.Text("content_type")
	switch c.content {
	case "":
		c.content = ContentHTML
	case ContentHTML, ContentPlainText, ContentMarkdown, ContentJSON:
	default:
		r.Problems.Add("content_type", "must be html, plain_text, markdown or json")
	}
	c.subject = r.TextTemplate("subject_template", template.FormatPlain)
	if c.content == ContentJSON {
		c.body = r.JSONTemplate("body_template", template.FormatPlain)
	} else {
		c.body = r.TextTemplate("body_template", bodyFormat(c.content))
	}
	if err := r.Problems.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// add takes recipients and returns those that are new. It stops when there are
// too many.
func (c *emailChannel) add(list []mailbox) []mailbox {
	var added []mailbox
	for _, m := range list {
		if len(c.all) > maxRecipients {
			break
		}
		if !slices.Contains(c.all, m.address) {
			c.all, added = append(c.all, m.address), append(added, m)
		}
	}
	return added
}

// Capabilities are those of the mail server: a Timeout that has room for each
// step, and for a step for each recipient; and an attempt at a time for each
// connection; and a message for each recipient.
func (c *emailChannel) Capabilities() channel.Capabilities {
	return channel.Capabilities{
		Timeout:     c.server.times.longest(len(c.all)),
		Host:        strings.ToLower(strings.TrimSuffix(c.server.config.Host, ".")),
		MaxInFlight: c.server.config.MaxConns,
		Messages:    len(c.all),
	}
}

// Send sends one mail to the recipients that no earlier attempt has reached. A
// recipient that is refused does not keep the mail from the others.
func (c *emailChannel) Send(ctx context.Context, m *channel.Message) (channel.Result, error) {
	done := channelkit.ReadProgress(m.Progress)
	recipients := done.Remaining(c.all)
	if len(recipients) == 0 {
		return done.Settle(c.all, nil, nil)
	}
	l, err := c.compose(ctx, m)
	if err != nil {
		return channel.Result{Progress: done.After(err)}, err
	}
	var (
		reached []string
		failed  []channelkit.Failure
	)
	err = c.server.transact(ctx, m.DeliveryID == "", func(conn *smtpConn) error {
		for _, group := range groups(recipients) {
			taken, refused, err := c.deliver(ctx, conn, l, group, slices.Concat(done.Reached, reached))
			reached, failed = append(reached, taken...), append(failed, refused...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		done.Add(reached, failed)
		result := channel.Result{Progress: done.After(err)}
		if e := channel.AsError(err); e != nil {
			result.StatusCode = e.StatusCode
		}
		return result, err
	}
	result, err := done.Settle(c.all, reached, failed)
	if err == nil {
		result.StatusCode = smtpOK
	}
	return result, err
}

// smtpOK is the reply to a mail that was accepted.
const smtpOK = 250

// groups parts the recipients by whether their addresses are ASCII. Each group
// gets a mail of its own: a server further on that does not know other addresses
// must not be sent a mail that names one (RFC 6531, section 3.2).
func groups(recipients []string) [][]string {
	var plain, international []string
	for _, recipient := range recipients {
		if isASCII(recipient) {
			plain = append(plain, recipient)
		} else {
			international = append(international, recipient)
		}
	}
	return slices.DeleteFunc([][]string{plain, international},
		func(group []string) bool { return len(group) == 0 })
}

// deliver sends one mail to some of the recipients, and says who gets it and who
// does not. An error ends the conversation. before are the recipients that have
// been reached already.
func (c *emailChannel) deliver(
	ctx context.Context, conn *smtpConn, l *letter, to, before []string,
) ([]string, []channelkit.Failure, error) {
	taken, failed, err := c.address(ctx, conn, to)
	if err == nil && len(taken) > 0 {
		// The header names the recipients that the server has accepted, so it is
		// written now, and no address outside ASCII in the mail of the first group.
		known := slices.DeleteFunc(slices.Concat(before, taken),
			func(s string) bool { return isASCII(to[0]) && !isASCII(s) })
		err = conn.data(l.write(c.server.from, only(c.to, known), only(c.cc, known)))
	}
	switch {
	case err == nil:
		return taken, failed, nil
	case !goesOn(err):
		return nil, failed, err
	}
	for _, recipient := range taken {
		failed = append(failed, channelkit.Failure{Recipient: recipient,
			Err: channel.AsError(smtpError(ctx, err))})
	}
	return nil, failed, nil
}

// address names sender and recipients to the server. It returns the recipients that
// are accepted, or, with an error, all that the error is about, and those that the
// server has refused one by one.
func (c *emailChannel) address(
	ctx context.Context, conn *smtpConn, to []string,
) (taken []string, failed []channelkit.Failure, err error) {
	international := c.server.from.needsSMTPUTF8() || !isASCII(to[0])
	switch {
	case !international || conn.offers("SMTPUTF8"):
	case c.server.from.needsSMTPUTF8():
		return to, nil, &channel.Error{Class: channel.ClassConfig,
			Err: errors.New("the mail server takes no sender outside ASCII: it offers no SMTPUTF8")}
	default:
		return to, nil, &channel.Error{Action: channel.Permanent, Class: channel.ClassRejected,
			Err: errors.New("the mail server takes no address outside ASCII: it offers no SMTPUTF8")}
	}
	if err := conn.mail(c.server.from.address, international); err != nil {
		return to, nil, refusedSender(err)
	}
	for _, recipient := range to {
		err := conn.rcpt(recipient)
		switch {
		case err == nil:
			taken = append(taken, recipient)
		case !isReply(err):
			return nil, failed, err
		default:
			e := channel.AsError(smtpError(ctx, err))
			if e.StatusCode == smtpTooMany {
				e.Action = channel.Retry
			}
			failed = append(failed, channelkit.Failure{Recipient: recipient, Err: e})
		}
	}
	return taken, failed, nil
}

// smtpTooMany may mean, as a reply to RCPT, that the mail has too many recipients
// already; they get another (RFC 5321, section 4.5.3.1.10).
const smtpTooMany = 552

// goesOn reports whether the conversation can go on after err.
func goesOn(err error) bool {
	var own *channel.Error
	return isReply(err) || errors.As(err, &own) && own.Class != channel.ClassTimeout &&
		own.Class != channel.ClassTooLarge
}

// isReply reports whether err is a reply of the server's, after which the
// conversation can go on; 421 announces that it will not.
func isReply(err error) bool {
	var reply *textproto.Error
	return errors.As(err, &reply) && reply.Code != 421
}

// Schema has the fields of [Config], and "recipients".
func (*emailDriver) Schema() channel.Schema {
	return channel.Schema{Fields: append(channelkit.FieldsOf(Config{}),
		channel.Field{Name: "recipients"})}
}
