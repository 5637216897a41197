package channel

import (
	"context"
)

// payloadTemplate renders the body of a request.
type payloadTemplate struct{}

func (p *payloadTemplate) render(context.Context, *Message) ([]byte, error) {
	return nil, &Error{Action: Permanent, Class: ClassTemplate}
}

// payload reads a payload template, nil when absent.
func (r *configReader) payload(name string) *payloadTemplate {
	if _, ok := r.get(name); ok {
		r.problems.Add(name, "is not supported yet")
	}
	return nil
}
