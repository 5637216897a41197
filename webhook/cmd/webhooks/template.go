package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
)

var templateCheckCommand = command{
	name: "template check", args: "[TEMPLATE]", short: "Find the mistakes in a template",
	long: `
TEMPLATE is a file, or else the standard input. The shape is that of a
payload_template (object: JSON whose strings are templates), of a subject or
body (text), or of Slack's blocks_template (json: text that renders to JSON).
Without --shape, what is a JSON object or list is an object, and all else text.

Variables whose names are probably misspelt are warnings: the exit code is 0.`,
	example: `webhooks template check payload.json`,
	setup: func(s *flagSet) action {
		var o templateOptions
		o.declare(s)
		return func(_ context.Context, a *app, args []string) error {
			return a.checkTemplate(o, first(args))
		}
	},
}

var templateRenderCommand = command{
	name: "template render", args: "[TEMPLATE]", short: "Render a template for an event",
	long: `
TEMPLATE is a file, or else the standard input; see "webhooks help template
check" about shapes. The event is a file, where missing fields get sample
values, or the example of a type.`,
	example: `
echo '{{ event_type }}: {{ subject.id|upper }}' |
    webhooks template render --event-type invoice.paid
webhooks template render --event event.json payload.json`,
	setup: func(s *flagSet) action {
		var o templateOptions
		o.declare(s)
		s.StringVar(&o.event, "event", "", "`file` with the event")
		s.StringVar(&o.eventType, "event-type", event.ObjectCreated, "`type` of the event")
		return func(ctx context.Context, a *app, args []string) error {
			return a.renderTemplate(ctx, o, first(args))
		}
	},
}

type templateOptions struct {
	shape, format    string
	ready            bool
	event, eventType string
}

func (o *templateOptions) declare(s *flagSet) {
	s.StringVar(&o.shape, "shape", "", "`shape`: text, json or object")
	s.StringVar(&o.format, "format", "", "`format` that values are escaped for: html, markdown or mrkdwn "+
		"(default: none)")
	s.BoolVar(&o.ready, "ready", false, "allow the ready filters and functions, as a service may")
}

// templateProblem is a mistake in a template, and a line of the answer as JSON.
type templateProblem struct {
	Severity string `json:"severity"` // "error" or "warning"
	Message  string `json:"message"`
	// Leaf is the JSON pointer of the string in an object.
	Leaf   string `json:"leaf,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// readTemplate reads the source, and completes and checks the options.
func (a *app) readTemplate(o templateOptions, file string) (
	source string, shape template.Shape, options template.Options, err error,
) {
	text, err := a.readInput(file, "the template")
	if err != nil {
		return "", "", options, err
	}
	options.Format = template.Format(o.format)
	switch options.Format {
	case template.FormatPlain, template.FormatHTML, template.FormatMarkdown, template.FormatMrkdwn:
	default:
		return "", "", options, usagef("--format must be html, markdown or mrkdwn")
	}
	if o.ready {
		if options.Library, err = template.NewLibrary(
			template.LibraryConfig{Ready: template.ReadyAll}); err != nil {
			return "", "", options, err
		}
	}
	shape = template.Shape(o.shape)
	switch trimmed := bytes.TrimSpace(text); {
	case shape == "" && json.Valid(trimmed) && bytes.IndexAny(trimmed, "{[") == 0:
		shape = template.ShapeObject
	case shape == "":
		shape = template.ShapeText
	case shape != template.ShapeText && shape != template.ShapeJSON && shape != template.ShapeObject:
		return "", "", options, usagef("--shape must be text, json or object")
	}
	return string(text), shape, options, nil
}

func (a *app) checkTemplate(o templateOptions, file string) error {
	source, shape, options, err := a.readTemplate(o, file)
	if err != nil {
		return err
	}
	var slips []template.Slip
	switch shape {
	case template.ShapeObject:
		if _, err = template.CompileObject(json.RawMessage(source), options); err == nil {
			slips = template.MisspeltObject(json.RawMessage(source))
		}
	case template.ShapeJSON:
		if _, err = template.CompileJSON(source, options); err == nil {
			slips = template.Misspelt(source)
		}
	default:
		if _, err = template.Compile(source, options); err == nil {
			slips = template.Misspelt(source)
		}
	}
	problems := templateProblems(err)
	for _, s := range slips {
		problems = append(problems, templateProblem{Severity: "warning", Leaf: s.Leaf, Line: s.Line,
			Column: s.Column, Message: fmt.Sprintf("events have no %q: did you mean %q?", s.Name, s.Meant)})
	}
	if err := a.printProblems(problems); err != nil {
		return err
	}
	if err != nil {
		return errNo
	}
	if !a.json {
		a.printf("%s: a valid template of shape %s\n", a.green(a.stdout, "ok"), shape)
	}
	return nil
}

// templateProblems returns the mistakes that an error joins.
func templateProblems(err error) (all []templateProblem) {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			all = append(all, templateProblems(err)...)
		}
		return all
	}
	p := templateProblem{Severity: "error", Message: err.Error()}
	var e *template.Error
	if errors.As(err, &e) {
		p.Leaf, p.Line, p.Column = e.Leaf, e.Line, e.Column
	}
	return append(all, p)
}

func (a *app) printProblems(problems []templateProblem) error {
	for _, p := range problems {
		switch {
		case a.json:
			if err := a.object(p); err != nil {
				return err
			}
		case p.Severity == "warning":
			a.printf("warning: %s%d:%d: %s\n", visible(leafPrefix(p.Leaf)), p.Line, p.Column,
				visible(p.Message))
		default:
			a.printf("%s %s\n", a.red(a.stdout, "error:"), visible(p.Message))
		}
	}
	return nil
}

func leafPrefix(leaf string) string {
	if leaf == "" {
		return ""
	}
	return leaf + ": "
}

func (a *app) renderTemplate(ctx context.Context, o templateOptions, file string) error {
	if err := event.ValidType(o.eventType); err != nil {
		return usagef("--event-type %v", err)
	}
	e := event.Mixpeek().Sample(o.eventType)
	if o.event != "" {
		var err error
		if e, err = a.readEvent(o.event); err != nil {
			return err
		}
		e.FillSample(o.eventType)
	}
	source, shape, options, err := a.readTemplate(o, file)
	if err != nil {
		return err
	}
	out, err := template.Preview(ctx, shape, source, options, e)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := a.printProblems(templateProblems(err)); err != nil {
			return err
		}
		return errNo
	}
	if a.json {
		rendered := json.RawMessage(out)
		if shape == template.ShapeText {
			if rendered, err = json.Marshal(out); err != nil {
				return err
			}
		}
		return a.object(struct {
			Rendered json.RawMessage `json:"rendered"`
		}{rendered})
	}
	a.printf("%s", out)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		a.printf("\n")
	}
	return nil
}

// readEvent reads an envelope, or a part of one, from a file.
func (a *app) readEvent(file string) (*event.Event, error) {
	data, err := a.readInput(file, "the event")
	if err != nil {
		return nil, err
	}
	e, err := event.Decode(bytes.TrimSpace(data))
	if err != nil {
		return nil, usagef("the event: %v", err)
	}
	return e, nil
}
