package webhook

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/event"
)

// Subscription says which event types go to which channels. Its JSON
// is the management API's subscription object.
type Subscription struct {
	// ID is "wh_" and 16 hexadecimal digits, as [NewID] makes it, or "wh_" and 10 letters or
	// digits, as older systems made it.
	ID string
	// Name is for people: 1 to 200 characters.
	Name string
	// EventTypes are the patterns for the types of the events that the subscription gets. It gets
	// an event if one of them matches. There must be at least one, and at most MaxEventTypes.
	EventTypes []event.Pattern
	// Channels are where the events go. Each channel gets every matching event, with retries and a
	// history of its own. There must be at least one, and at most MaxChannels.
	Channels []ChannelConfig
	// Paused is the opposite of the JSON's is_active, so that the zero value is an active
	// subscription. While it is set, the subscription's deliveries are stored and wait. Only callers
	// set it: the library disables a single endpoint instead (see [Health]).
	Paused bool
	// Retry says when failed deliveries are tried again. Nil means that dispatch.Config.Retry decides.
	Retry *Retry
	// RateLimit bounds how many attempts begin at each of its channels. Nil leaves it to the channel:
	// Slack and SMS have limits of their own, which a RateLimit replaces.
	RateLimit *RateLimit
	// Ordering asks for the events of each subject to be delivered in order. Nil means that they are
	// delivered in any order.
	Ordering *Ordering
	// CreatedAt and UpdatedAt are set by the Dispatcher, by the clock of its process.
	CreatedAt, UpdatedAt time.Time
	// OrganizationID identifies the organization that owns the subscription: only its own events reach
	// it. It has at most 200 bytes of UTF-8 without control characters. A service without tenants
	// leaves it empty everywhere. It is never part of the JSON.
	OrganizationID string
	// Revision grows with every update. It is set by the Store, and an update
	// must carry the revision that it was based on. It is not part of the JSON.
	Revision int64
}

// ChannelConfig names a channel and holds its configuration as the contract
// writes it.
type ChannelConfig struct {
	// Channel is a name in the Dispatcher's registry: "webhook", "slack",
	// "email", "sms" or one registered by the user.
	Channel string `json:"channel"`
	// Configs is the channel's own JSON object.
	Configs json.RawMessage `json:"configs"`

	unwritable error // why Via could make no Configs
}

// Format prints the name of the channel, whatever the verb: the configs may hold
// secrets.
func (c ChannelConfig) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "{Channel:%q Configs:[redacted]}", c.Channel)
}

// LogValue returns what Format prints. The JSON, unlike these, contains the configs.
func (c ChannelConfig) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// LogValue returns the subscription without the configs of its channels.
func (sub Subscription) LogValue() slog.Value {
	return slog.GroupValue(slog.String("webhook_id", sub.ID), slog.String("webhook_name", sub.Name),
		slog.String("internal_id", sub.OrganizationID),
		slog.Any("event_types", sub.EventTypes), slog.Any("channels", sub.ChannelKeys()),
		slog.Bool("is_active", !sub.Paused))
}

// Via makes a ChannelConfig from the configuration of a channel, such as httpendpoint.Config. If it
// cannot be written as JSON, validating the subscription returns an error that names the field.
func Via(config interface{ ChannelName() string }) ChannelConfig {
	raw, err := json.Marshal(config)
	c := ChannelConfig{Channel: config.ChannelName(), Configs: raw}
	if err != nil {
		c.unwritable = unwritableFields(config)
	}
	return c
}

// unwritableFields names the fields of a struct of which no JSON can be made. It
// does not repeat what encoding/json says, because that may quote a secret.
func unwritableFields(config any) error {
	const rule = "cannot be written as JSON"
	var p event.Problems
	if v := reflect.Indirect(reflect.ValueOf(config)); v.Kind() == reflect.Struct {
		for _, f := range reflect.VisibleFields(v.Type()) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() || f.Anonymous || name == "-" {
				continue
			}
			value, err := v.FieldByIndexErr(f.Index)
			if err != nil {
				continue // in an embedded pointer that is nil
			}
			if _, err := json.Marshal(value.Interface()); err != nil {
				p.Add(cmp.Or(name, f.Name), rule)
			}
		}
	}
	if p.Err() == nil {
		p.Add("", rule)
	}
	return p.Err()
}

// NewID returns a new random subscription id: "wh_" and 16 hexadecimal digits.
func NewID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return "wh_" + hex.EncodeToString(b[:])
}

var idPattern = regexp.MustCompile(`^wh_(?:[0-9a-fA-F]{16}|[0-9A-Za-z]{10})$`)

