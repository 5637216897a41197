package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

func TestIdempotentCreate(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	const name, key = "Idempotency-Key", "1f0e-once"
	first := f.do("POST", prefix, plainSubscription, name, key)
	second := f.do("POST", prefix, plainSubscription, name, key)
	assert.Equal(t, first.want(http.StatusCreated), second.want(http.StatusCreated))
	assert.Equal(t, first.Header.Get("ETag"), second.Header.Get("ETag"))
	all, err := f.store.Subscriptions(t.Context(), webhook.SubscriptionQuery{OrganizationID: orgA})
	require.NoError(t, err)
	assert.Len(t, all, 1)

	renamed := strings.Replace(plainSubscription, "plain", "renamed", 1)
	assert.Equal(t, []string{"header.Idempotency-Key: idempotency_key_reused"},
		f.do("POST", prefix, renamed, name, key).problems())
	id := all[0].ID
	f.do("PUT", prefix+"/"+id, renamed).want(http.StatusOK)
	assert.Equal(t, "renamed", f.do("POST", prefix, plainSubscription, name,
		key).want(http.StatusCreated)["webhook_name"],
		"a late repetition does not undo what came after")

	f.do("POST", prefix, plainSubscription, append(f.as(orgB), name, key)...).want(http.StatusCreated)
	assert.NotEqual(t, id, f.create(plainSubscription, name, "another"))
	for _, bad := range []string{"", " ", "a b", "é", strings.Repeat("x", 256)} {
		assert.Equal(t, []string{"header.Idempotency-Key: value_error"},
			f.do("POST", prefix, plainSubscription, name, bad).problems())
	}
}

func TestIdempotentCreateWithID(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	body := strings.Replace(plainSubscription, `{`, `{"webhook_id": "wh_0123456789abcdef",`, 1)
	f.create(body, "Idempotency-Key", "k")
	f.create(body, "Idempotency-Key", "k")
	f.do("POST", prefix, body, append(f.as(orgB), "Idempotency-Key",
		"k")...).errorType(http.StatusConflict)
}

// After a create whose answer was lost, the next try finds the webhook, even if the store failed
// to store the end of the request. Another organization cannot take its id first.
func TestIdempotentCreateAfterAnUnknownEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t,
			options{store: func(s webhook.Store) webhook.Store { return &losesEnds{s.(*memstore.Store)} }})
		first := f.do("POST", prefix, plainSubscription, "Idempotency-Key", "k").want(http.StatusCreated)
		f.do("POST", prefix, plainSubscription, "Idempotency-Key", "k").errorType(http.StatusConflict)
		time.Sleep(time.Minute)
		second := f.do("POST", prefix, plainSubscription, "Idempotency-Key", "k").want(http.StatusCreated)
		assert.Equal(t, first, second)
		all, err := f.store.Subscriptions(t.Context(), webhook.SubscriptionQuery{OrganizationID: orgA})
		require.NoError(t, err)
		assert.Len(t, all, 1)
		time.Sleep(24 * time.Hour)
		another := f.do("POST", prefix, plainSubscription, "Idempotency-Key",
			"k").want(http.StatusCreated)
		assert.NotEqual(t, first["webhook_id"], another["webhook_id"],
			"the id depends on more than organization and key")
	})
}

// losesEnds is a store that cannot store the end of a request.
type losesEnds struct{ *memstore.Store }

func (s *losesEnds) Capabilities() webhook.Capabilities {
	return webhook.Capabilities{Idempotency: s}
}

func (*losesEnds) EndIdempotent(context.Context, webhook.IdempotentRequest) error {
	return webhook.ErrUnavailable
}

