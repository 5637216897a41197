package channel

import "encoding/json"

// A Driver turns the configuration of a subscription into a Channel. It is
// called once when a webhook is created or updated, and once when it is loaded,
// so this is where everything is checked and templates are compiled.
//
// Open does no I/O. A configuration that is wrong is refused with an
// *event.ValidationError that names every problem at once, by the path of the
// field within the configuration and without repeating a secret. Fields that
// the driver does not know are ignored: the published schema allows them, and
// an older process must still be able to read a newer configuration. A
// management API refuses them where the Schema lists the fields.
//
// A Driver that wraps another one embeds it, so that it has the Schema of the
// other one; package channelkit has what most drivers need.
type Driver interface {
	Open(config json.RawMessage) (Channel, error)

	// Schema describes the configurations that Open takes. It is always the same.
	Schema() Schema
}

// A Schema describes the configurations of a channel, for a management API. More
// fields may be added; in each, zero will mean that the driver does not say.
type Schema struct {
	// Fields are all the fields that Open reads, so that an API can refuse any other
	// as a slip, and knows what to mask. Nil means that the driver does not say: any
	// field is taken, and every value masked.
	Fields []Field
}

// A DriverFunc is a function used as a Driver.
type DriverFunc func(config json.RawMessage) (Channel, error)

// Schema says nothing.
func (DriverFunc) Schema() Schema { return Schema{} }

// Open calls f.
func (f DriverFunc) Open(config json.RawMessage) (Channel, error) { return f(config) }

// Field is a member of a channel's configuration.
type Field struct {
	Name string
	// Secret says that the value, and all below it, is shown to those only who
	// ask for it by name.
	Secret bool
	// Target says that the value decides where messages, and the secrets in
	// them, go. A management API keeps a secret that comes back masked only
	// while the targets stay: a URL by its scheme, host and port, any other
	// value as it is. Of a driver that marks no field, every value that is a URL
	// counts as one; of a driver that does not list its fields, every value.
	Target bool
}
