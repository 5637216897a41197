package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// TailEvent is an event that was emitted to a webhook.
type TailEvent struct {
	// Position is the place just after the event: ?after= takes it, and so does a named position.
	Position       webhook.Position `json:"position"`
	SubscriptionID string           `json:"webhook_id"`
	EventID        string           `json:"event_id"`
	EventType      string           `json:"event_type"`
	CreatedAt      time.Time        `json:"created_at"`
	// Event is the envelope, byte for byte as it is sent to endpoints.
	Event json.RawMessage `json:"event"`
}

// TailDelivery is a delivery, as it was when it was read.
type TailDelivery struct {
	Position webhook.Position `json:"position"`
	Delivery webhook.Delivery `json:"delivery"`
}

// TailResult is something that happened to a delivery: an attempt, a replay or a cancellation.
type TailResult struct {
	Position   webhook.Position   `json:"position"`
	DeliveryID webhook.DeliveryID `json:"delivery_id"`
	EventID    string             `json:"event_id"`
	EventType  string             `json:"event_type"`
	webhook.Endpoint
	// Status is what the delivery became: pending, succeeded, dead or cancelled.
	Status webhook.Status `json:"status"`
	// Attempt is null if there was none: a delivery that is pending then was replayed.
	Attempt *webhook.Attempt `json:"attempt"`
	// At is when it happened, and for a replay when the delivery was due then.
	At time.Time `json:"at"`
}

// Replayed reports whether the result is a replay.
func (r *TailResult) Replayed() bool {
	return r.Status == webhook.StatusPending && r.Attempt == nil
}

// tailed is what a page of a tail has.
type tailed interface {
	TailEvent | TailDelivery | TailResult
}

// TailPage is a page of events, deliveries or results, the oldest first.
type TailPage[T tailed] struct {
	Results []T `json:"results"`
	// Next is the position for ?after= of the next request. It moves on although there are no
	// results, past what the filters do not select.
	Next webhook.Position `json:"next"`
	// More says that there may be more results now.
	More bool `json:"more"`
	// HeldSince is when the transaction of the service began that keeps further results back, because
	// it may still commit earlier ones. Null if there is none.
	HeldSince *time.Time `json:"held_since"`
}

// PositionList is the list of the named positions of a webhook, which is never long.
type PositionList struct {
	Results []webhook.NamedPosition `json:"results"`
}

// PositionRequest says how far a reader has come.
type PositionRequest struct {
	Position webhook.Position `json:"position"`
}

// maxWait is how long a request may wait for results.
const maxWait = 30 * time.Second

// tailEvents reads what was emitted to all webhooks.
func (a *API) tailEvents(r *request) (*response, error) { return a.tail(r, webhook.TailQuery{}) }

// tailDeliveries reads the deliveries of all webhooks, or of one.
func (a *API) tailDeliveries(r *request) (*response, error) {
	return a.tail(r, webhook.TailQuery{Deliveries: true, WithoutPayload: true})
}

// tailResults reads what becomes of the deliveries of all webhooks, or of one.
func (a *API) tailResults(r *request) (*response, error) {
	return a.tail(r, webhook.TailQuery{Results: true, WithoutPayload: true})
}

// tailSubscriptionEvents reads what was emitted to one webhook, which may be deleted.
func (a *API) tailSubscriptionEvents(r *request) (*response, error) {
	id := r.PathValue("identifier")
	known, err := a.hasSubscription(r, id)
	if err == nil && !known {
		err = notFound("webhook", id)
	}
	if err != nil {
		return nil, err
	}
	return a.tail(r, webhook.TailQuery{SubscriptionID: id})
}

// tail answers with a page, at once or after a wait, or with a stream.
func (a *API) tail(r *request, q webhook.TailQuery) (*response, error) {
	wait, err := a.readTailQuery(r, &q)
	if err != nil {
		return nil, err
	}
	reader, err := a.dispatcher.OpenTail(q)
	if err != nil {
		return nil, err
	}
	streamed := false
	defer func() {
		if !streamed {
			reader.Close()
		}
	}()
	page, err := reader.Next(r.Context(), 0)
	if errors.Is(err, webhook.ErrPosition) {
		return nil, wrongPosition(at("after"))
	}
	if err != nil {
		return nil, err
	}
	s := &tailStream{api: a, request: r, reader: reader, query: q, page: page}
	accepts := wantsStream(r.Request)
	if !accepts && (wait == 0 || len(page.Records) > 0) {
		return s.answer()
	}
	// From here on the request waits, and has a place of those that may.
	if s.place, err = a.streams.admit(r.organizationID); err != nil {
		return nil, err
	}
	r.place.release()
	r.place = s.place
	if !accepts {
		if err := s.wait(wait); err != nil {
			return nil, err
		}
		return s.answer()
	}
	streamed = true
	return &response{stream: s.run}, nil
}