// The requests with an idempotency key are bounded for each organization, because the store keeps
// something of each.
func TestIdempotencyKeysAreBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{api: func(c *api.Config) { c.IdempotentPerMinute = 2 }})
		create := func(n int, headers ...string) *answer {
			return f.do("POST", prefix, plainSubscription,
				append(headers, "Idempotency-Key", fmt.Sprint("k", n))...)
		}
		for n := range 20 {
			create(n).want(http.StatusCreated)
		}
		refused := create(20)
		refused.errorType(http.StatusTooManyRequests)
		assert.Equal(t, "30", refused.Header.Get("Retry-After"))
		create(20, f.as(orgB)...).want(http.StatusCreated)
		f.create(plainSubscription) // without a key
		time.Sleep(30 * time.Second)
		create(20).want(http.StatusCreated)
		create(21).errorType(http.StatusTooManyRequests)
	})
}

// A repeated replay is made once, whichever process gets the repetition.
func TestReplayIsIdempotentInAnyProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		f.run()
		id := f.create(customSubscription("sink", `{"fail": "rejected"}`))
		f.emit(orgA, 2)
		second := f.peer()
		attempts := func() (n int) {
			for d, err := range f.client(orgA).Deliveries(t.Context(), id, client.DeliveryFilter{}) {
				require.NoError(t, err)
				n += len(d.Attempts)
			}
			return n
		}
		require.Equal(t, 2, attempts())
		for i, replay := range []struct{ path, body, answer string }{
			{"/deliveries/dlv_1/replay", "", ""},
			{"/replay", `{"status": "dead"}`, `{"replayed": 2, "next_cursor": null}`},
		} {
			before := attempts()
			path, key := prefix+"/"+id+replay.path, fmt.Sprint("key-", i)
			for _, again := range []struct {
				*fixture
				path string
			}{{f, path}, {second, path}, {f, path + "/"}} {
				a := again.do("POST", again.path, replay.body, "Idempotency-Key", key)
				a.want(http.StatusAccepted)
				if replay.answer != "" {
					assert.JSONEq(t, replay.answer, string(a.Body))
				}
				time.Sleep(time.Second)
			}
			assert.Equal(t, i+1, attempts()-before, "the deliveries are made once more each")
			assert.Equal(t, []string{"header.Idempotency-Key: idempotency_key_reused"},
				second.do("POST", path, `{"limit": 1}`, "Idempotency-Key", key).problems())
			second.do("POST", path, `{"limit": 1}`,
				append(f.as(orgB), "Idempotency-Key", key)...).errorType(http.StatusNotFound)
		}
	})
}

// The client makes several calls for one replay. Each is a request of its own, and can be
// repeated.
func TestReplayOfManyIsIdempotent(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		const many = 1001 // more than one request replays
		f := newFixture(t, options{})
		f.run()
		c, id := f.client(orgA), f.create(customSubscription("sink", `{"fail": "rejected"}`))
		f.emit(orgA, many)
		for range 2 {
			n, err := c.ReplayAll(t.Context(), id, api.ReplayRequest{}, client.WithIdempotencyKey("k"))
			require.NoError(t, err)
			assert.Equal(t, many, n)
			time.Sleep(time.Minute)
		}
		s, err := c.Statistics(t.Context(), id, time.Time{})
		require.NoError(t, err)
		assert.EqualValues(t, 2*many, s.Attempts)
	})
}

// A replay that may have been made, and has no known end, is not made again.
func TestReplayAfterAnUnknownEnd(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t,
			options{store: func(s webhook.Store) webhook.Store {
				return &losesReplays{s.(*memstore.Store)}
			}})
		f.run()
		id := f.create(customSubscription("sink", `{"fail": "rejected"}`))
		f.emit(orgA, 1)
		for path, replayed := range map[string]string{"/deliveries/dlv_1/replay": "",
			"/replay": `{"replayed": 0, "next_cursor": null}`} {
			path = prefix + "/" + id + path
			before, err := f.client(orgA).Delivery(t.Context(), id, 1)
			require.NoError(t, err)
			f.do("POST", path, "", "Idempotency-Key", "k").errorType(http.StatusInternalServerError)
			underWay := f.do("POST", path, "", "Idempotency-Key", "k")
			underWay.errorType(http.StatusConflict)
			assert.Equal(t, "1", underWay.Header.Get("Retry-After"))
			time.Sleep(time.Minute)
			a := f.do("POST", path, "", "Idempotency-Key", "k")
			a.want(http.StatusAccepted)
			if replayed != "" {
				assert.JSONEq(t, replayed, string(a.Body))
			}
			time.Sleep(time.Minute)
			d, err := f.client(orgA).Delivery(t.Context(), id, 1)
			require.NoError(t, err)
			assert.Len(t, d.Attempts, len(before.Attempts)+1, path)
		}
	})
}

