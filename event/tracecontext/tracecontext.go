package tracecontext

import (
	"context"
	"strings"
)

// The names of the headers.
const (
	Traceparent = "traceparent"
	Tracestate  = "tracestate"
	Baggage     = "baggage"
)

// A Context identifies the trace that something belongs to. Its fields are the values of three HTTP
// headers. The zero value belongs to no trace.
//
// A pointer to a Context is a TextMapCarrier of OpenTelemetry: propagators read and write it.
type Context struct {
	// Parent is the value of traceparent: the ids of the trace and of the span, and whether it is
	// sampled (https://www.w3.org/TR/trace-context/).
	Parent string `json:"traceparent,omitempty"`
	// State is the value of tracestate, which is for the vendors of tracers. It has no meaning
	// without a Parent.
	State string `json:"tracestate,omitempty"`
	// Baggage is the value of baggage: what the application has attached to the trace, which may be
	// private (https://www.w3.org/TR/baggage/).
	Baggage string `json:"baggage,omitempty"`
}

// IsZero reports whether c is a part of no trace and has no baggage.
func (c Context) IsZero() bool { return c == Context{} }

// Get returns the value of a header by its name in lower case, and "" for all other names.
func (c *Context) Get(name string) string {
	if field := c.field(name); field != nil {
		return *field
	}
	return ""
}

// Set sets the value of a header by its name in lower case, and ignores all other names.
func (c *Context) Set(name, value string) {
	if field := c.field(name); field != nil {
		*field = value
	}
}

// Keys returns the names of the headers that are set.
func (c *Context) Keys() []string {
	var names []string
	for _, name := range []string{Traceparent, Tracestate, Baggage} {
		if c.Get(name) != "" {
			names = append(names, name)
		}
	}
	return names
}

func (c *Context) field(name string) *string {
	switch name {
	case Traceparent:
		return &c.Parent
	case Tracestate:
		return &c.State
	case Baggage:
		return &c.Baggage
	}
	return nil
}

type contextKey struct{}

// With returns a context in which [From] finds c, cleaned by [Context.Clean]. If c is zero, From
// finds none.
func With(ctx context.Context, c Context) context.Context {
	c = c.Clean()
	if c == From(ctx) {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, c)
}

// From returns the Context that [With] has put into ctx last, which needs no further check, or the
// zero Context.
func From(ctx context.Context) Context {
	c, _ := ctx.Value(contextKey{}).(Context)
	return c
}

// FromHeader returns the Context in a request's [net/http.Header], cleaned by [Context.Clean].
func FromHeader(header map[string][]string) Context {
	var c Context
	if values := header["Traceparent"]; len(values) == 1 {
		c.Parent = values[0]
	}
	// Several fields of one name are one list (RFC 9110, section 5.3).
	c.State = strings.Join(header["Tracestate"], ",")
	c.Baggage = strings.Join(header["Baggage"], ",")
	return c.Clean()
}
