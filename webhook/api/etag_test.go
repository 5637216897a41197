package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
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