// The bounds of one subscription. Every emit matches the patterns, every event makes a
// delivery for each channel, and every process keeps the configs and the compiled
// templates, so a subscription without bounds could exhaust all three.
const (
	// MaxEventTypes is how many entries EventTypes may have.
	MaxEventTypes = 500
	// MaxChannels is how many entries Channels may have.
	MaxChannels = 50
	// MaxConfigs is how many bytes the configs of all channels may have together.
	MaxConfigs = 128 << 10

	maxNameLength = 200
)

// CheckBounds returns an [*event.ValidationError] if the subscription exceeds MaxEventTypes,
// MaxChannels or MaxConfigs. Validate checks them too.
func (sub *Subscription) CheckBounds() error {
	var p event.Problems
	sub.checkBounds(&p)
	return p.Err()
}

// checkBounds reports the bounds that the subscription crosses. What crosses one is
// not looked into.
func (sub *Subscription) checkBounds(p *event.Problems) (within bool) {
	within = true
	cross := func(field, format string, args ...any) {
		p.Add(field, format, args...)
		within = false
	}
	if n := len(sub.EventTypes); n > MaxEventTypes {
		cross("event_types", "must have at most %d entries, has %d", MaxEventTypes, n)
	}
	if n := len(sub.Channels); n > MaxChannels {
		cross("channels", "must have at most %d entries, has %d", MaxChannels, n)
	}
	size := 0
	for _, c := range sub.Channels {
		size += len(c.Configs)
	}
	if size > MaxConfigs {
		cross("channels", "must have configs of at most %d bytes in all, has %d", MaxConfigs, size)
	}
	return within
}

// Validate returns an [*event.ValidationError] that lists every invalid field by its JSON name. It
// does not look inside a channel's configs; CreateSubscription and UpdateSubscription of a
// Dispatcher do that as well.
func (sub *Subscription) Validate() error {
	if sub == nil {
		return errNilSubscription()
	}
	var p event.Problems
	if !idPattern.MatchString(sub.ID) {
		p.Add("webhook_id", `must be "wh_" and 16 hexadecimal digits, or 10 letters or digits`)
	}
	switch n := utf8.RuneCountInString(sub.Name); {
	case n == 0:
		p.Required("webhook_name")
	case n > maxNameLength:
		p.Add("webhook_name", "must have at most %d characters, has %d", maxNameLength, n)
	case !utf8.ValidString(sub.Name):
		p.Add("webhook_name", "must be valid UTF-8")
	case strings.ContainsFunc(sub.Name, unicode.IsControl):
		p.Add("webhook_name", "must not hold control characters")
	}
	CheckOrganizationID(&p, "internal_id", sub.OrganizationID)
	p.AddError("retry", sub.Retry.Validate())
	p.AddError("rate_limit", sub.RateLimit.Validate())
	p.AddError("ordering", sub.Ordering.Validate())
	if !sub.checkBounds(&p) {
		return p.Err()
	}
	if len(sub.EventTypes) == 0 {
		p.Add("event_types", "needs at least one event type")
	}
	for i, pattern := range sub.EventTypes {
		if err := pattern.Validate(); err != nil {
			p.AddError(fmt.Sprintf("event_types[%d]", i), err)
		}
	}
	if len(sub.Channels) == 0 {
		p.Add("channels", "needs at least one channel")
	}
	for i, c := range sub.Channels {
		if c.Channel == "" {
			p.Required(fmt.Sprintf("channels[%d].channel", i))
		}
		if c.unwritable != nil {
			p.AddError(fmt.Sprintf("channels[%d].configs", i), c.unwritable)
		} else if !c.IsObject() {
			p.Add(fmt.Sprintf("channels[%d].configs", i), "must be a JSON object")
		}
	}
	return p.Err()
}

// maxOrganizationID bounds an organization's id, in bytes.
const maxOrganizationID = 200

// CheckOrganizationID adds a problem of the field to p if id is not a valid organization id: at
// most 200 bytes of UTF-8 without control characters. The empty id is valid.
func CheckOrganizationID(p *event.Problems, field, id string) {
	if len(id) > maxOrganizationID || !utf8.ValidString(id) ||
		strings.ContainsFunc(id, unicode.IsControl) {
		p.Add(field, "must be valid UTF-8 without control characters, of at most %d bytes",
			maxOrganizationID)
	}
}

