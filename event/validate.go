package event

// Validate is a stub.
func (e *Event) Validate() error { return nil }
