package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/channel/sms"
	"github.com/mixpeek/webhooks-go/webhook"
)

// kind is how the value of a field of a channel's configs is written in a form.
type kind string

const (
	kindText    kind = "text"
	kindSecret  kind = "secret" // a text that is not completed by the browser
	kindArea    kind = "area"
	kindLines   kind = "lines"   // a list of strings, one a line
	kindHeaders kind = "headers" // an object of strings, "Name: value" a line
	kindNumber  kind = "number"
	kindSelect  kind = "select"
	kindJSON    kind = "json"
	// kindAuto is for fields of channels that the console does not know: JSON, or else a text.
	kindAuto kind = "auto"
)

// knownField says how a field of one of the module's own channels is called and written. Which
// fields there are, and which are secrets, the channel's driver says.
type knownField struct {
	name, label string
	kind        kind
	help        string
	options     []string
	// preview names the kind of template, for the link to the editor.
	preview string
}

var knownFields = map[string][]knownField{
	httpendpoint.Name: {
		{name: "url", label: "URL", kind: kindText, help: "Where events are posted to, https://…"},
		{name: "headers", label: "Headers", kind: kindHeaders,
			help: "One a line, as “Name: value”. A value of ******** keeps the stored one."},
		{name: "signing_secret", label: "Signing secret", kind: kindSecret,
			help: "Signs every request (Standard Webhooks, whsec_…). Empty: not signed."},
		{name: "signing_secrets", label: "Earlier signing secrets", kind: kindLines,
			help: "Sign as well while a rotation lasts. One a line."},
		{name: "method", label: "Method", kind: kindSelect, options: []string{"", "POST", "PUT"}},
		{name: "timeout", label: "Timeout", kind: kindNumber,
			help: "Seconds for one attempt. Empty: 10."},
		{name: "payload_template", label: "Body template", kind: kindJSON, preview: "payload",
			help: "A JSON object whose strings are templates. Empty: the event as it is."},
	},
	slack.Name: {
		{name: "webhook_url", label: "Webhook URL", kind: kindSecret,
			help: "Of an incoming webhook. Or else use a bot:"},
		{name: "bot_token", label: "Bot token", kind: kindSecret, help: "xoxb-…"},
		{name: "channel_id", label: "Channel id", kind: kindText, help: "That the bot writes to."},
		{name: "channel", label: "Channel name", kind: kindText, help: "Overrides that of the webhook."},
		{name: "workspace_id", label: "Workspace id", kind: kindText, help: "For people only."},
		{name: "username", label: "User name", kind: kindText},
		{name: "icon_emoji", label: "Icon emoji", kind: kindText, help: "Such as :bell:"},
		{name: "icon_url", label: "Icon URL", kind: kindText},
		{name: "blocks_template", label: "Blocks template", kind: kindArea, preview: "blocks",
			help: "A template that renders to Block Kit JSON. Empty: a default message."},
		{name: "blocks", label: "Blocks", kind: kindJSON,
			help: "Block Kit JSON whose strings are templates, in place of a blocks template."},
	},
	email.Name: {
		{name: "to_addresses", label: "To", kind: kindLines, help: "One address a line."},
		{name: "cc_addresses", label: "Cc", kind: kindLines},
		{name: "bcc_addresses", label: "Bcc", kind: kindLines},
		{name: "subject_template", label: "Subject template", kind: kindText, preview: "text"},
		{name: "content_type", label: "Format of the body", kind: kindSelect,
			options: []string{"", "html", "plain_text", "markdown", "json"}},
		{name: "body_template", label: "Body template", kind: kindArea, preview: "html",
			help: "Empty: a default mail."},
	},
	sms.Name: {
		{name: "phone_numbers", label: "Phone numbers", kind: kindLines,
			help: "One a line, such as +14155550100."},
		{name: "message_template", label: "Message template", kind: kindArea, preview: "text",
			help: "Empty: a default text."},
	},
}

// hiddenFields are older names of fields that forms do not offer.
var hiddenFields = map[string][]string{email.Name: {"recipients"}}

// fieldForm is one field of a form.
type fieldForm struct {
	// Key is the name of the input.
	Key, Label, Help, Value, Problem, Preview string
	Kind                                      kind
	Options                                   []string
	Secret                                    bool

	name string
}

// Rows is how many lines a text area has.
func (f *fieldForm) Rows() int {
	return min(max(strings.Count(f.Value, "\n")+2, 3), 16)
}

// channelForm is one channel of a form.
type channelForm struct {
	Index   int
	Channel string
	Fields  []fieldForm
	Problem string
}

// key is the name of the input of a field of a channel.
func key(i int, name string) string { return "c" + strconv.Itoa(i) + "." + name }

