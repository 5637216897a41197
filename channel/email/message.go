package email

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/internal/printable"
	"github.com/mixpeek/webhooks-go/event/jsontext"
	"github.com/mixpeek/webhooks-go/template"
)

// The headers by which a program can tell what a mail is about, and a person a
// mail that came twice: like the Message-ID they are the same on every attempt.
const (
	headerEventID   = "X-Webhook-Event-Id"
	headerEventType = "X-Webhook-Event-Type"
)

// maxSubject keeps subjects, and what else a header says, readable in a list of mails.
const maxSubject = 200

// A letter's body in up to two forms, of which a mail client shows the last
// that it can.
type letterBody struct {
	plain    string
	rich     string // empty if there is none
	richType gomail.ContentType
}

// A letter is a mail but for the addresses in its header.
type letter struct {
	fields string // of the header, for people
	rest   []byte // of the header, and the body
}

// compose renders the mail. All of it passes the gate of renders at once, because converting
// Markdown and encoding the mail take time and memory as rendering does.
func (c *emailChannel) compose(ctx context.Context, m *channel.Message) (*letter, error) {
	var l *letter
	err := template.Pass(ctx, func(ctx context.Context) (err error) {
		l, err = c.composeInside(ctx, m)
		return err
	})
	var failed *channel.Error
	if err == nil || errors.As(err, &failed) {
		return l, err
	}
	if done := channel.ContextError(ctx); done != nil {
		return nil, done
	}
	return nil, err
}

func (c *emailChannel) composeInside(ctx context.Context, m *channel.Message) (*letter, error) {
	s, err := channelkit.Summarize(m)
	if err != nil {
		return nil, err
	}
	subject := s.Title()
	if c.subject != nil {
		out, err := c.subject.Render(ctx, m)
		if err != nil {
			return nil, err
		}
		if line := printable.Line(string(out), maxSubject); line != "" {
			subject = line
		}
	}
	subject = printable.Line(subject, maxSubject)
	body, err := c.render(ctx, m, s, subject)
	if err != nil {
		return nil, err
	}

	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.SetDateWithValue(time.Now())
	msg.SetMessageIDWithValue(messageID(m, c.server.from))
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office replies
	msg.SetBodyString(gomail.TypeTextPlain, body.plain)
	if body.rich != "" {
		msg.AddAlternativeString(body.richType, body.rich)
	}
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, &channel.Error{Action: channel.Permanent, Class: channel.ClassPayload,
			Err: errors.New("the mail cannot be put together")}
	}
	return &letter{
		fields: textField("Subject", subject) + textField(headerEventID,
			printable.Line(m.EventID, maxSubject)) + textField(headerEventType,
			printable.Line(m.EventType, maxSubject)),
		rest: b.Bytes(),
	}, nil
}

// write returns the mail as it is sent. Bcc is not in it.
func (l *letter) write(from mailbox, to, cc []mailbox) []byte {
	addresses := addressField("From", []mailbox{from}) + addressField("To", to) + addressField("Cc",
		cc)
	if len(to)+len(cc) == 0 {
		addresses += "To: undisclosed-recipients:;\r\n"
	}
	return slices.Concat([]byte(addresses), []byte(l.fields), l.rest)
}

// render makes the body, by the template or by default.
func (c *emailChannel) render(
	ctx context.Context, m *channel.Message, s *channelkit.Summary, subject string,
) (letterBody, error) {
	var text string
	if c.body != nil {
		out, err := c.body.Render(ctx, m)
		if err != nil {
			return letterBody{}, err
		}
		text = string(out)
	}
	switch {
	case c.content == ContentJSON:
		raw := m.Payload
		if c.body != nil {
			raw = []byte(text)
		}
		indented, err := jsontext.Indent(raw, "  ")
		if err != nil {
			return letterBody{}, &channel.Error{Action: channel.Permanent, Class: channel.ClassTemplate,
				Err: errors.New("the body is not JSON")}
		}
		return letterBody{plain: string(indented) + "\n", rich: string(raw),
			richType: "application/json"}, nil
	case c.body == nil && c.content == ContentPlainText:
		return letterBody{plain: textBody(s)}, nil
	case c.body == nil:
		return letterBody{plain: textBody(s), rich: page(subject, htmlBody(s)),
			richType: gomail.TypeTextHTML}, nil
	case c.content == ContentPlainText:
		return letterBody{plain: text}, nil
	case c.content == ContentMarkdown:
		converted, ok, err := convertMarkdown(ctx, text)
		if err != nil || !ok { // then the text is readable as it is
			return letterBody{plain: markdownText(text)}, err
		}
		return letterBody{plain: markdownText(text), rich: page(subject, converted),
			richType: gomail.TypeTextHTML}, nil
	}
	return letterBody{plain: htmlText(text), rich: text, richType: gomail.TypeTextHTML}, nil
}

// messageID makes the Message-ID of a delivery, without its angle brackets.
func messageID(m *channel.Message, from mailbox) string {
	id := atom(m.EventID)
	if m.DeliveryID != "" {
		id += "." + atom(m.DeliveryID)
	}
	return id + "@" + from.domain()
}

// atom keeps what may stand in a Message-ID.
func atom(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '-'
	}, printable.Clip(s, 100))
}