// losesReplays makes each replay and returns an error.
type losesReplays struct{ *memstore.Store }

func (s *losesReplays) Replay(
	ctx context.Context, due time.Time, organizationID string, id webhook.DeliveryID,
) error {
	return errors.Join(s.Store.Replay(ctx, due, organizationID, id),
		errors.New("the connection is gone"))
}

// incapable is a Store without capabilities.
type incapable struct{ webhook.Store }

func (incapable) Capabilities() webhook.Capabilities { return webhook.Capabilities{} }

func TestReplayKeysNeedAStoreThatRemembers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{store: func(s webhook.Store) webhook.Store { return incapable{s} }})
	id := f.create(customSubscription("sink", `{}`))
	path := prefix + "/" + id + "/replay"
	f.do("POST", path, "").want(http.StatusAccepted)
	assert.Equal(t, []string{"header.Idempotency-Key: value_error"},
		f.do("POST", path, "", "Idempotency-Key", "k").problems())
}

// A webhook that was there before the first try was not created by it.
func TestIdempotentCreateOfWhatIsThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{store: func(s webhook.Store) webhook.Store {
			return &failsCreating{Store: s.(*memstore.Store)}
		}})
		named := strings.Replace(plainSubscription, "{", `{"webhook_id": "wh_0123456789abcdef", `, 1)
		f.do("POST", prefix, named).want(http.StatusCreated)
		time.Sleep(time.Hour)
		f.do("POST", prefix, named, "Idempotency-Key", "k").errorType(http.StatusServiceUnavailable)
		time.Sleep(time.Minute)
		f.do("POST", prefix, named, "Idempotency-Key", "k").errorType(http.StatusConflict)
	})
}

// failsCreating is a store whose second create fails, and stores nothing.
type failsCreating struct {
	*memstore.Store
	n int
}

func (s *failsCreating) CreateSubscription(
	ctx context.Context, sub *webhook.Subscription, q webhook.Quota,
) error {
	if s.n++; s.n == 2 {
		return webhook.ErrUnavailable
	}
	return s.Store.CreateSubscription(ctx, sub, q)
}

func (s *failsCreating) Capabilities() webhook.Capabilities {
	return webhook.Capabilities{Idempotency: s.Store}
}

// The document is the same bytes for all requests.
func TestDocumentIsReadByManyAtOnce(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t, options{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			w := httptest.NewRecorder()
			f.api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, prefix+"/openapi.json", nil))
			assert.Equal(t, http.StatusOK, w.Code)
		})
	}
	all.Wait()
}

// JSON has no year of five digits, which an offset can make of one with four.
func TestYearsAreOfFourDigits(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	assert.Equal(t, []string{"body.until: datetime_parsing"}, f.do("POST",
		"/v1/organizations/webhooks/deliveries/replays",
		`{"until": "9999-12-31T23:59:59-01:00"}`).problems())
	assert.Equal(t, []string{"query.since: datetime_parsing"},
		f.do("GET", prefix+"/totals/hourly?since=0000-01-01T00:00:00%2B01:00", "").problems())
	f.do("GET", prefix+"/totals/hourly?since=9999-12-31T22:59:59-01:00", "").want(http.StatusOK)
}
