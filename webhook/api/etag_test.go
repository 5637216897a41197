package api_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

// Two writers who read the same version do not lose each other's change.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(plainWebhook)
	path := prefix + "/" + id
	first := f.do("GET", path, "").Header.Get("ETag")
	renamed := strings.Replace(plainWebhook, "plain", "renamed", 1)

	one := f.do("PUT", path, renamed, "If-Match", first)
	one.want(http.StatusOK)
	other := f.do("PUT", path, plainWebhook, "If-Match", first)
	assert.Equal(t, "PreconditionFailedError", other.errorType(http.StatusPreconditionFailed))
	assert.Equal(t, "renamed", f.do("GET", path, "").want(http.StatusOK)["webhook_name"])

	f.do("PUT", path, plainWebhook, "If-Match", `"x", `+one.Header.Get("ETag")).want(http.StatusOK)
	f.do("PUT", path, plainWebhook, "If-Match", "*").want(http.StatusOK)
	f.do("PUT", path, plainWebhook, "If-Match", "W/"+f.do("GET", path, "").Header.Get("ETag")).errorType(http.StatusPreconditionFailed)
	f.do("PUT", path, plainWebhook, "If-Match", "1").errorType(http.StatusPreconditionFailed)

	f.do("DELETE", path, "", "If-Match", first).errorType(http.StatusPreconditionFailed)
	f.do("DELETE", path, "", "If-Match", f.do("GET", path, "").Header.Get("ETag")).want(http.StatusNoContent)
	f.do("DELETE", path, "", "If-Match", first).errorType(http.StatusPreconditionFailed)
}

// Nobody's change is lost, however many writers there are.
func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(strings.Replace(plainWebhook, "plain", "0", 1))
	const writers, each = 4, 5
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			c := f.client(orgA)
			for done := 0; done < each; {
				w, err := c.Get(t.Context(), id)
				if !assert.NoError(t, err) {
					return
				}
				n, err := strconv.Atoi(w.Name)
				if !assert.NoError(t, err) {
					return
				}
				w.Name = strconv.Itoa(n + 1)
				_, err = c.Update(t.Context(), &w.Webhook, client.WithIfMatch(w.ETag))
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
