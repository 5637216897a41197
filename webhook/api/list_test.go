package api_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

// search reads a page of the newer list and returns it with the names of its webhooks.
func (f *fixture) search(query, body string) (api.SubscriptionPage, string) {
	f.t.Helper()
	a := f.do("POST", prefix+"/list"+query, body)
	a.want(http.StatusOK)
	var page api.SubscriptionPage
	require.NoError(f.t, json.Unmarshal(a.Body, &page))
	var names []string
	for _, sub := range page.Results {
		names = append(names, sub.Name)
	}
	return page, strings.Join(names, " ")
}

func newListFixture(t *testing.T, o options) *fixture {
	t.Helper()
	f := newFixture(t, o)
	for i, types := range []string{`"object.created"`, `"object.*"`, `"*"`, `"invoice.paid"`,
		`"object.deleted", "object.*"`} {
		active := i != 1
		f.create(fmt.Sprintf(`{"webhook_name": "w%d", "event_types": [%s], "is_active": %t, "channels": [
			{"channel": "webhook", "configs": {"url": "https://example.com/"}}]}`, i, types, active))
	}
	return f
}

func TestSearch(t *testing.T) {
	t.Parallel()
	f := newListFixture(t, options{})
	for body, want := range map[string]string{
		"":   "w0 w1 w2 w3 w4",
		`{}`: "w0 w1 w2 w3 w4",
		`{"event_type": null, "is_active": null}`:             "w0 w1 w2 w3 w4",
		`{"event_type": "object.created"}`:                    "w0 w1 w2 w4",
		`{"event_type": "object.*"}`:                          "w1 w4",
		`{"event_type": "*"}`:                                 "w2",
		`{"is_active": false}`:                                "w1",
		`{"event_type": "object.deleted", "is_active": true}`: "w2 w4",
	} {
		page, got := f.search("", body)
		assert.Equal(t, want, got, body)
		assert.Equal(t, len(page.Results), page.Total, body)
	}
	assert.Equal(t, []string{"body.event_type: value_error", "body.is_active: boolean_type",
		"body.x: extra_forbidden"},
		f.do("POST", prefix+"/list", `{"event_type": "A", "is_active": 1, "x": 2}`).problems())
	assert.Equal(t, []string{"query.limit: value_error", "query.offset: int_parsing",
		"query.include_total: bool_parsing", "query.cursor: value_error"},
		f.do("POST", prefix+"/list?limit=1001&offset=x&include_total=maybe&cursor=!", "").problems())
	for _, cursor := range []string{"1 \x00", "1 \xff", "x wh_1", " "} {
		text := base64.RawURLEncoding.EncodeToString([]byte(cursor))
		assert.Equal(t, []string{"query.cursor: value_error"},
			f.do("POST", prefix+"/list?cursor="+text, "").problems(), "%q", cursor)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	f := newListFixture(t, options{})

	page, names := f.search("?limit=2&include_total=true", "")
	assert.Equal(t, "w0 w1", names)
	assert.Equal(t, 5, page.Total)
	p := page.Pagination
	assert.Equal(t, []int{5, 1, 2, 3}, []int{*p.Total, *p.Page, *p.PageSize, *p.TotalPages})
	assert.Nil(t, p.PreviousPage)

	followed := []string{names}
	for next := p.NextPage; next != nil; next = page.Pagination.NextPage {
		page, names = f.search(strings.TrimPrefix(*next, prefix+"/list"), "")
		followed = append(followed, names)
		assert.NotNil(t, page.Pagination.PreviousPage)
	}
	assert.Equal(t, []string{"w0 w1", "w2 w3", "w4"}, followed)
	assert.Equal(t, 3, *page.Pagination.Page)

	page, _ = f.search("?limit=2", "")
	assert.Nil(t, page.Pagination.Total)
	assert.Nil(t, page.Pagination.TotalPages)
}

// pagedStore records how many webhooks are asked for.
type pagedStore struct {
	webhook.Store
	limits []int
}

func (s *pagedStore) Subscriptions(
	ctx context.Context, q webhook.SubscriptionQuery,
) ([]*webhook.Subscription, error) {
	s.limits = append(s.limits, q.Limit)
	return s.Store.Subscriptions(ctx, q)
}

func TestPagesReadOneMore(t *testing.T) {
	t.Parallel()
	var store *pagedStore
	f := newListFixture(t, options{store: func(s webhook.Store) webhook.Store {
		store = &pagedStore{Store: s}
		return store
	}})
	page, names := f.search("?limit=2&offset=1", `{"event_type": "object.created"}`)
	assert.Equal(t, "w1 w2", names)
	assert.Equal(t, 4, page.Total)
	assert.Equal(t, []int{3}, store.limits)
	page, names = f.search("?limit=2&offset=1&cursor="+*page.Pagination.NextCursor,
		`{"event_type": "object.created"}`)
	assert.Empty(t, names)
	assert.Equal(t, 4, page.Total, "on all pages")
	assert.Nil(t, page.Pagination.NextCursor)
}

// A cursor continues at the same place, whatever is created and deleted in the meantime.
func TestCursor(t *testing.T) {
	t.Parallel()
	f := newListFixture(t, options{})
	page, _ := f.search("?limit=2", "")
	f.do("DELETE", prefix+"/"+page.Results[1].ID, "").want(http.StatusNoContent)
	page, names := f.search("?limit=2&cursor="+*page.Pagination.NextCursor, "")
	assert.Equal(t, "w2 w3", names)
	assert.Nil(t, page.Pagination.Page)
	page, names = f.search("?limit=2&cursor="+*page.Pagination.NextCursor, "")
	assert.Equal(t, "w4", names)
	assert.Nil(t, page.Pagination.NextCursor)
}
