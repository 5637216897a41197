package api

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/webhook"
)

// publishedFields are the fields that the published contract has for the
// configs of a channel, in either of its versions: all that a client that was
// made from it knows. Nil is a channel that the contract does not have.
func publishedFields(channelName string) []string {
	switch channelName {
	case "webhook":
		return []string{"url", "headers", "payload_template", "timeout"}
	case "slack":
		return []string{"webhook_url", "channel", "username", "icon_emoji", "icon_url", "blocks_template"}
	case "email":
		// Recipients are to_addresses under an older name, and no field more.
		return []string{"to_addresses", "recipients", "cc_addresses", "bcc_addresses", "subject_template", "body_template", "content_type"}
	case "sms":
		return []string{"phone_numbers", "message_template"}
	}
	return nil
}

// extensions are the fields of a channel's configs that such a client does not
// know, and so leaves out when it sends back what it has read. Of other channels
// than the contract's it knows nothing, and there are none.
func (f configFields) extensions(channelName string) []string {
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

// present returns the webhook as answers have it, but for its masks: a client
// that was made from the contract must be able to read it, or it can read no
// list that the webhook is in. What is stored may have any form that the drivers
// take.
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
	if len(c.Configs) == 0 || string(c.Configs) == "null" { // the store cannot open them
		c.Configs = unreadable(c.Channel)
		return nil
	}
	members, err := readMembers(c.Configs)
	if err != nil {
		return err
	}
	shown := slices.DeleteFunc(slices.Clone(members), member.isNull) // null is absent, and not what every schema takes
	switch c.Channel {
	case "webhook":
		shown = presentSubscription(shown)
	case "email":
		shown = presentEmail(shown)
	case "slack":
		if has(shown, "bot_token") && find(shown, "webhook_url") < 0 { // which the schema requires
			shown = append(shown, member{"webhook_url", json.RawMessage(`""`)})
		}
	}
	if slices.EqualFunc(shown, members, member.equal) {
		return nil
	}
	c.Configs, err = writeMembers(shown)
	return err
}

// presentSubscription writes the method as it is sent.
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
	if !has(members, "content_type") { // "" is the default, and not in the schema's list
		members = without(members, "content_type")
	}
	return members
}

// unreadable stands for configs that the store cannot open. It has what the
// contract's schema requires, and is refused when it comes back.
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

// accept undoes what present has added, in configs that come back.
func accept(channelName string, configs json.RawMessage) json.RawMessage {
	if channelName != "slack" {
		return configs
	}
	members, err := readMembers(configs)
	if err != nil || !has(members, "bot_token") || has(members, "webhook_url") || find(members, "webhook_url") < 0 {
		return configs
	}
	if accepted, err := writeMembers(without(members, "webhook_url")); err == nil {
		return accepted
	}
	return configs
}
