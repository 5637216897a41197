package event

import "errors"

// MarshalJSON is a stub.
func (e *Event) MarshalJSON() ([]byte, error) { return e.AppendJSON(nil) }

// AppendJSON is a stub.
func (e *Event) AppendJSON(dst []byte) ([]byte, error) { return dst, errors.New("event: not yet") }
