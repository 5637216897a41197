package api

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// The bounds of a page, from the contract.
const (
	defaultPage = 100
	maxPage     = 1000
	maxOffset   = 10000
)

// WebhookPage is an answer of the later list.
type WebhookPage struct {
	Results    []*webhook.Webhook `json:"results"`
	Pagination Pagination         `json:"pagination"`
	// Total is how many webhooks fit the filters, on all pages.
	Total int `json:"total"`
}

// Pagination says where a page stands. Null is not known or not there.
type Pagination struct {
	// Total and TotalPages are there with include_total.
	Total *int `json:"total"`
	// Page counts from 1. It is not known of a page that a cursor led to.
	Page       *int `json:"page"`
	PageSize   *int `json:"page_size"`
	TotalPages *int `json:"total_pages"`
	// NextPage and PreviousPage are paths with a query.
	NextPage     *string `json:"next_page"`
	PreviousPage *string `json:"previous_page"`
	// NextCursor leads to the next page, even if webhooks before it are created
	// or deleted in the meantime.
	NextCursor *string `json:"next_cursor"`
}

// searchWebhooks is the later list: with filters, and in pages. An organization
// has few webhooks and the answer says how many in total, so all are read.
func (a *API) searchWebhooks(r *request) (*response, error) {
	p := &problems{}
	q := newQuery(p, r)
	limit := q.integer("limit", 1, maxPage, defaultPage)
	offset := q.integer("offset", 0, maxOffset, 0)
	includeTotal := q.boolean("include_total")
	after, err := parseWebhookCursor(q.text("cursor"))
	if err != nil {
		p.add(at("cursor"), typeValue, "must be the next_cursor of an earlier answer")
	}
	filter, exactly := readFilter(p, r)
	if err := p.err(); err != nil {
		return nil, err
	}
	all, err := a.dispatcher.Webhooks(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	if exactly != "" {
		all = slices.DeleteFunc(all, func(w *webhook.Webhook) bool { return !slices.Contains(w.EventTypes, exactly) })
	}
	start := 0
	if after != nil {
		start, _ = slices.BinarySearchFunc(all, after, func(w *webhook.Webhook, c *webhookCursor) int { return c.order(w) })
	}
	start = min(start+offset, len(all))
	end := min(start+limit, len(all))
	results, err := a.fields.maskAll(all[start:end])
	if err != nil {
		return nil, err
	}
	page := WebhookPage{Results: results, Total: len(all), Pagination: Pagination{PageSize: &limit}}
	page.Pagination.place(r, len(all), limit, offset, end)
	if end < len(all) && end > start {
		cursor := newWebhookCursor(all[end-1]).String()
		page.Pagination.NextCursor = &cursor
	}
	if includeTotal {
		pages := (len(all) + limit - 1) / limit
		page.Pagination.Total, page.Pagination.TotalPages = &page.Total, &pages
	}
	return &response{status: http.StatusOK, body: page}, nil
}

// place fills in what counts pages, which a cursor does not.
func (p *Pagination) place(r *request, total, limit, offset, end int) {
	if r.URL.Query().Get("cursor") != "" {
		return
	}
	number := offset/limit + 1
	p.Page = &number
	link := func(offset int) *string {
		query := url.Values{"limit": {strconv.Itoa(limit)}, "offset": {strconv.Itoa(offset)}}
		if v := r.URL.Query().Get("include_total"); v != "" {
			query.Set("include_total", v)
		}
		s := r.URL.Path + "?" + query.Encode()
		return &s
	}
	if end < total && end <= maxOffset {
		p.NextPage = link(end)
	}
	if offset > 0 {
		p.PreviousPage = link(max(0, offset-limit))
	}
}

// readFilter reads the body of the later list, which may be absent. An event
// type selects the webhooks that such an event goes to; a pattern with "*"
// selects those that hold just this pattern, and is returned as well.
func readFilter(p *problems, r *request) (filter webhook.WebhookQuery, exactly event.Pattern) {
	filter.OrganizationID = r.organizationID
	o := optionalObject(p, r.body)
	if o == nil {
		return filter, ""
	}
	eventType := o.text("event_type")
	switch pattern := event.Pattern(eventType); {
	case eventType == "":
	case pattern.Validate() != nil:
		p.add(o.at("event_type"), typeValue, "%s", pattern.Validate())
	case strings.Contains(eventType, "*"):
		exactly = pattern
	default:
		filter.EventType = eventType
	}
	if active := o.boolean("is_active"); active != nil {
		paused := !*active
		filter.Paused = &paused
	}
	o.end()
	return filter, exactly
}

// webhookCursor stands behind one webhook in the order of the list.
type webhookCursor struct {
	createdAt time.Time
	id        string
}

func newWebhookCursor(w *webhook.Webhook) *webhookCursor {
	return &webhookCursor{w.CreatedAt, w.ID}
}

// order is negative if the webhook stands before the cursor, positive if after.
func (c *webhookCursor) order(w *webhook.Webhook) int {
	if order := w.CreatedAt.Compare(c.createdAt); order != 0 {
		return order
	}
	if w.ID <= c.id {
		return -1
	}
	return 1
}

// String is the cursor's form in answers. What is in it is nobody's business,
// but no secret.
func (c *webhookCursor) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", c.createdAt.UnixMicro(), c.id))
}

// parseWebhookCursor reads a cursor, nil if s is empty.
func parseWebhookCursor(s string) (*webhookCursor, error) {
	if s == "" {
		return nil, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, err
	}
	digits, id, _ := strings.Cut(string(text), " ")
	micros, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return nil, err
	}
	return &webhookCursor{time.UnixMicro(micros).UTC(), id}, nil
}