// IsObject reports whether Configs is a JSON object, as it must be.
func (c ChannelConfig) IsObject() bool {
	trimmed := bytes.TrimLeft(c.Configs, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(c.Configs)
}

// Matches reports whether an event of the given type goes to the subscription's
// channels. It does not ask whether the subscription is paused.
func (sub *Subscription) Matches(eventType string) bool {
	return slices.ContainsFunc(sub.EventTypes,
		func(p event.Pattern) bool { return p.Match(eventType) })
}

// ChannelKeys names the subscription's channels, in order, so that a delivery can
// say which one it is for: the channel's name, and "name#2", "name#3" for the
// second and third channel of that name.
func (sub *Subscription) ChannelKeys() []string {
	keys := make([]string, len(sub.Channels))
	seen := make(map[string]int, len(sub.Channels))
	for i, c := range sub.Channels {
		seen[c.Channel]++
		keys[i] = c.Channel
		if n := seen[c.Channel]; n > 1 {
			keys[i] += "#" + strconv.Itoa(n)
		}
	}
	return keys
}

// Clone returns a copy that shares nothing with sub.
func (sub *Subscription) Clone() *Subscription {
	if sub == nil {
		return nil
	}
	c := *sub
	c.Retry, c.RateLimit, c.Ordering = sub.Retry.Clone(), sub.RateLimit.Clone(), sub.Ordering.Clone()
	c.EventTypes = slices.Clone(sub.EventTypes)
	c.Channels = slices.Clone(sub.Channels)
	for i := range c.Channels {
		c.Channels[i].Configs = bytes.Clone(c.Channels[i].Configs)
	}
	return &c
}

// subscriptionJSON is the contract's form of a Webhook.
type subscriptionJSON struct {
	ID         string          `json:"webhook_id,omitempty"`
	Name       string          `json:"webhook_name"`
	EventTypes []event.Pattern `json:"event_types"`
	Channels   []ChannelConfig `json:"channels"`
	IsActive   *bool           `json:"is_active"`
	Retry      *Retry          `json:"retry,omitempty"`
	RateLimit  *RateLimit      `json:"rate_limit,omitempty"`
	Ordering   *Ordering       `json:"ordering,omitempty"`
	CreatedAt  *time.Time      `json:"created_at,omitempty"`
	UpdatedAt  *time.Time      `json:"updated_at,omitempty"`
}

// MarshalJSON writes the contract's subscription object.
func (sub Subscription) MarshalJSON() ([]byte, error) {
	for i, c := range sub.Channels {
		if c.unwritable != nil {
			var p event.Problems
			p.AddError(fmt.Sprintf("channels[%d].configs", i), c.unwritable)
			return nil, p.Err()
		}
	}
	active := !sub.Paused
	out := subscriptionJSON{
		ID: sub.ID, Name: sub.Name, EventTypes: sub.EventTypes, Channels: sub.Channels,
		IsActive: &active, Retry: sub.Retry, RateLimit: sub.RateLimit,
		Ordering: sub.Ordering,
	}
	if !sub.CreatedAt.IsZero() {
		t := sub.CreatedAt.UTC()
		out.CreatedAt = &t
	}
	if !sub.UpdatedAt.IsZero() {
		t := sub.UpdatedAt.UTC()
		out.UpdatedAt = &t
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads the contract's subscription object. An absent or null
// is_active means active. Fields that the contract does not know are ignored.
func (sub *Subscription) UnmarshalJSON(data []byte) error {
	var in subscriptionJSON
	if err := json.Unmarshal(data, &in); err != nil {
		var typeErr *json.UnmarshalTypeError
		if errors.As(err, &typeErr) && typeErr.Field != "" {
			return &event.ValidationError{Problems: []event.Problem{{
				Field: typeErr.Field, Code: event.CodeInvalid, Rule: "must not be a JSON " + typeErr.Value,
			}}}
		}
		return fmt.Errorf("webhook: decoding a webhook: %w", err)
	}
	*sub = Subscription{
		ID: in.ID, Name: in.Name, EventTypes: in.EventTypes, Channels: in.Channels,
		Paused:         in.IsActive != nil && !*in.IsActive,
		Retry:          in.Retry,
		RateLimit:      in.RateLimit,
		Ordering:       in.Ordering,
		OrganizationID: sub.OrganizationID,
		Revision:       sub.Revision,
	}
	if in.CreatedAt != nil {
		sub.CreatedAt = in.CreatedAt.UTC()
	}
	if in.UpdatedAt != nil {
		sub.UpdatedAt = in.UpdatedAt.UTC()
	}
	return nil
}

// errNilSubscription is the error of a call that got no webhook.
func errNilSubscription() error {
	var p event.Problems
	p.Add("", "the subscription is nil")
	return p.Err()
}
