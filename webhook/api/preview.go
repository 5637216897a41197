package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// PreviewRequest asks what a template renders to for an event.
type PreviewRequest struct {
	// Template is an object or a list whose strings are templates, such as a
	// payload_template, or a string, such as a subject_template. Required.
	Template json.RawMessage `json:"template"`
	// Shape is template.ShapeJSON for a string that renders to JSON, such as Slack's
	// blocks_template. Defaults to text for a string, and to an object for an object or a list.
	Shape template.Shape `json:"shape,omitempty"`
	// Format is what values are escaped for: template.FormatHTML for the body of an HTML mail,
	// FormatMarkdown for a Markdown one, FormatMrkdwn for Slack. Empty does not escape them.
	Format template.Format `json:"format,omitempty"`
	// HTML has the same effect as Format "html".
	HTML bool `json:"html,omitempty"`
	// EventType is the type of the event. Defaults to object.created.
	EventType string `json:"event_type,omitempty"`
	// Event is the envelope. Missing fields get sample values. Defaults to the example of the
	// type in the catalogue, or else to a sample event.
	Event *event.Event `json:"event,omitempty"`
	// EventID selects an event that was emitted before, in place of EventType and Event.
	EventID string `json:"event_id,omitempty"`
}

// PreviewResponse is what a template renders to: JSON, or a string of text.
type PreviewResponse struct {
	Rendered json.RawMessage `json:"rendered"`
}

// preview renders a template as a delivery would. [template.Preview] bounds its time.
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
		p.add(o.at("event_id"), typeValue, "must be absent if there is an event")
	}
	e := a.readEvent(o, readEventType(o, event.ObjectCreated))
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
	ctx := a.dispatcher.Renders().ContextFor(r.Context(),
		template.Turn{OrganizationID: r.organizationID})
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

// readTemplate reads the template and its shape.
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
		o.found.add(o.at("shape"), typeValue,
			"does not fit the template: a string is text or json, an object or a list is object")
	}
	return source, shape
}

// readFormat reads what values are escaped for.
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

// addTemplateError adds a problem for each leaf of the template that is wrong.
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

// testTime bounds a test, whatever timeouts the channels have.
const testTime = 30 * time.Second

// TestRequest says what a test sends, and to which channels of a webhook.
type TestRequest struct {
	// Channel is one of the webhook's channel keys: "webhook", and "webhook#2"
	// for the second of that name. Defaults to all of them.
	Channel string `json:"channel,omitempty"`
	// EventType is the type of the event. Defaults to that of a delivery of the webhook that failed:
	// see [dispatch.Dispatcher.LastFailedType]. If none has, it defaults to the first type that the
	// webhook is subscribed to and that has an example in the catalogue, or else to one that fits the
	// first pattern of the webhook.
	EventType string `json:"event_type,omitempty"`
	// Event is the envelope. Missing fields get sample values. Defaults to the example of the
	// type in the catalogue, or else to a sample event. The metadata of both has "test": true.
	Event *event.Event `json:"event,omitempty"`
}

// TestResponse has the results of a test.
type TestResponse struct {
	EventID   string                `json:"event_id"`
	EventType string                `json:"event_type"`
	Results   []dispatch.TestResult `json:"results"`
}

// sendTest makes one attempt for each channel of the webhook, even if the webhook is paused, and
// answers with the results. Nothing is stored and nothing is retried.
func (a *API) sendTest(r *request) (*response, error) {
	sub, err := a.subscription(r)
	if err != nil {
		return nil, err
	}
	p := &problems{}
	var channels []string
	eventType, err := a.dispatcher.LastFailedType(r.Context(), sub)
	if err != nil {
		return nil, err
	}
	if eventType == "" {
		eventType = a.cfg.Catalogue.SampleType(sub.EventTypes)
	}
	e := a.cfg.Catalogue.Sample(eventType)
	if o := optionalObject(p, r.body); o != nil {
		if name := o.text("channel"); name != "" {
			channels = []string{name}
			if keys := sub.ChannelKeys(); !slices.Contains(keys, name) {
				p.add(o.at("channel"), typeValue, "must be one of %s", strings.Join(keys, ", "))
			}
		}
		e = a.readEvent(o, readEventType(o, eventType))
		o.end()
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	results, err := a.runTest(r, sub, e, channels)
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK,
		body: TestResponse{EventID: e.ID, EventType: e.Type, Results: results}}, nil
}

// errTestEnded says that a test has lost its place.
var errTestEnded = &statusError{
	status: http.StatusServiceUnavailable, retryAfter: busyTime,
	message: "The test took long, and ended because other organizations wait: try again in a moment",
}

// runTest makes the attempts in one of the places for tests.
func (a *API) runTest(
	r *request, sub *webhook.Subscription, e *event.Event, channels []string,
) ([]dispatch.TestResult, error) {
	place, err := a.tests.admit(r.organizationID)
	if err != nil {
		return nil, err
	}
	defer place.release()
	ctx, cancel := context.WithTimeout(r.Context(), testTime)
	defer cancel()
	place.wait(cancel)
	results, err := a.dispatcher.SendTest(ctx, sub, e, channels...)
	if !place.resume() {
		return nil, errTestEnded
	}
	return results, err
}

// readEventType reads the event type of a test or a preview, or returns value if it is absent.
func readEventType(o *object, value string) string {
	s := o.text("event_type")
	if s == "" {
		return value
	}
	if err := event.ValidType(s); err != nil {
		o.found.add(o.at("event_type"), typeValue, "%s", err)
		return value
	}
	return s
}

// readEvent reads the envelope of a test or a preview. Missing fields get sample values, so that
// a body may have as few fields as its client likes.
func (a *API) readEvent(o *object, eventType string) *event.Event {
	raw := o.get("event")
	if raw == nil {
		return a.cfg.Catalogue.Sample(eventType)
	}
	var found event.Problems
	e, err := event.Decode(raw)
	if err != nil {
		found.AddError("event", err)
		o.found.mergeError(found.Err())
		return &event.Event{}
	}
	e.FillSample(eventType)
	found.AddError("event", e.Validate())
	o.found.mergeError(found.Err())
	return e
}

// storedEvent reads the payload of an event that was emitted before.
func storedEvent(payload []byte) (*event.Event, error) {
	e := &event.Event{}
	return e, json.Unmarshal(payload, e)
}
