package api_test

import (
	"cmp"
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// Two writers who read the same version do not lose each other's change.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(plainSubscription)
	path := prefix + "/" + id
	first := f.do("GET", path, "").Header.Get("ETag")
	renamed := strings.Replace(plainSubscription, "plain", "renamed", 1)

	one := f.do("PUT", path, renamed, "If-Match", first)
	one.want(http.StatusOK)
	other := f.do("PUT", path, plainSubscription, "If-Match", first)
	assert.Equal(t, "PreconditionFailedError", other.errorType(http.StatusPreconditionFailed))
	assert.Equal(t, "renamed", f.do("GET", path, "").want(http.StatusOK)["webhook_name"])

	f.do("PUT", path, plainSubscription, "If-Match", `"x", `+one.Header.Get("ETag")).want(http.StatusOK)
	f.do("PUT", path, plainSubscription, "If-Match", "*").want(http.StatusOK)
	f.do("PUT", path, plainSubscription, "If-Match", "W/"+f.do("GET", path, "").Header.Get("ETag")).errorType(http.StatusPreconditionFailed)
	f.do("PUT", path, plainSubscription, "If-Match", "1").errorType(http.StatusPreconditionFailed)

	f.do("DELETE", path, "", "If-Match", first).errorType(http.StatusPreconditionFailed)
	f.do("DELETE", path, "", "If-Match", f.do("GET", path, "").Header.Get("ETag")).want(http.StatusNoContent)
	f.do("DELETE", path, "", "If-Match", first).errorType(http.StatusPreconditionFailed)
}

// meddlingStore is one where another process changes a subscription just before it is
// changed or deleted, for as often as times says.
type meddlingStore struct {
	*memstore.Store
	t     *testing.T
	times int
}

func (s *meddlingStore) DeleteSubscription(ctx context.Context, organizationID, id string, revision int64) error {
	s.meddle(ctx, organizationID, id)
	return s.Store.DeleteSubscription(ctx, organizationID, id, revision)
}

func (s *meddlingStore) UpdateSubscription(ctx context.Context, sub *webhook.Subscription, quota webhook.Quota) error {
	s.meddle(ctx, sub.OrganizationID, sub.ID)
	return s.Store.UpdateSubscription(ctx, sub, quota)
}

func (s *meddlingStore) meddle(ctx context.Context, organizationID, id string) {
	if s.times--; s.times >= 0 {
		sub, err := s.Subscription(ctx, organizationID, id)
		require.NoError(s.t, err)
		sub.UpdatedAt = sub.UpdatedAt.Add(time.Microsecond)
		require.NoError(s.t, s.Store.UpdateSubscription(ctx, sub, webhook.Quota{}))
	}
}

// A change does not lose another one that came between looking and changing.
func TestIfMatchOfAChange(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for _, test := range []struct {
		match string // "" is the ETag
		times int
		want  int
	}{
		{"", 0, http.StatusOK},
		{"", 1, http.StatusPreconditionFailed},
		{"*", 1, http.StatusOK}, // which any version matches
		{"*", 9, http.StatusConflict},
	} {
		path := prefix + "/" + f.create(plainSubscription)
		r := httptest.NewRequest(http.MethodPut, path, strings.NewReader(plainSubscription))
		r.Header.Set("If-Match", cmp.Or(test.match, f.do("GET", path, "").Header.Get("ETag")))
		assert.Equal(t, test.want, f.statusOf(&meddlingStore{f.store, t, test.times}, nil, r), "%+v", test)
	}
}

// A removal does not lose a change that came between looking and removing.
func TestIfMatchOfARemoval(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for _, test := range []struct {
		match string // "" is the ETag
		times int
		want  int
	}{
		{"", 0, http.StatusNoContent},
		{"", 1, http.StatusPreconditionFailed},
		{"*", 1, http.StatusNoContent}, // which any version matches
		{"*", 9, http.StatusPreconditionFailed},
	} {
		id := f.create(plainSubscription)
		path := prefix + "/" + id
		r := httptest.NewRequest(http.MethodDelete, path, nil)
		r.Header.Set("If-Match", cmp.Or(test.match, f.do("GET", path, "").Header.Get("ETag")))
		got := f.statusOf(&meddlingStore{f.store, t, test.times}, nil, r)
		assert.Equal(t, test.want, got, "%+v", test)
		exists := f.do("GET", path, "").Status == http.StatusOK
		assert.Equal(t, test.want != http.StatusNoContent, exists, "%+v", test)
	}
}

// An If-Match that names nothing matches nothing.
func TestIfMatchEmpty(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	path := prefix + "/" + f.create(plainSubscription)
	for _, lines := range [][]string{{""}, {"", `"x"`}} {
		for _, method := range []string{http.MethodPut, http.MethodDelete} {
			r := httptest.NewRequest(method, path, strings.NewReader(plainSubscription))
			r.Header["If-Match"] = lines
			assert.Equal(t, http.StatusPreconditionFailed, f.statusOf(f.store, nil, r), "%s %q", method, lines)
		}
	}
	f.do("GET", path, "").want(http.StatusOK)
}

// Nobody's change is lost, however many writers there are.
func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(strings.Replace(plainSubscription, "plain", "0", 1))
	const writers, each = 4, 5
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			c := f.client(orgA)
			for done := 0; done < each; {
				sub, err := c.Get(t.Context(), id)
				if !assert.NoError(t, err) {
					return
				}
				n, err := strconv.Atoi(sub.Name)
				if !assert.NoError(t, err) {
					return
				}
				sub.Name = strconv.Itoa(n + 1)
				_, err = c.Update(t.Context(), &sub.Subscription, client.WithIfMatch(sub.ETag))
				if err == nil {
					done++
				} else if !assert.ErrorIs(t, err, webhook.ErrConflict) {
					return
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, strconv.Itoa(writers*each), f.do("GET", prefix+"/"+id, "").want(http.StatusOK)["webhook_name"])
}
