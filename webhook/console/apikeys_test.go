package console_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/console"
)

func (f *fixture) apiKeys(organizationID string) []webhook.APIKey {
	f.t.Helper()
	keys, err := f.keys.List(f.t.Context(), webhook.APIKeyQuery{OrganizationID: organizationID})
	require.NoError(f.t, err)
	return keys
}

// tokenOf returns the API key on a page, and "" if there is none.
func tokenOf(a answer) string {
	return regexp.MustCompile(keyPrefix + "[0-9a-f]+").FindString(html.UnescapeString(a.Body))
}

// An API key is shown by the answer that makes it, and never again. Revoked, it opens nothing.
func TestAPIKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	form := inputs(t, f.page("/api-keys/new"), "expires_at")
	form.Set("name", " billing ")
	form.Set("role", "operate")
	form.Set("reveal", "yes")
	form.Set("expires_at", "2100-01-31T18:30")
	made := f.do(f.form("/api-keys/new", form))
	require.Equal(t, http.StatusOK, made.Status)
	assert.Equal(t, "no-store", made.Header.Get("Cache-Control"))
	token := tokenOf(made)
	key, err := f.keys.Authenticate(t.Context(), token)
	require.NoError(t, err)
	f.keys.Wait()
	assert.Equal(t, "billing", key.Name)
	assert.Equal(t, mine, key.OrganizationID)
	assert.Equal(t, webhook.Rights{Role: webhook.RoleOperate, Reveal: true}, key.Rights)
	assert.Equal(t, time.Date(2100, 1, 31, 18, 30, 0, 0, time.UTC), key.ExpiresAt)
	assert.Equal(t, "ada@example.com", key.CreatedBy)

	page := f.get("/api-keys")
	assert.Empty(t, tokenOf(page))
	for _, want := range []string{">billing<", key.ID, ">active<", "operate", ">secrets<",
		"by ada@example.com", "2100"} {
		assert.Contains(t, page.Body, want)
	}
	revoke := "/api-keys/" + key.ID + "/revoke"
	assert.Contains(t, f.page(revoke), "Revoke “billing”?")
	_, err = f.keys.Authenticate(t.Context(), token)
	require.NoError(t, err, "looking changes nothing")
	a := f.post(revoke)
	require.Equal(t, http.StatusSeeOther, a.Status)
	page = f.get(strings.TrimPrefix(a.Header.Get("Location"), "/console"))
	assert.Contains(t, page.Body, "The API key is revoked")
	assert.Contains(t, page.Body, ">revoked<")
	assert.NotContains(t, page.Body, revoke)
	_, err = f.keys.Authenticate(t.Context(), token)
	require.ErrorIs(t, err, apikey.ErrRevoked)

	require.Len(t, f.changes, 2)
	for i, action := range []string{"create_api_key", "revoke_api_key"} {
		assert.Equal(t, console.Change{Identity: f.identity, Action: action, OrganizationID: mine,
			APIKeyID: key.ID}, f.changes[i])
	}
	for _, unknown := range []string{"key_unknown", "%00", "%ff"} {
		assert.Equal(t, http.StatusNotFound, f.get("/api-keys/"+unknown+"/revoke").Status)
		assert.Equal(t, http.StatusNotFound, f.post("/api-keys/"+unknown+"/revoke").Status)
		change := f.changes[len(f.changes)-1]
		assert.Equal(t, "revoke_api_key", change.Action)
		require.ErrorIs(t, change.Err, webhook.ErrNotFound)
	}
	assert.Equal(t, http.StatusBadRequest, f.get("/api-keys?after=x").Status)
}

