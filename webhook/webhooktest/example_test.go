package webhooktest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/webhooktest"
)

// saveArticle is a publisher: it writes an article, and says so, in one transaction.
func saveArticle(ctx context.Context, d *dispatch.Dispatcher, tx webhook.Tx, id string) error {
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: id})
	e.Namespace, e.Collection = "acme", "articles"
	_, err := d.EmitTx(ctx, tx, e)
	return err
}

func TestSaveArticle(t *testing.T) {
	t.Parallel()
	d, store := webhooktest.New(t)

	tx := store.Begin()
	require.NoError(t, saveArticle(t.Context(), d, tx, "obj_0"))
	require.NoError(t, tx.Rollback())
	webhooktest.RequireEmittedTypes(t, store)

	tx = store.Begin()
	require.NoError(t, saveArticle(t.Context(), d, tx, "obj_1"))
	webhooktest.RequireEmittedTypes(t, store)
	require.NoError(t, tx.Commit())
	e := webhooktest.RequireEmitted(t, store, event.ObjectCreated)
	require.Equal(t, "obj_1", e.Subject.ID)
	require.Equal(t, "acme", e.Namespace)
}

// failing notes that a test failed, instead of ending it.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Errorf(string, ...any) { f.failed = true }
func (f *failing) FailNow()              { panic(f) }

func fails(t *testing.T, check func(t testing.TB)) {
	t.Helper()
	f := &failing{TB: t}
	func() {
		defer func() { _ = recover() }()
		check(f)
	}()
	require.True(t, f.failed)
}

func TestRequireFails(t *testing.T) {
	t.Parallel()
	d, store := webhooktest.New(t)
	fails(t, func(t testing.TB) { webhooktest.RequireEmitted(t, store, event.ObjectCreated) })
	for range 2 {
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
		e.Namespace = "acme"
		_, err := d.Emit(t.Context(), e)
		require.NoError(t, err)
	}
	webhooktest.RequireEmittedTypes(t, store, event.ObjectCreated, event.ObjectCreated)
	fails(t, func(t testing.TB) { webhooktest.RequireEmitted(t, store, event.ObjectCreated) })
	fails(t, func(t testing.TB) { webhooktest.RequireEmittedTypes(t, store, event.ObjectCreated) })
}
