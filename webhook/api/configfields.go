package api

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// configFields is what is known about the configs of channels, by their name.
type configFields map[string]channelFields

// channelFields is what is known about the configs of one channel.
type channelFields struct {
	known  []string   // all fields there are; nil: nobody has said
	secret [][]string // patterns of the paths of secrets
}

// contractFields are those of the contract's channels, with what the drivers
// of package channel take beyond it.
func contractFields() configFields {
	return configFields{
		channel.NameWebhook: {
			known:  []string{"url", "headers", "payload_template", "timeout", "method", fieldSecret, fieldPrevious},
			secret: [][]string{{"headers", "*"}, {fieldSecret}, {fieldPrevious, "*"}},
		},
		channel.NameSlack: {
			known: []string{"webhook_url", "channel", "username", "icon_emoji", "icon_url", "blocks_template",
				"bot_token", "channel_id", "workspace_id"},
			secret: [][]string{{"webhook_url"}, {"bot_token"}},
		},
		channel.NameEmail: {
			known: []string{"to_addresses", "recipients", "cc_addresses", "bcc_addresses",
				"subject_template", "body_template", "content_type"},
		},
		channel.NameSMS: {known: []string{"phone_numbers", "message_template"}},
	}
}

var secretField = regexp.MustCompile(`^[^.\[\]]+(?:\.[^.\[\]]+|\[\*\])*$`)

// newConfigFields adds what Config.SecretFields says. A channel that is in
// there is the user's own, whatever its name.
func newConfigFields(secrets map[string][]string) (configFields, error) {
	fields := contractFields()
	var p event.Problems
	for name, patterns := range maps.All(secrets) {
		own := channelFields{}
		for _, pattern := range patterns {
			if !secretField.MatchString(pattern) {
				p.Add("SecretFields."+name, `must be paths such as "headers.*" and "keys[*]"`)
			}
			own.secret = append(own.secret, strings.Split(strings.ReplaceAll(pattern, "[*]", ".*"), "."))
		}
		fields[name] = own
	}
	return fields, p.Err()
}

// isSecret says whether the value at a path of a channel's configs is secret: a
// pattern names it or something that it is part of. Case does not count, because
// it does not where a driver decodes with encoding/json. Of a channel that
// nothing is known about, everything is secret.
func (f configFields) isSecret(channelName string, path []any) bool {
	fields, known := f[channelName]
	return !known || slices.ContainsFunc(fields.secret, func(pattern []string) bool { return covers(pattern, path) })
}

func covers(pattern []string, path []any) bool {
	if len(pattern) > len(path) {
		return false
	}
	for i, name := range pattern {
		member, _ := path[i].(string) // a position is matched by "*" only
		if name != "*" && !strings.EqualFold(name, member) {
			return false
		}
	}
	return true
}

// canSign says whether the channel has signing secrets.
func (f configFields) canSign(channelName string) bool {
	return slices.ContainsFunc(f[channelName].secret, func(pattern []string) bool {
		return len(pattern) == 1 && pattern[0] == fieldSecret
	})
}

// unknown returns the fields of a channel's configs that it does not have. The
// drivers pass them over; here they are refused, lest a slip in a name go
// unnoticed and a secret under it unmasked.
func (f configFields) unknown(c webhook.ChannelConfig) []string {
	fields := f[c.Channel]
	var members map[string]json.RawMessage
	if fields.known == nil || json.Unmarshal(c.Configs, &members) != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(members)), func(name string) bool {
		return slices.Contains(fields.known, name)
	})
}
