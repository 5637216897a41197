package channel

// A FieldLister is a Driver that says which fields its configurations have, so
// that a management API can refuse any other as a slip, and knows what to mask.
// Of a driver that is none, any field is taken and every value masked.
type FieldLister interface {
	Driver
	// Fields returns all fields that Open reads, always the same ones.
	Fields() []Field
}

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
	// counts as one; of a driver that lists no fields, every value.
	Target bool
}

// Fields returns the fields of the configurations of the channel of that name,
// and false if its driver does not say, see [FieldLister], or there is none.
func (r *Registry) Fields(name string) ([]Field, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	lister, ok := r.drivers[name].(FieldLister)
	if !ok {
		return nil, false
	}
	return lister.Fields(), true
}
