package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
)

// templateKind is where a template is used, which decides its shape and what values are escaped
// for.
type templateKind struct {
	Name, Label string
	shape       template.Shape
	format      template.Format
	example     string
}

var templateKinds = []templateKind{
	{"payload", "Webhook: body (payload_template)", template.ShapeObject, template.FormatPlain,
		"{\n  \"text\": \"{{ event_type }} for {{ subject.id }}\",\n  \"data\": \"{{ metadata }}\"\n}"},
	{"blocks", "Slack: blocks (blocks_template)", template.ShapeJSON, template.FormatMrkdwn,
		"[{\"type\": \"section\", \"text\": {\"type\": \"mrkdwn\",\n  \"text\": \"*{{ event_type }}* " +
			"{{ subject.id }}\"}}]"},
	{"html", "Mail: HTML body", template.ShapeText, template.FormatHTML,
		"<p><b>{{ event_type }}</b> for {{ subject.id }}</p>"},
	{"markdown", "Mail: Markdown body", template.ShapeText, template.FormatMarkdown,
		"**{{ event_type }}** for {{ subject.id }}"},
	{"text", "Mail subject, text message, plain text", template.ShapeText, template.FormatPlain,
		"{{ event_type }}: {{ subject.id }}"},
}

// previewBody is the page of the template editor.
type previewBody struct {
	Kinds                   []templateKind
	Kind, Template          string
	Types                   []string
	Type, EventID, Event    string
	Rendered                string
	Done                    bool
	TemplateProblem         string
	EventProblem            string
	SubscriptionID, Channel string
}

func (c *Console) newPreview() *previewBody {
	body := &previewBody{Kinds: templateKinds}
	for _, info := range c.cfg.Catalogue {
		body.Types = append(body.Types, info.Type)
	}
	return body
}

func kindOf(name string) *templateKind {
	i := slices.IndexFunc(templateKinds, func(k templateKind) bool { return k.Name == name })
	return &templateKinds[max(i, 0)]
}

func (c *Console) showPreview(q *request) error {
	body := c.newPreview()
	kind := kindOf(q.URL.Query().Get("kind"))
	body.Kind, body.Template = kind.Name, kind.example
	body.EventID = q.URL.Query().Get("event")
	body.Type = q.URL.Query().Get("type")
	if event.ValidType(body.Type) != nil {
		body.Type = event.ObjectCreated
		if len(c.cfg.Catalogue) > 0 {
			body.Type = c.cfg.Catalogue[0].Type
		}
	}
	return c.previewPage(q, body)
}

func (c *Console) preview(q *request) error {
	body := c.newPreview()
	body.Kind = kindOf(q.PostForm.Get("kind")).Name
	body.Template = q.PostForm.Get("template")
	body.Type, body.EventID = q.PostForm.Get("type"), strings.TrimSpace(q.PostForm.Get("event"))
	return c.previewPage(q, body)
}

// previewPage renders the template for the event: a stored one, or the sample of a type.
func (c *Console) previewPage(q *request, body *previewBody) error {
	p := page{Title: "Template editor", Section: "templates"}
	e, payload, err := c.previewEvent(q, body)
	if err != nil {
		return err
	}
	body.Event = payload
	if e != nil {
		kind := kindOf(body.Kind)
		body.Rendered, err = c.renderTemplate(q, kind.shape, body.Template, kind.format, e)
		switch {
		case err != nil && q.Context().Err() != nil:
			return err
		case err != nil:
			body.TemplateProblem = err.Error()
		default:
			body.Done = true
			if kind.shape != template.ShapeText {
				body.Rendered = indent([]byte(body.Rendered))
			}
		}
	}
	status := http.StatusOK
	if body.TemplateProblem != "" || body.EventProblem != "" {
		status = http.StatusUnprocessableEntity
	}
	q.render(status, "preview", p, body)
	return nil
}

func (c *Console) previewEvent(q *request, body *previewBody) (*event.Event, string, error) {
	if body.EventID != "" {
		payload, err := c.dispatcher.EventPayload(q.Context(), q.organizationID, body.EventID)
		if errors.Is(err, webhook.ErrNotFound) {
			body.EventProblem = "there is no event of this id"
			return nil, "", nil
		}
		if err != nil {
			return nil, "", err
		}
		e, err := event.Decode(payload)
		if err != nil {
			body.EventProblem = "the stored event cannot be decoded"
			return nil, "", nil //nolint:nilerr // the page says so
		}
		return e, indent(payload), nil
	}
	if err := event.ValidType(body.Type); err != nil {
		body.EventProblem = err.Error()
		return nil, "", nil //nolint:nilerr // the page says so
	}
	text, err := sampleText(c.cfg.Catalogue, body.Type)
	return c.cfg.Catalogue.Sample(body.Type), text, err
}

// renderTemplate renders as a delivery would. [template.Preview] bounds its time, and the gate of
// the Dispatcher how many are rendered at once.
func (c *Console) renderTemplate(
	q *request, shape template.Shape, source string, format template.Format, e *event.Event,
) (string, error) {
	ctx := c.dispatcher.Renders().ContextFor(q.Context(),
		template.Turn{OrganizationID: q.organizationID})
	return template.Preview(ctx, shape, source, template.Options{Format: format,
		Library: c.cfg.Library}, e)
}
