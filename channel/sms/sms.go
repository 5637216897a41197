package sms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
	"github.com/mixpeek/webhooks-go/template"
)

// Name is the channel's name in subscriptions.
const Name = "sms"

// Config is the configuration of the "sms" channel. Its JSON is that of the published contract.
type Config struct {
	// PhoneNumbers are the recipients, 1 to 50, in E.164: "+14155550100". Required.
	PhoneNumbers []string `json:"phone_numbers"`

	// MessageTemplate is a template of the text. If it is empty, a default text says what happened
	// to what, and when.
	MessageTemplate string `json:"message_template,omitempty"`
}

// ChannelName returns Name.
func (Config) ChannelName() string { return Name }

// A Provider sends text messages through a service such as Twilio. Implementations must be safe for
// concurrent use.
type Provider interface {
	// SendSMS makes one attempt to send the text to one number, in E.164, and returns the
	// provider's id of the message. If the attempt fails, it returns a *channel.Error that says
	// what the failure means for this number. If ctx is done, it returns channel.ContextError(ctx).
	SendSMS(ctx context.Context, to, text string) (id string, err error)

	// Host returns the host of the service, in lower case and without a port, for
	// channel.Capabilities. Empty means that it is not known.
	Host() string
}

// Options are the options of NewDriver.
type Options struct {
	// MaxSegments is the largest number of segments of a text, because each is charged for.
	// Defaults to 4, which is 612 characters of GSM-7 or 268 of UCS-2.
	MaxSegments int

	// Truncate cuts a text that is too long, and marks the cut. Defaults to false: such a text is
	// not sent, and the delivery is dead (Permanent, ClassTooLarge).
	Truncate bool

	// Timeout bounds one attempt, for all numbers together. Numbers for which no time is left have to
	// wait for the next attempt. Defaults to 30 seconds.
	Timeout time.Duration

	// MessagesPerSecond is how many texts are sent each second for one subscription's channel, over all
	// processes. Defaults to 1, which is what Twilio sends from a long code in the USA and Canada; it
	// sends 3 from a toll-free number and 100 from a short code, and queues what is more. A
	// subscription may have a limit of its own. [NoRateLimit] leaves it to the provider.
	MessagesPerSecond float64

	// Library has filters and functions that templates can use beyond Jinja2.
	// Defaults to none.
	Library *template.Library
}

// NoRateLimit is the value of Options.MessagesPerSecond that means that there is no limit.
const NoRateLimit = -1

// maxNumbers is how many numbers one configuration may have.
const maxNumbers = 50

// NewDriver returns the driver of the "sms" channel, which sends texts through provider. Its
// configuration is a [Config]. It returns an error if provider is nil, or a nil pointer, or if a
// field of options is wrong.
func NewDriver(provider Provider, options Options) (channel.Driver, error) {
	if v := reflect.ValueOf(provider); provider == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, errors.New("sms: NewDriver: the provider is nil")
	}
	settings.Default(&options.MaxSegments, 4)
	settings.Default(&options.Timeout, 30*time.Second)
	settings.Default(&options.MessagesPerSecond, 1)
	var problems event.Problems
	settings.AtLeast(&problems, "MaxSegments", options.MaxSegments, 1)
	settings.AtLeast(&problems, "Timeout", options.Timeout, time.Millisecond)
	if rate := options.MessagesPerSecond; rate != NoRateLimit && !(rate > 0 && rate <= 10_000) {
		problems.Add("MessagesPerSecond", "must be above 0 and at most 10000, or NoRateLimit")
	}
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("sms: NewDriver: %w", err)
	}
	return &smsDriver{provider: provider, options: options}, nil
}

type smsDriver struct {
	provider Provider
	options  Options
}

// smsChannel is a Config that was checked.
type smsChannel struct {
	*smsDriver
	numbers []string
	message *channelkit.Template
}

