package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/console"
)

// hold makes an ordered subscription with a dead delivery that holds its subject, and another one
// that waits behind it.
func (f *fixture) hold() (sub *webhook.Subscription, dead, waits webhook.Delivery) {
	f.t.Helper()
	sub = f.subscribe(mine, "In order", "/status/400?say=no")
	sub.Ordering, sub.Retry = &webhook.Ordering{}, &webhook.Retry{MaxAttempts: 1}
	require.NoError(f.t, f.dispatcher.UpdateSubscription(f.t.Context(), sub))
	dead = f.emit(mine)[0]
	require.Equal(f.t, webhook.StatusDead, dead.Status)
	require.True(f.t, dead.Holds)
	waits = f.emit(mine)[0]
	require.Equal(f.t, dead.ID, waits.WaitsFor)
	return sub, dead, waits
}

// Pages say what a delivery waits for, and who holds back others. Skip lets the next one go.
func TestSkip(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sub, dead, waits := f.hold()
	other := f.emit(mine, func(e *event.Event) { e.Subject.ID = "obj_2" })[0]
	page := f.page("/deliveries/" + waits.ID.String())
	assert.Contains(t, page, "Waits behind <a class=\"mono\" href=\"/console/deliveries/"+dead.ID.String())
	assert.Contains(t, page, "holds back its subject until it is replayed or skipped.")
	assert.NotContains(t, page, "/skip")
	page = f.page("/deliveries/" + dead.ID.String())
	assert.Contains(t, page, "Later events about its subject wait until it is replayed or skipped.")
	assert.Contains(t, page, "/skip")
	for _, path := range []string{"/deliveries", "/subscriptions/" + sub.ID} {
		page = f.page(path)
		assert.Contains(t, page, "waits for its turn", path)
		assert.Contains(t, page, "holds back others", path)
	}
	unordered := f.subscribe(mine, "Any order", "/status/410")
	f.emit(mine, func(e *event.Event) { e.Subject.ID = "obj_3" })
	page = f.page("/dead")
	assert.Contains(t, page, "subscriptions/"+unordered.ID)
	for _, path := range []string{"/dead?holding=yes",
		"/dead?holding=yes&subscription=" + url.QueryEscape(sub.ID)} {
		page = f.page(path)
		assert.Contains(t, page, dead.ID.String(), path)
		assert.Contains(t, page, other.ID.String(), path)
		assert.NotContains(t, page, "subscriptions/"+unordered.ID, path)
	}
	form := inputs(t, f.page("/dead/replay-all?holding=yes"), "rate")
	assert.Equal(t, "yes", form.Get("holding"), "a replay keeps the filter")
	a := f.do(f.form("/dead/replay-all", form))
	require.Equal(t, http.StatusSeeOther, a.Status, a.Body)
	page = f.page(strings.TrimPrefix(a.Header.Get("Location"), "/console"))
	assert.Contains(t, page, "hold back others")

	skip := "/deliveries/" + dead.ID.String() + "/skip"
	f.identity.Role = console.Read
	assert.Equal(t, http.StatusForbidden, f.post(skip).Status)
	assert.NotContains(t, f.page("/deliveries/"+dead.ID.String()), "/skip")
	f.identity.Role = console.Operate
	a = f.post(skip)
	require.Equal(t, http.StatusSeeOther, a.Status, a.Body)
	page = f.page(strings.TrimPrefix(a.Header.Get("Location"), "/console"))
	assert.Contains(t, page, "The delivery is skipped.")
	assert.NotContains(t, page, "/skip\"")
	assert.NotContains(t, f.page("/deliveries/"+waits.ID.String()), "Waits behind")
	change := f.changes[len(f.changes)-1]
	assert.Equal(t, console.Change{Identity: f.identity, Action: "skip", OrganizationID: mine,
		DeliveryID: dead.ID}, change)
	assert.Equal(t, http.StatusConflict, f.post(skip).Status, "it holds its subject no longer")
	require.ErrorIs(t, f.changes[len(f.changes)-1].Err, webhook.ErrWrongStatus)
}
