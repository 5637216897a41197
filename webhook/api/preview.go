package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
)

// PreviewRequest asks what a template makes of an event.
type PreviewRequest struct {
	// Template is an object or a list whose strings are templates, such as a
	// payload_template, or a string, such as a subject_template. Required.
	Template json.RawMessage `json:"template"`
	// Shape is template.ShapeJSON for a string that renders to JSON, such as
	// Slack's blocks_template. Otherwise it follows from Template.
	Shape template.Shape `json:"shape,omitempty"`
	// Format is what values are escaped for: template.FormatHTML for the body of
	// an HTML mail, FormatMarkdown for a Markdown one, FormatMrkdwn for Slack.
	// Empty means that they are printed as they are.
	Format template.Format `json:"format,omitempty"`
	// HTML is the same as Format "html".
	HTML bool `json:"html,omitempty"`
	// Event is the envelope. What it lacks is filled in.
	Event *event.Event `json:"event,omitempty"`
	// EventID takes an event that was emitted before in place of Event.
	EventID string `json:"event_id,omitempty"`
}

// PreviewResponse is what a template renders to: JSON, or a string of text.
type PreviewResponse struct {
	Rendered json.RawMessage `json:"rendered"`
}

// preview renders a template as a delivery would. [template.Preview] bounds the
// time of it.
func (a *API) preview(r *request) (*response, error) {
	p := &problems{}
	o := readObject(p, r.body, nil)
	if o == nil {
		return nil, p
	}
	source, shape := readTemplate(o)
	options := template.Options{Format: readFormat(o), Library: a.cfg.Library}
	eventID := o.text("event_id")
	if eventID != "" && o.members["event"] != nil {
		p.add(o.at("event_id"), typeValue, "must not be there together with event")
	}
	e := readEvent(o, event.ObjectCreated)
	o.end()
	if err := p.err(); err != nil {
		return nil, err
	}
	if eventID != "" {
		payload, err := a.dispatcher.EventPayload(r.Context(), r.organizationID, eventID)
		if err != nil {
			return nil, orNotFound(err, "event", eventID)
		}
		if e, err = storedEvent(payload); err != nil {
			return nil, err
		}
	}
	ctx := a.dispatcher.Renders().ContextFor(r.Context(), template.Turn{OrganizationID: r.organizationID})
	rendered, err := template.Preview(ctx, shape, source, options, e)
	if err != nil {
		p.addTemplateError(o.at("template"), err)
		if r.Context().Err() != nil {
			return nil, r.Context().Err()
		}
		return nil, p
	}
	res := PreviewResponse{Rendered: json.RawMessage(rendered)}
	if shape == template.ShapeText {
		if res.Rendered, err = json.Marshal(rendered); err != nil {
			return nil, err
		}
	}
	return &response{status: http.StatusOK, body: res}, nil
}

// readTemplate reads the template and what shape it has.
func readTemplate(o *object) (source string, shape template.Shape) {
	raw := o.get("template")
	shape = template.Shape(o.text("shape"))
	isText := false
	switch {
	case raw == nil:
		o.found.add(o.at("template"), typeMissing, "is required")
	case raw[0] == '"':
		isText = json.Unmarshal(raw, &source) == nil
	case raw[0] == '{' || raw[0] == '[':
		source = string(raw)
	default:
		o.found.add(o.at("template"), "string_type", "must be a string, an object or a list")
	}
	switch {
	case shape == "" && isText:
		shape = template.ShapeText
	case shape == "":
		shape = template.ShapeObject
	case shape != template.ShapeText && shape != template.ShapeJSON && shape != template.ShapeObject:
		o.found.add(o.at("shape"), "enum", "must be text, json or object")
	case raw != nil && isText == (shape == template.ShapeObject):
		o.found.add(o.at("shape"), typeValue, "does not fit the template: a string is text or json, an object or a list is object")
	}
	return source, shape
}

// readFormat reads what the template's output is.
func readFormat(o *object) template.Format {
	format := template.Format(o.text("format"))
	if html := o.boolean("html"); html != nil && *html && format == template.FormatPlain {
		format = template.FormatHTML
	}
	switch format {
	case template.FormatPlain, template.FormatHTML, template.FormatMarkdown, template.FormatMrkdwn:
	default:
		o.found.add(o.at("format"), "enum", "must be html, markdown or mrkdwn")
	}
	return format
}

// addTemplateError adds what is wrong with a template, each leaf at its place.
func (p *problems) addTemplateError(location []any, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			p.addTemplateError(location, err)
		}
		return
	}
	var e *template.Error
	if errors.As(err, &e) && e.Leaf != "" {
		for part := range strings.SplitSeq(strings.TrimPrefix(e.Leaf, "/"), "/") {
			part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
			if n, err := strconv.Atoi(part); err == nil {
				location = append(location, n)
			} else {
				location = append(location, part)
			}
		}
	}
	p.add(location, "template_error", "%s", err)
}
