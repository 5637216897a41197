package api

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// The bounds of a page, from the contract.
const (
	defaultPage = 100
	maxPage     = 1000
	maxOffset   = 10000
)

// maxPageBytes is about how many bytes of webhooks or deliveries one answer has at most, whatever
// its limit. The page then ends early, with a cursor. It has at least one element.
const maxPageBytes = 4 << 20

// readStep is how many webhooks, or deliveries, one call of the store returns.
const readStep = 20

// readSubscriptions reads up to limit webhooks, and says whether there are more.
func (a *API) readSubscriptions(
	ctx context.Context, q webhook.SubscriptionQuery, limit int,
) (list []*webhook.Subscription, more bool, err error) {
	size := 0
	for {
		q.Limit = min(limit-len(list), readStep-1) + 1 // one more says whether there are more
		found, err := a.dispatcher.Subscriptions(ctx, q)
		if err != nil {
			return nil, false, err
		}
		for _, sub := range found {
			size += sizeOf(sub)
			if len(list) == limit || len(list) > 0 && size > maxPageBytes {
				return list, true, nil
			}
			list = append(list, sub)
		}
		if len(found) < q.Limit {
			return list, false, nil
		}
		q.After, q.Offset = found[len(found)-1].Cursor(), 0
	}
}

// sizeOf returns about how many bytes the webhook has in an answer.
func sizeOf(sub *webhook.Subscription) int {
	const fixed = 256 // names of members, id, times
	n := fixed + len(sub.Name)
	for _, pattern := range sub.EventTypes {
		n += len(pattern)
	}
	for _, c := range sub.Channels {
		n += len(c.Channel) + len(c.Configs)
	}
	return n
}

// listSubscriptions is the older list of the contract: all webhooks, as far as they fit into one
// answer. The next part is named by headers.
func (a *API) listSubscriptions(r *request) (*response, error) {
	p := &problems{}
	q := newQuery(p, r)
	limit := q.integer("limit", 1, maxPage, math.MaxInt)
	after := readSubscriptionCursor(q)
	if err := p.err(); err != nil {
		return nil, err
	}
	list, more, err := a.readSubscriptions(r.Context(),
		webhook.SubscriptionQuery{OrganizationID: r.organizationID, After: after}, limit)
	if err != nil {
		return nil, err
	}
	masked, err := a.maskedAll(list)
	if err != nil {
		return nil, err
	}
	res := &response{status: http.StatusOK, body: masked}
	if more {
		cursor := formatSubscriptionCursor(list[len(list)-1].Cursor())
		next := url.Values{"cursor": {cursor}}
		if limit <= maxPage {
			next.Set("limit", strconv.Itoa(limit))
		}
		res.header = map[string]string{
			HeaderNextCursor: cursor,
			"Link":           "<" + r.URL.Path + "?" + next.Encode() + `>; rel="next"`,
		}
	}
	return res, nil
}

// HeaderNextCursor is the header of GET of the list of webhooks that has the cursor of the next
// part, if there are more webhooks than fit into one answer. The query ?cursor= takes it. The
// header Link has the address of the next part (RFC 8288).
const HeaderNextCursor = "X-Next-Cursor"

func readSubscriptionCursor(q *query) webhook.SubscriptionCursor {
	after, err := parseSubscriptionCursor(q.text("cursor"))
	if err != nil {
		q.found.add(at("cursor"), typeValue, "must be the next_cursor of an earlier answer")
	}
	return after
}

// SubscriptionPage is one page of the list of webhooks with filters.
type SubscriptionPage struct {
	Results    []*webhook.Subscription `json:"results"`
	Pagination Pagination              `json:"pagination"`
	// Total is how many webhooks fit the filters, on all pages together.
	Total int `json:"total"`
}