// After the answer that makes it, an API key is on no page, in no header, in no log, and not told to
// Audit.
func TestAPIKeyIsShownOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f := newFixture(t, func(c *console.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	sub, d := f.die(mine, "Mine")
	made := f.post("/api-keys/new", "name", "billing", "role", "administer")
	token := tokenOf(made)
	require.Regexp(t, "^"+keyPrefix+"[0-9a-f]{72}$", token)
	assert.Equal(t, 1, strings.Count(made.Body, token))
	assert.NotContains(t, fmt.Sprint(made.Header), token)
	require.Len(t, f.changes, 1)
	f.keyID = f.changes[0].APIKeyID
	f.walk(sub, d.ID, "", func(route console.Route, a answer) {
		if route.Method != http.MethodPost || route.Path != "/api-keys/new" { // makes another one
			assert.NotContains(t, fmt.Sprint(a), keyPrefix, "%s %s", route.Method, route.Path)
		}
		assert.NotContains(t, fmt.Sprint(a), token, "%s %s", route.Method, route.Path)
	})
	assert.NotContains(t, log.String(), token)
	assert.NotContains(t, fmt.Sprint(f.changes), token)
}

func TestProblemsOfAnAPIKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, c := range []struct{ field, value, problem string }{
		{"name", "", "must have 1 to 200 bytes"},
		{"role", "root", "must be read, operate or administer"},
		{"expires_at", "2001-01-01T00:00", "must be in the future"},
		{"expires_at", "soon", "must be a date and a time"},
	} {
		form := url.Values{"name": {"x"}, "role": {"read"}}
		form.Set(c.field, c.value)
		a := f.do(f.form("/api-keys/new", form))
		require.Equal(t, http.StatusUnprocessableEntity, a.Status, c.problem)
		assert.Empty(t, tokenOf(a))
		root := parse(t, a.Body)
		var wrong []string
		for _, n := range append(elements(root, "input"), elements(root, "select")...) {
			if hasAttribute(n, "aria-invalid") {
				wrong = append(wrong, attribute(n, "name"))
			}
		}
		assert.Equal(t, []string{c.field}, wrong)
		assert.Contains(t, a.Body, c.problem)
	}
	assert.Empty(t, f.apiKeys(mine))
	for i := range apikey.DefaultMax {
		f.newKey(mine, strings.Repeat("x", i+1))
	}
	assert.Contains(t, f.post("/api-keys/new", "name", "x", "role", "read").Body, "Revoke one first")
}

// Nobody gets an API key with more rights than their own, whatever the form says.
func TestRightsOfAPIKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.identity.Reveal = false
	for _, name := range []string{"reveal", "operator"} {
		assert.NotContains(t, f.page("/api-keys/new"), `name="`+name+`"`)
		a := f.post("/api-keys/new", "name", "x", "role", "read", name, "yes")
		assert.Equal(t, http.StatusForbidden, a.Status, name)
		require.ErrorIs(t, f.changes[len(f.changes)-1].Err, apikey.ErrRights)
	}
	f.identity.Role = console.Operate
	assert.Equal(t, http.StatusForbidden, f.get("/api-keys").Status)
	assert.NotContains(t, f.page("/"), "/api-keys")
	assert.Empty(t, f.apiKeys(mine))

	f.identity = console.Identity{Operator: true, Role: console.Administer}
	assert.Contains(t, f.page("/?organization="+theirs), "/api-keys?organization="+theirs)
	assert.Contains(t, f.page("/api-keys/new?organization="+theirs), `name="operator"`)
	a := f.post("/api-keys/new?organization="+theirs, "name", "x", "role", "administer", "operator", "yes")
	require.NotEmpty(t, tokenOf(a))
	keys := f.apiKeys(theirs)
	require.Len(t, keys, 1)
	assert.Equal(t, webhook.Rights{Role: webhook.RoleAdminister, Operator: true}, keys[0].Rights)
	assert.Equal(t, http.StatusNotFound, f.post("/api-keys/"+keys[0].ID+"/revoke?organization="+mine).Status)
	assert.Zero(t, f.apiKeys(theirs)[0].RevokedAt)
}

// The pages of the list have each API key once.
func TestPagesOfAPIKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 60 {
		f.newKey(mine, "x")
	}
	seen := map[string]bool{}
	pages := 0
	for next := "/api-keys"; next != ""; pages++ {
		root := parse(t, f.page(next))
		next = ""
		for _, a := range elements(root, "a") {
			href := strings.TrimPrefix(attribute(a, "href"), "/console")
			if strings.HasSuffix(href, "/revoke") {
				assert.False(t, seen[href])
				seen[href] = true
			}
			if attribute(a, "rel") == "next" {
				next = href
			}
		}
	}
	assert.Len(t, seen, 60)
	assert.Equal(t, 3, pages)
}

// Without a manager of API keys there are neither pages nor links.
func TestNoAPIKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *console.Config) { c.APIKeys = nil })
	assert.NotContains(t, f.page("/"), "api-keys")
	for _, path := range []string{"/api-keys", "/api-keys/new", "/api-keys/key_1/revoke"} {
		assert.Equal(t, http.StatusNotFound, f.get(path).Status, path)
		w := httptest.NewRecorder()
		f.console.ServeHTTP(w, f.form(path, url.Values{}))
		assert.Equal(t, http.StatusNotFound, w.Code, path)
	}
}
