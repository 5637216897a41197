// Package configs is what the management API and the console do with the configs of channels: they
// mask the secrets in them, put stored values back where an update has masks, and rotate signing
// secrets.
//
// # What is where
//
//   - configs.go: which fields are secrets; masks; where messages go
//   - restore.go: which stored channel an updated one is, and its stored values
//   - signing.go: signing secrets
//   - json.go: JSON text that is changed in places
package configs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
)

// Fields knows the fields of channels' configs from the channels' drivers.
type Fields struct{ registry *channel.Registry }

// Of returns the Fields of the channels in the registry.
func Of(registry *channel.Registry) Fields { return Fields{registry} }

// fields returns the fields of a channel's configs. For a channel of the contract without a
// driver in this process these are the contract's fields: its numbers must not be masked, because
// the contract's clients could not read them then.
func (f Fields) fields(channelName string) (fields []channel.Field, listed bool) {
	if fields, listed = f.registry.Fields(channelName); listed ||
		slices.Contains(f.registry.Names(), channelName) {
		return fields, listed
	}
	for _, name := range publishedFields(channelName) {
		fields = append(fields, channel.Field{Name: name, Secret: name == "headers" ||
			name == "webhook_url"})
	}
	return fields, fields != nil
}

// public returns a function that reports whether a field of a channel's configs is not a secret.
// All fields are secrets, except those that the driver lists as public.
func (f Fields) public(channelName string) func(name string) bool {
	fields, _ := f.fields(channelName)
	return func(name string) bool {
		return slices.ContainsFunc(fields,
			func(field channel.Field) bool { return field.Name == name && !field.Secret })
	}
}

// CanSign reports whether the channel has signing secrets.
func (f Fields) CanSign(channelName string) bool {
	fields, _ := f.registry.Fields(channelName)
	return slices.ContainsFunc(fields,
		func(field channel.Field) bool { return field.Name == fieldSecret && field.Secret })
}

// Unknown returns the fields of a channel's configs that its driver does not list. Drivers ignore
// such fields; those who call this refuse them, so that a misspelt name is noticed.
func (f Fields) Unknown(c webhook.ChannelConfig) []string {
	fields, ok := f.registry.Fields(c.Channel)
	var members map[string]json.RawMessage
	if !ok || json.Unmarshal(c.Configs, &members) != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(members)), func(name string) bool {
		return slices.ContainsFunc(fields, func(field channel.Field) bool { return field.Name == name })
	})
}

// publishedFields returns the fields that the published contract, in either of its versions, has
// for the configs of a channel. A client that was generated from it knows no others. It returns
// nil for a channel that the contract does not have.
func publishedFields(channelName string) []string {
	switch channelName {
	case "webhook":
		return []string{"url", "headers", "payload_template", "timeout"}
	case "slack":
		return []string{"webhook_url", "channel", "username", "icon_emoji", "icon_url", "blocks_template"}
	case "email":
		// recipients is an older name of to_addresses.
		return []string{"to_addresses", "recipients", "cc_addresses", "bcc_addresses", "subject_template",
			"body_template", "content_type"}
	case "sms":
		return []string{"phone_numbers", "message_template"}
	}
	return nil
}

// extensions returns the fields of a channel's configs that a client of the contract does not
// know. Such a client leaves them out when it sends back what it has read. For channels that the
// contract does not have there are none.
func (f Fields) extensions(channelName string) []string {
	published := publishedFields(channelName)
	fields, _ := f.fields(channelName)
	var names []string
	for _, field := range fields {
		if published != nil && !slices.Contains(published, field.Name) {
			names = append(names, field.Name)
		}
	}
	return names
}

// present returns the webhook as it is in answers, before secrets are masked. A client that was
// generated from the contract must be able to read it, or it can read no list with this webhook.
// The stored configs may have any form that the drivers accept.
func present(sub *webhook.Subscription) (*webhook.Subscription, error) {
	shown := sub.Clone()
	for i := range shown.Channels {
		if err := presentChannel(&shown.Channels[i]); err != nil {
			return nil, err
		}
	}
	return shown, nil
}