// readTailQuery reads the parameters of a tail.
func (a *API) readTailQuery(r *request, out *webhook.TailQuery) (wait time.Duration, err error) {
	p := &problems{}
	q := newQuery(p, r)
	out.OrganizationID = r.organizationID
	out.Since = q.time("since")
	out.Limit = q.integer("limit", 1, maxDeliveries, defaultPage)
	wait = time.Duration(q.integer("wait", 0, int(maxWait/time.Second), 0)) * time.Second
	if pattern := q.text("event_type"); pattern != "" {
		out.EventTypes = []event.Pattern{event.Pattern(pattern)}
		if err := out.EventTypes[0].Validate(); err != nil {
			p.add(at("event_type"), typeValue, "%s", err)
		}
	}
	if out.SubscriptionID == "" {
		out.SubscriptionID = q.text("webhook_id")
	}
	out.After = readPosition(p, at("after"), q.text("after"))
	name := ""
	if !out.Deliveries && r.PathValue("identifier") != "" {
		name = q.text("position")
	}
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		out.After, name = readPosition(p, []any{"header", "Last-Event-ID"}, last), ""
	}
	q.end()
	if err := p.err(); err != nil || name == "" {
		return wait, err
	}
	list, err := a.dispatcher.Positions(r.Context(), r.organizationID, out.SubscriptionID)
	for _, named := range list {
		if named.Name == name {
			out.After = max(out.After, named.Position)
		}
	}
	return wait, orNotFound(err, "webhook", out.SubscriptionID)
}

func readPosition(p *problems, location []any, s string) webhook.Position {
	if s == "" {
		return 0
	}
	position, err := webhook.ParsePosition(s)
	if err != nil {
		p.add(location, typeValue, "must be the position of an earlier answer")
	}
	return position
}

// wrongPosition is the error for a position that the store has not reached.
func wrongPosition(location []any) error {
	p := &problems{}
	p.add(location, typeValue, "must be a position that this service has answered")
	return p
}

// wantsStream reports whether the client asks for server-sent events.
func wantsStream(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// answer makes a page of what was read.
func (s *tailStream) answer() (*response, error) {
	var body []byte
	var err error
	switch {
	case s.query.Results:
		body, err = pageOf(&s.page, newTailResult)
	case s.query.Deliveries:
		body, err = pageOf(&s.page, newTailDelivery)
	default:
		body, err = pageOf(&s.page, newTailEvent)
	}
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, body: json.RawMessage(body),
		header: map[string]string{"Vary": "Accept"}}, nil
}

func pageOf[T tailed](
	page *webhook.TailPage, record func(*webhook.TailRecord) T,
) ([]byte, error) {
	out := TailPage[T]{Results: make([]T, len(page.Records)), Next: page.Next, More: page.More}
	for i := range page.Records {
		out.Results[i] = record(&page.Records[i])
	}
	if !page.HeldSince.IsZero() {
		out.HeldSince = &page.HeldSince
	}
	return encodeExactly(out)
}

func newTailEvent(r *webhook.TailRecord) TailEvent {
	return TailEvent{
		Position: r.Position, SubscriptionID: r.Delivery.SubscriptionID, EventID: r.Delivery.EventID,
		EventType: r.Delivery.EventType, CreatedAt: r.Delivery.CreatedAt, Event: r.Payload,
	}
}

func newTailDelivery(r *webhook.TailRecord) TailDelivery {
	return TailDelivery{Position: r.Position, Delivery: presentable(r.Delivery)}
}

func newTailResult(r *webhook.TailRecord) TailResult {
	d := &r.Delivery
	return TailResult{
		Position: r.Position, DeliveryID: d.ID, EventID: d.EventID, EventType: d.EventType,
		Endpoint: d.Endpoint, Status: r.Result.Status, Attempt: r.Result.Attempt, At: r.Result.At,
	}
}

// encodeExactly returns JSON in one line that has envelopes as they are: json.Marshal would escape
// characters of HTML in them.
func encodeExactly(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

// listPositions lists the named positions of a webhook.
func (a *API) listPositions(r *request) (*response, error) {
	id := r.PathValue("identifier")
	list, err := a.dispatcher.Positions(r.Context(), r.organizationID, id)
	if err != nil {
		return nil, orNotFound(err, "webhook", id)
	}
	if list == nil {
		list = []webhook.NamedPosition{}
	}
	return &response{status: http.StatusOK, body: PositionList{list}}, nil
}

// setPosition acknowledges all up to a position.
func (a *API) setPosition(r *request) (*response, error) {
	id, name := r.PathValue("identifier"), r.PathValue("name")
	p := &problems{}
	var names event.Problems
	webhook.CheckPositionName(&names, "name", name)
	if invalid := (*event.ValidationError)(nil); errors.As(names.Err(), &invalid) {
		p.add([]any{"path", "name"}, typeValue, "%s", invalid.Problems[0].Rule)
	}
	var position webhook.Position
	location := []any{"body", "position"}
	if o := readObject(p, r.body, nil); o != nil {
		text := o.text("position")
		if text == "" {
			p.add(location, typeMissing, "is required")
		}
		position = readPosition(p, location, text)
		o.end()
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	stored, err := a.dispatcher.Acknowledge(r.Context(), r.organizationID, id, name, position)
	if errors.Is(err, webhook.ErrPosition) {
		return nil, wrongPosition(location)
	}
	if err != nil {
		return nil, orNotFound(err, "webhook", id)
	}
	return &response{status: http.StatusOK, body: stored}, nil
}

// deletePosition removes a named position. As for a webhook, one that does not exist is no error.
func (a *API) deletePosition(r *request) (*response, error) {
	err := a.dispatcher.DeletePosition(r.Context(), r.organizationID, r.PathValue("identifier"),
		r.PathValue("name"))
	if err != nil && !errors.Is(err, webhook.ErrNotFound) {
		return nil, err
	}
	return &response{status: http.StatusNoContent}, nil
}

// noTail is the answer of a service whose store cannot be read as a tail.
var noTail = &statusError{status: http.StatusNotFound, cause: dispatch.ErrNoTail,
	message: "The store of this service cannot be read by position"}
