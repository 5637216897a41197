package event

import (
	"errors"
	"fmt"
)

// DecodeError says why bytes are not an envelope, and where.
type DecodeError struct {
	// Field is the path of the field that is wrong: "subject.id". Empty when
	// the input as a whole is.
	Field string
	// Offset is the position in the input, in bytes.
	Offset int
	// Rule says what was expected. It never quotes a value of the input.
	Rule string
}

// Error names the field, the rule and the position.
func (e *DecodeError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("event: decode: %s (byte %d)", e.Rule, e.Offset)
	}
	return fmt.Sprintf("event: decode: %s: %s (byte %d)", e.Field, e.Rule, e.Offset)
}

// Decode is a stub.
func Decode(data []byte) (*Event, error) {
	e := new(Event)
	if err := e.UnmarshalJSON(data); err != nil {
		return nil, err
	}
	return e, nil
}

// UnmarshalJSON is a stub.
func (e *Event) UnmarshalJSON(data []byte) error { return errors.New("event: not yet") }