// Open checks everything and compiles the template.
func (d *smsDriver) Open(config json.RawMessage) (channel.Channel, error) {
	r := channelkit.ReadConfig(config, d.options.Library)
	c := &smsChannel{smsDriver: d}
	const field = "phone_numbers"
	if _, ok := r.Get(field); r.IsObject() && (!ok || r.IsEmptyList(field)) {
		r.Problems.Add(field, "must hold at least one number")
	}
	r.Texts(field, func(field, s string) {
		if !isE164(s) {
			r.Problems.Add(field,
				"must be a number in E.164: a plus, the country code, at most 15 digits, such as +14155550100")
		} else if !slices.Contains(c.numbers, s) {
			c.numbers = append(c.numbers, s)
		}
	})
	if len(c.numbers) > maxNumbers {
		r.Problems.Add(field, "must be at most %d numbers", maxNumbers)
	}
	c.message = r.TextTemplate("message_template", template.FormatPlain)
	if err := r.Problems.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// isE164 reports whether s is a phone number as ITU-T E.164 writes it.
func isE164(s string) bool {
	return len(s) >= 8 && len(s) <= 16 && s[0] == '+' && s[1] != '0' &&
		strings.Trim(s[1:], "0123456789") == ""
}

// Capabilities are the Timeout of the Options, the provider's Host, a text for each number, and as
// many attempts a second as send no more than Options.MessagesPerSecond.
func (c *smsChannel) Capabilities() channel.Capabilities {
	can := channel.Capabilities{Timeout: c.options.Timeout, Host: c.provider.Host(),
		Messages: len(c.numbers)}
	if rate := c.options.MessagesPerSecond; rate != NoRateLimit {
		can.AttemptsPerSecond = rate / float64(len(c.numbers))
	}
	return can
}

// Send sends one text to each number that no earlier attempt has reached, one
// after the other. One that fails keeps nothing from the others, unless the provider asks to wait or
// refuses the login, which concerns them all: it counts for those behind it as well. Those for which
// there is no time are left to the next attempt: a text that is cut short may have been sent.
func (c *smsChannel) Send(ctx context.Context, m *channel.Message) (channel.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	done := channelkit.ReadProgress(m.Progress)
	text, err := c.text(ctx, m)
	if err != nil {
		return channel.Result{Progress: done.After(err)}, err
	}
	var (
		reached []string
		failed  []channelkit.Failure
		longest time.Duration  // that a text has taken
		refusal *channel.Error // of all numbers
	)
	deadline, _ := ctx.Deadline()
	for _, number := range done.Remaining(c.numbers) {
		began := time.Now()
		untried := channel.Error{Class: channel.ClassTimeout}
		if refusal != nil {
			untried = *refusal
		}
		if refusal != nil || longest > 0 && deadline.Sub(began) < longest+longest/2 {
			untried.Err = errors.New("not tried in this attempt")
			failed = append(failed, channelkit.Failure{Recipient: number, Err: &untried})
			continue
		}
		_, err := c.provider.SendSMS(ctx, number, text)
		longest = max(longest, time.Since(began))
		if errors.Is(ctx.Err(), context.Canceled) {
			// Nothing is known of this number; but those that were reached must not be
			// forgotten, so their progress goes with the error.
			if err == nil {
				reached = append(reached, number)
			}
			done.Add(reached, failed)
			return channel.Result{Progress: done.After(ctx.Err())}, ctx.Err()
		}
		if e := channel.AsError(err); e != nil {
			failed = append(failed, channelkit.Failure{Recipient: number, Err: e})
			if e.Action == channel.Wait || e.Class == channel.ClassAuth {
				refusal = e
			}
			continue
		}
		reached = append(reached, number)
	}
	return done.Settle(c.numbers, reached, failed)
}

// text renders the text and sees that it is not too long.
func (c *smsChannel) text(ctx context.Context, m *channel.Message) (string, error) {
	text, err := c.render(ctx, m)
	if err != nil {
		return "", err
	}
	segments := CountSegments(text)
	switch {
	case segments.Count == 0:
		return "", &channel.Error{Action: channel.Permanent, Class: channel.ClassTemplate,
			Err: errors.New("the text is empty")}
	case segments.Count <= c.options.MaxSegments:
		return text, nil
	case c.options.Truncate:
		return truncateSegments(text, c.options.MaxSegments), nil
	}
	alphabet := "GSM-7"
	if segments.UCS2 {
		alphabet = "UCS-2"
	}
	return "", &channel.Error{Action: channel.Permanent, Class: channel.ClassTooLarge,
		Err: fmt.Errorf("the text takes %d segments of %s, and at most %d are sent", segments.Count,
			alphabet, c.options.MaxSegments)}
}

func (c *smsChannel) render(ctx context.Context, m *channel.Message) (string, error) {
	if c.message == nil {
		s, err := channelkit.Summarize(m)
		if err != nil {
			return "", err
		}
		return defaultText(s), nil
	}
	out, err := c.message.Render(ctx, m)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f || r == utf8.RuneError {
			return -1
		}
		return r
	}, string(out))), nil
}

// defaultText is the default text: short, because each segment is paid for.
func defaultText(s *channelkit.Summary) string {
	text := s.Title()
	if at := s.When(); at != "" {
		text += "\n" + at
	}
	return text
}

// Schema has the fields of [Config].
func (*smsDriver) Schema() channel.Schema {
	return channel.Schema{Fields: channelkit.FieldsOf(Config{})}
}
