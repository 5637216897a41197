package webhooktest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/webhooktest"
)

// payInvoice is code of a service that publishes.
func payInvoice(ctx context.Context, d *dispatch.Dispatcher, id string, cents int) error {
	if cents <= 0 {
		return errors.New("nothing to pay")
	}
	e := event.New("invoice.paid", event.Subject{Type: "invoice", ID: id})
	e.Metadata = map[string]any{"cents": cents}
	if _, err := d.Emit(ctx, e); err != nil {
		return fmt.Errorf("invoice %s: %w", id, err)
	}
	return nil
}

// In a service this is func TestPayInvoice(t *testing.T).
func testPayInvoice(t *testing.T) {
	d, store := webhooktest.New(t)
	require.Error(t, payInvoice(t.Context(), d, "inv_1", 0))
	webhooktest.RequireEmittedTypes(t, store) // none

	require.NoError(t, payInvoice(t.Context(), d, "inv_1", 4200))
	e := webhooktest.RequireEmitted(t, store, "invoice.paid")
	require.Equal(t, "inv_1", e.Subject.ID)
	require.Equal(t, json.Number("4200"), e.Metadata["cents"]) // as a receiver decodes it
}

// A unit test of code that publishes needs no database, and delivers nothing. Nothing is
// printed: what matters is the function testPayInvoice.
func ExampleRequireEmitted() {
	_ = testPayInvoice
}