func presentChannel(c *webhook.ChannelConfig) error {
	if publishedFields(c.Channel) == nil {
		return nil
	}
	if len(c.Configs) == 0 || string(c.Configs) == "null" { // the store cannot decrypt them
		c.Configs = unreadable(c.Channel)
		return nil
	}
	members, err := readMembers(c.Configs)
	if err != nil {
		return err
	}
	shown := slices.DeleteFunc(slices.Clone(members),
		member.isNull) // null means absent, and not every schema allows it
	switch c.Channel {
	case "webhook":
		shown = presentSubscription(shown)
	case "email":
		shown = presentEmail(shown)
	case "slack":
		if has(shown, "bot_token") && find(shown, "webhook_url") < 0 { // the schema requires it
			shown = append(shown, member{"webhook_url", json.RawMessage(`""`)})
		}
	}
	if slices.EqualFunc(shown, members, member.equal) {
		return nil
	}
	c.Configs, err = writeMembers(shown)
	return err
}

// presentSubscription writes the HTTP method in upper case, as it is sent.
func presentSubscription(members []member) []member {
	if !has(members, "method") {
		return without(members, "method")
	}
	i := find(members, "method")
	var method string
	if json.Unmarshal(members[i].value, &method) == nil {
		if written, err := json.Marshal(strings.ToUpper(method)); err == nil {
			members[i].value = written
		}
	}
	return members
}

func presentEmail(members []member) []member {
	if i := find(members, "recipients"); i >= 0 {
		if find(members, "to_addresses") < 0 {
			members[i].name = "to_addresses"
		} else {
			members = without(members, "recipients")
		}
	}
	if !has(members, "content_type") { // "" means the default, but is not in the schema's list
		members = without(members, "content_type")
	}
	return members
}

// unreadable returns configs for a channel whose stored configs the store cannot decrypt. They
// have what the contract's schema requires. An update that sends them back is refused.
func unreadable(channelName string) json.RawMessage {
	field, value := "", maskJSON
	switch channelName {
	case "webhook":
		field = "url"
	case "slack":
		field = "webhook_url"
	case "email":
		field, value = "to_addresses", "["+maskJSON+"]"
	case "sms":
		field, value = "phone_numbers", "["+maskJSON+"]"
	}
	return json.RawMessage(`{"` + field + `":` + value + `}`)
}

// accept removes from configs that a client sends back what present has added.
func accept(channelName string, configs json.RawMessage) json.RawMessage {
	if channelName != "slack" {
		return configs
	}
	members, err := readMembers(configs)
	if err != nil || !has(members, "bot_token") || has(members, "webhook_url") ||
		find(members, "webhook_url") < 0 {
		return configs
	}
	if accepted, err := writeMembers(without(members, "webhook_url")); err == nil {
		return accepted
	}
	return configs
}

// Mask stands for the value of a secret in answers, and for the stored value in an update.
const Mask = "********"

const maskJSON = `"` + Mask + `"`

// secretLeaves returns the secrets in a channel's configs, except empty strings.
func (f Fields) secretLeaves(c webhook.ChannelConfig) ([]jsonLeaf, error) {
	leaves, err := jsonLeaves(c.Configs, f.public(c.Channel))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(leaves,
		func(l jsonLeaf) bool { return string(c.Configs[l.start:l.end]) == `""` }), nil
}

// asking finds the names that ask for secrets of one channel, such as
// channels.0.configs.headers.X-Token.
type asking struct {
	names []begun
	// below are the names that begin with a path, and what follows it. Each path of the configs is looked
	// at once, and for each name once.
	below map[*jsonPath][]begun
}

// begun is a name of which a part was found, by its index, and the rest of the name.
type begun struct {
	index int
	rest  string
}

func asksOf(channel int, reveal []string) *asking {
	a := &asking{below: make(map[*jsonPath][]begun)}
	configs := fmt.Sprintf("channels.%d.configs", channel)
	for i, name := range reveal {
		if rest, ok := strings.CutPrefix(name, configs); ok {
			a.names = append(a.names, begun{i, rest})
		}
	}
	return a
}

// asked returns the index of the name that asks for the secret, or -1.
func (a *asking) asked(path *jsonPath) int {
	if path == nil || len(a.names) == 0 {
		return -1
	}
	for _, name := range follow(a.begin(path.parent), path.part) {
		if name.rest == "" {
			return name.index
		}
	}
	return -1
}

// begin returns the names that begin with the path.
func (a *asking) begin(path *jsonPath) []begun {
	if path == nil {
		return a.names
	}
	names, known := a.below[path]
	if !known {
		names = follow(a.begin(path.parent), path.part)
		a.below[path] = names
	}
	return names
}

