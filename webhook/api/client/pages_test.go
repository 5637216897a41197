package client_test

import (
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

// book is a server of a list of three pages, with two elements each.
type book struct {
	mu     sync.Mutex
	asked  []string // the cursors
	broken string   // the cursor of the page that is answered with an error
}

func (b *book) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	cursor := r.URL.Query().Get("cursor")
	b.asked = append(b.asked, cursor)
	if len(b.asked) > 20 || cursor != "" && cursor == b.broken {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	next := map[string]string{"": `"c2"`, "c2": `"c3"`, "c3": "null"}[cursor]
	place := `"next_cursor": ` + next
	if r.Method == http.MethodPost { // the list of webhooks, as the contract has it
		place = `"pagination": {` + place + `}`
	}
	fmt.Fprintf(w, `{"results": [{"webhook_id": "%[1]s-1"}, {"webhook_id": "%[1]s-2"}], %[2]s}`,
		cursor, place)
}

// take returns which pages were asked for since the last call.
func (b *book) take() (asked []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	asked, b.asked = b.asked, nil
	return asked
}

// ids is a list of what has ids.
func ids[T any](list iter.Seq2[*T, error], id func(*T) string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for one, err := range list {
			found := ""
			if one != nil {
				found = id(one)
			}
			if !yield(found, err) {
				return
			}
		}
	}
}

// A list is read from page to page up to the last one, and ends with the first error.
func TestPages(t *testing.T) {
	t.Parallel()
	b := &book{}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, "", client.Config{})
	require.NoError(t, err)
	for name, list := range map[string]iter.Seq2[string, error]{
		"webhooks": ids(c.Search(t.Context(), client.SubscriptionFilter{}),
			func(s *webhook.Subscription) string { return s.ID }),
		"endpoints": ids(c.UnhealthyEndpoints(t.Context(), ""),
			func(s *webhook.EndpointState) string { return s.SubscriptionID }),
	} {
		all := []string{"-1", "-2", "c2-1", "c2-2", "c3-1", "c3-2"}
		for range 2 { // each time from the beginning
			var got []string
			for id, err := range list {
				require.NoError(t, err, name)
				got = append(got, id)
			}
			assert.Equal(t, all, got, name)
			assert.Equal(t, []string{"", "c2", "c3"}, b.take(), name)
		}

		b.broken = "c2"
		var got []string
		var failed []error
		for id, err := range list {
			if err != nil {
				if failed = append(failed, err); len(failed) > 1 {
					break
				}
				continue // a caller that goes on gets no more
			}
			got = append(got, id)
		}
		b.broken = ""
		assert.Equal(t, all[:2], got, name)
		require.Len(t, failed, 1, "%s: what is missing is not passed over in silence", name)
		var answer *client.Error
		require.ErrorAs(t, failed[0], &answer, name)
		assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
		assert.Equal(t, []string{"", "c2"}, b.take(), name)

		for id, err := range list {
			require.NoError(t, err, name)
			if id == "-2" {
				break
			}
		}
		assert.Equal(t, []string{""}, b.take(), "%s: a caller that has enough asks for no more", name)
	}
}