// Pagination says which page this is. A field is null if it is not known, or if there is no such
// page.
type Pagination struct {
	// Total and TotalPages are set if the request has include_total.
	Total *int `json:"total"`
	// Page counts from 1. It is null for a page that was asked for by cursor.
	Page       *int `json:"page"`
	PageSize   *int `json:"page_size"`
	TotalPages *int `json:"total_pages"`
	// NextPage and PreviousPage are paths with a query.
	NextPage     *string `json:"next_page"`
	PreviousPage *string `json:"previous_page"`
	// NextCursor asks for the next page. It leads to the same place even if webhooks before it
	// are created or deleted in the meantime.
	NextCursor *string `json:"next_cursor"`
}

// searchSubscriptions is the newer list of the contract: with filters, and in pages.
func (a *API) searchSubscriptions(r *request) (*response, error) {
	p := &problems{}
	q := newQuery(p, r)
	limit := q.integer("limit", 1, maxPage, defaultPage)
	offset := q.integer("offset", 0, maxOffset, 0)
	includeTotal := q.boolean("include_total")
	after := readSubscriptionCursor(q)
	filter := readFilter(p, r)
	if err := p.err(); err != nil {
		return nil, err
	}
	total, err := a.dispatcher.CountSubscriptions(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	filter.After, filter.Offset = after, offset
	found, more, err := a.readSubscriptions(r.Context(), filter, limit)
	if err != nil {
		return nil, err
	}
	results, err := a.maskedAll(found)
	if err != nil {
		return nil, err
	}
	page := SubscriptionPage{Results: results, Total: total, Pagination: Pagination{PageSize: &limit}}
	page.Pagination.place(r, limit, offset, len(found), more)
	if more {
		cursor := formatSubscriptionCursor(found[len(found)-1].Cursor())
		page.Pagination.NextCursor = &cursor
	}
	if includeTotal {
		pages := (total + limit - 1) / limit
		page.Pagination.Total, page.Pagination.TotalPages = &page.Total, &pages
	}
	return &response{status: http.StatusOK, body: page}, nil
}

// place sets the fields that count pages, unless the request has a cursor.
func (p *Pagination) place(r *request, limit, offset, found int, more bool) {
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
	if next := offset + found; more && next <= maxOffset {
		p.NextPage = link(next)
	}
	if offset > 0 {
		p.PreviousPage = link(max(0, offset-limit))
	}
}

// readFilter reads the body of the newer list, which may be absent.
func readFilter(p *problems, r *request) webhook.SubscriptionQuery {
	filter := webhook.SubscriptionQuery{OrganizationID: r.organizationID}
	o := optionalObject(p, r.body)
	if o == nil {
		return filter
	}
	filter.EventType = o.text("event_type")
	if filter.EventType != "" {
		if err := event.Pattern(filter.EventType).Validate(); err != nil {
			p.add(o.at("event_type"), typeValue, "%s", err)
		}
	}
	if active := o.boolean("is_active"); active != nil {
		paused := !*active
		filter.Paused = &paused
	}
	o.end()
	return filter
}

// formatSubscriptionCursor returns the form of a cursor in answers. Clients should not rely on
// its content, which is no secret.
func formatSubscriptionCursor(c webhook.SubscriptionCursor) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", c.CreatedAt.UnixMicro(),
		c.ID))
}

// parseSubscriptionCursor reads a cursor. An empty one is the beginning of the list.
func parseSubscriptionCursor(s string) (webhook.SubscriptionCursor, error) {
	if s == "" {
		return webhook.SubscriptionCursor{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return webhook.SubscriptionCursor{}, err
	}
	digits, id, _ := strings.Cut(string(text), " ")
	micros, err := strconv.ParseInt(digits, 10, 64)
	c := webhook.SubscriptionCursor{CreatedAt: time.UnixMicro(micros).UTC(), ID: id}
	if err == nil && (!utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl)) {
		err = errors.New("not an id of a webhook") // some databases cannot store such text
	}
	return c, err
}