// follow returns the names that go on with the part.
func follow(names []begun, part any) (on []begun) {
	if len(names) == 0 {
		return nil
	}
	next := "." + fmt.Sprint(part)
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name.rest, next); ok && (rest == "" || rest[0] == '.') {
			on = append(on, begun{name.index, rest})
		}
	}
	return on
}

// mask returns a copy of the webhook in which secrets are masked, except those that reveal names.
// If a name is not that of a secret of the webhook, it returns ErrNoSecret as well.
func (f Fields) mask(
	sub *webhook.Subscription, reveal []string,
) (*webhook.Subscription, error) {
	masked := sub.Clone()
	revealed := make([]bool, len(reveal))
	for i, c := range masked.Channels {
		leaves, err := f.secretLeaves(c)
		if err != nil {
			return nil, err
		}
		var replacements []replacement
		asks := asksOf(i, reveal)
		for _, leaf := range leaves {
			if name := asks.asked(leaf.path); name >= 0 {
				revealed[name] = true
				continue
			}
			replacements = append(replacements, replacement{leaf, []byte(maskJSON)})
		}
		masked.Channels[i].Configs = replaceLeaves(c.Configs, replacements)
	}
	for i, name := range reveal {
		if !revealed[i] && slices.Index(reveal, name) == i {
			return nil, ErrNoSecret
		}
	}
	return masked, nil
}

// ErrNoSecret means that a name to be revealed is not that of a secret.
var ErrNoSecret = errors.New("configs: there is no secret of that name")

// Masked returns a copy of the subscription as it is shown: secrets are [Mask], except those that
// reveal names, such as channels.0.configs.headers.X-Token, and the configs are in the form of the
// published contract. It returns ErrNoSecret if a name is not that of a secret.
func (f Fields) Masked(
	sub *webhook.Subscription, reveal ...string,
) (*webhook.Subscription, error) {
	shown, err := present(sub)
	if err != nil {
		return nil, err
	}
	return f.mask(shown, reveal)
}

// sameTarget reports whether messages of both configs go to the same place, so that a secret of
// one may be used in the other: see [channel.Field]. A mask stands for the stored value.
func (f Fields) sameTarget(channelName string, now, stored *webhook.ChannelConfig) bool {
	a, errA := f.targets(channelName, now)
	b, errB := f.targets(channelName, stored)
	if errA != nil || errB != nil {
		return false
	}
	for path, target := range a {
		if target != Mask {
			continue
		}
		if same, ok := b[path]; ok {
			a[path] = same
		} else {
			delete(a, path)
		}
	}
	return maps.Equal(a, b)
}

// targets returns the values that decide where messages go, by path.
func (f Fields) targets(
	channelName string, c *webhook.ChannelConfig,
) (map[pathKey]string, error) {
	fields, listed := f.fields(channelName)
	marked := slices.ContainsFunc(fields, func(field channel.Field) bool { return field.Target })
	leaves, err := jsonLeaves(c.Configs, func(name string) bool {
		return marked && !slices.ContainsFunc(fields,
			func(field channel.Field) bool { return field.Name == name && field.Target })
	})
	if err != nil {
		return nil, err
	}
	targets := map[pathKey]string{}
	for _, leaf := range leaves {
		value := leafText(c.Configs[leaf.start:leaf.end])
		origin, isURL := originOf(value)
		switch {
		case value == "": // not a target
			continue
		case isURL:
			value = origin
		case listed && !marked && value != Mask:
			continue
		}
		targets[leaf.path.key()] = value
	}
	return targets, nil
}

// leafText returns the value of a leaf: a string, or a number as it is written.
func leafText(raw []byte) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return string(raw)
	}
	return s
}

// maxHost is the most bytes of a name that can be looked up, with the dot of the root. What is longer
// stays as it is written: the time that A-labels take grows with the square of the name.
const maxHost = 254

// originOf returns the scheme, host and port of a URL in one spelling.
func originOf(s string) (origin string, ok bool) {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Scheme == "" || u.Host == "" {
		return "", false
	}
	scheme := strings.ToLower(u.Scheme)
	port := cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[scheme])
	host := strings.ToLower(u.Hostname())
	if len(host) <= maxHost {
		if ascii, err := idna.Lookup.ToASCII(host); err == nil { // the name that is connected to
			host = ascii
		}
	}
	return scheme + "://" + host + ":" + port, true
}
