package api

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
)

// configFields is what the drivers of channels say about their configs.
type configFields struct{ registry *channel.Registry }

// fields returns the fields of a channel's configs. A channel of the contract
// that this process has no driver of has the contract's, because masked numbers
// would be none that the contract's clients can read.
func (f configFields) fields(channelName string) (fields []channel.Field, listed bool) {
	if fields, listed = f.registry.Fields(channelName); listed || slices.Contains(f.registry.Names(), channelName) {
		return fields, listed
	}
	for _, name := range publishedFields(channelName) {
		fields = append(fields, channel.Field{Name: name, Secret: name == "headers" || name == "webhook_url"})
	}
	return fields, fields != nil
}

// public returns what says whether a field of a channel's configs is no secret:
// all are but those that the driver lists as none.
func (f configFields) public(channelName string) func(name string) bool {
	fields, _ := f.fields(channelName)
	return func(name string) bool {
		return slices.ContainsFunc(fields, func(field channel.Field) bool { return field.Name == name && !field.Secret })
	}
}

// canSign says whether the channel has signing secrets.
func (f configFields) canSign(channelName string) bool {
	fields, _ := f.registry.Fields(channelName)
	return slices.ContainsFunc(fields, func(field channel.Field) bool { return field.Name == fieldSecret && field.Secret })
}

// unknown returns the fields of a channel's configs that its driver does not
// list. The drivers pass them over; here they are refused, so that a slip in a name
// is noticed.
func (f configFields) unknown(c webhook.ChannelConfig) []string {
	fields, ok := f.registry.Fields(c.Channel)
	var members map[string]json.RawMessage
	if !ok || json.Unmarshal(c.Configs, &members) != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(members)), func(name string) bool {
		return slices.ContainsFunc(fields, func(field channel.Field) bool { return field.Name == name })
	})
}
