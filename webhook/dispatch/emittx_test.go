package dispatch_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// incapable is a Store without capabilities.
type incapable struct{ webhook.Store }

func (incapable) Capabilities() webhook.Capabilities { return webhook.Capabilities{} }

func TestEmitTxNeedsAStoreWithTransactions(t *testing.T) {
	t.Parallel()
	d, err := dispatch.New(incapable{memstore.New()},
		dispatch.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	require.ErrorIs(t, errorOf(d.EmitTx(t.Context(), memstore.New().Begin(), e)), dispatch.ErrNoTx)
}