// emptyForm returns the form of a channel without values. members are further fields to offer,
// which its stored configs have.
func (c *Console) emptyForm(i int, channelName string, members []string) channelForm {
	form := channelForm{Index: i, Channel: channelName}
	listed, ok := c.dispatcher.Channels().Fields(channelName)
	known := knownFields[channelName]
	if !ok && len(known) == 0 {
		form.Fields = []fieldForm{{Key: key(i, ""), Label: "Configuration", Kind: kindJSON,
			Help: "A JSON object."}}
		return form
	}
	secret := map[string]bool{}
	var names []string
	for _, field := range listed {
		secret[field.Name] = field.Secret
		names = append(names, field.Name)
	}
	for _, name := range members {
		if !slices.Contains(names, name) {
			names = append(names, name)
			secret[name] = true
		}
	}
	for _, k := range known {
		if !ok || slices.Contains(names, k.name) {
			form.Fields = append(form.Fields, fieldForm{Key: key(i, k.name), Label: k.label, Help: k.help,
				Preview: k.preview, Kind: k.kind, Options: k.options, Secret: secret[k.name], name: k.name})
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(known, func(k knownField) bool { return k.name == name }) &&
			(!slices.Contains(hiddenFields[channelName], name) || slices.Contains(members, name)) {
			form.Fields = append(form.Fields, fieldForm{Key: key(i, name), Label: name, Kind: kindAuto,
				Secret: secret[name], name: name})
		}
	}
	return form
}

// channelForm returns the form of a channel whose secrets are masked.
func (c *Console) channelForm(i int, masked webhook.ChannelConfig) channelForm {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(masked.Configs, &members) // it is an object
	form := c.emptyForm(i, masked.Channel, slices.Sorted(maps.Keys(members)))
	for j := range form.Fields {
		f := &form.Fields[j]
		if f.name == "" {
			f.Value = indent(masked.Configs)
		} else if raw := members[f.name]; len(raw) > 0 && string(raw) != "null" {
			f.Value = formValue(f.Kind, raw)
		}
	}
	return form
}

// formValue writes a value as the form has it. A value that does not have the form of its kind is
// written as JSON, which configValue reads for every kind that it is written for.
func formValue(k kind, raw json.RawMessage) string {
	switch k {
	case kindText, kindSecret, kindArea, kindSelect:
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
	case kindLines:
		var list []string
		if json.Unmarshal(raw, &list) == nil && !slices.ContainsFunc(list, func(s string) bool {
			return s == "" || s != strings.TrimSpace(s) || strings.ContainsAny(s, "\r\n") || s[0] == '['
		}) {
			return strings.Join(list, "\n")
		}
	case kindHeaders:
		var values map[string]string
		if json.Unmarshal(raw, &values) == nil {
			var lines []string
			for name, value := range values {
				if name == "" || strings.ContainsAny(name, ":\r\n{ ") || strings.ContainsAny(value, "\r\n") ||
					value != strings.TrimSpace(value) {
					return indent(raw)
				}
				lines = append(lines, name+": "+value)
			}
			sort.Strings(lines)
			return strings.Join(lines, "\n")
		}
	case kindAuto:
		var s string
		if json.Unmarshal(raw, &s) == nil && !json.Valid([]byte(s)) {
			return s
		}
	case kindNumber, kindJSON:
	}
	return indent(raw)
}

// configValue reads a value of a form. The empty text is null: no value.
func configValue(k kind, text string) (json.RawMessage, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return json.RawMessage("null"), nil
	}
	var value any
	switch k {
	case kindText, kindSecret, kindSelect:
		value = trimmed
	case kindArea:
		value = text
	case kindLines:
		if trimmed[0] == '[' {
			return readJSON(trimmed)
		}
		var list []string
		for line := range strings.SplitSeq(text, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				list = append(list, line)
			}
		}
		value = list
	case kindHeaders:
		if trimmed[0] == '{' {
			return readJSON(trimmed)
		}
		headers := map[string]string{}
		n := 0
		for line := range strings.SplitSeq(text, "\n") {
			if n++; strings.TrimSpace(line) == "" {
				continue
			}
			name, content, ok := strings.Cut(line, ":")
			name = strings.TrimSpace(name)
			switch _, twice := headers[name]; {
			case !ok || name == "":
				return nil, fmt.Errorf("must be “Name: value” in line %d", n)
			case twice:
				return nil, fmt.Errorf("has %s twice", name)
			}
			headers[name] = strings.TrimSpace(content)
		}
		value = headers
	case kindNumber:
		if _, err := strconv.ParseFloat(trimmed, 64); err != nil || !json.Valid([]byte(trimmed)) {
			return nil, fmt.Errorf("must be a number")
		}
		return json.RawMessage(trimmed), nil
	case kindJSON:
		return readJSON(trimmed)
	case kindAuto:
		if json.Valid([]byte(trimmed)) {
			return json.RawMessage(trimmed), nil
		}
		value = text
	}
	return json.Marshal(value)
}

func readJSON(text string) (json.RawMessage, error) {
	if !json.Valid([]byte(text)) {
		return nil, fmt.Errorf("must be JSON")
	}
	return json.RawMessage(text), nil
}
