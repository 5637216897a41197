package channel

import "encoding/json"

// A Driver turns the configuration of a subscription into a Channel. Package channelkit has what
// most drivers need.
//
// A Driver that wraps another one embeds it, so that it keeps the Schema of the other one.
type Driver interface {
	// Open returns the Channel of a configuration. The library calls it when a subscription is
	// created, updated or loaded, so Open checks the whole configuration and compiles its templates.
	// It does no I/O, and is safe for concurrent use. A Channel is never closed: what needs closing
	// belongs to the Driver.
	//
	// If the configuration is invalid, Open returns an *event.ValidationError that names every
	// problem, by the path of the field within the configuration, and repeats no secret. It ignores
	// fields that it does not know: the published schema allows them, and an older process must still
	// be able to read a newer configuration. A management API refuses them if the Schema lists the
	// fields.
	Open(config json.RawMessage) (Channel, error)

	// Schema describes the configurations that Open accepts. It is always the same.
	Schema() Schema
}

// A Schema describes the configurations of a channel, for a management API. More fields may be
// added; the zero value of each will mean that the driver does not say.
type Schema struct {
	// Fields lists all fields that Open reads, so that an API can refuse any other as a mistake,
	// and knows what to mask. Nil means that the driver does not list them: then every field is
	// accepted, and every value is masked.
	Fields []Field
}

// A DriverFunc is a function used as a Driver.
type DriverFunc func(config json.RawMessage) (Channel, error)

// Schema returns the zero value.
func (DriverFunc) Schema() Schema { return Schema{} }

// Open calls f.
func (f DriverFunc) Open(config json.RawMessage) (Channel, error) { return f(config) }

// Field describes one field of a channel's configuration.
type Field struct {
	// Name is the field's name in the JSON.
	Name string
	// Secret says that the value, with everything below it, is masked unless a client asks for it
	// by name.
	Secret bool
	// Target says that the value decides where messages go, and with them the secrets that they
	// carry. If an update sends a secret back masked, a management API keeps the stored secret only
	// while the targets stay the same: a URL in its scheme, host and port, any other value as a
	// whole. If a driver marks no field, every value that is a URL counts as a target; if it does
	// not list its fields, every value does.
	Target bool
}
