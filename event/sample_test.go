package event_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

// A sample of any type, in the catalogue or not, is a whole event.
func TestSample(t *testing.T) {
	t.Parallel()
	own := event.Catalogue{{Type: "invoice.paid", Example: `{"metadata": {"amount": 5}}`}}
	for _, c := range []event.Catalogue{own, event.Mixpeek(), nil} {
		for _, eventType := range []string{"invoice.paid", event.ObjectCreated, "any.thing"} {
			e := c.Sample(eventType)
			require.NoError(t, e.Validate())
			assert.Equal(t, eventType, e.Type)
			assert.Equal(t, true, e.Metadata["test"])
		}
	}
	paid := own.Sample("invoice.paid")
	assert.Contains(t, paid.Metadata, "amount")
	assert.Empty(t, paid.Namespace, "an example of one's own needs none")
	assert.NotEqual(t, paid.ID, own.Sample("invoice.paid").ID)

	e := &event.Event{Type: "invoice.paid", Subject: event.Subject{ID: "inv_1"}}
	e.FillSample(event.ObjectCreated)
	require.NoError(t, e.Validate())
	assert.Equal(t, "invoice.paid", e.Type)
	assert.Equal(t, event.Subject{Type: "invoice", ID: "inv_1"}, e.Subject)
}

// The type of a sample fits the patterns, and has an example if it can.
func TestSampleType(t *testing.T) {
	t.Parallel()
	own := event.Catalogue{{Type: "invoice.paid"}, {Type: "invoice.sent", Example: "{}"}}
	for _, c := range []struct {
		patterns []event.Pattern
		want     string
	}{
		{[]event.Pattern{"invoice.*"}, "invoice.sent"},
		{[]event.Pattern{"invoice.paid"}, "invoice.paid"},
		{[]event.Pattern{"order.*"}, "order.test"},
		{[]event.Pattern{"*"}, "invoice.sent"},
		{[]event.Pattern{"order.placed", "invoice.*"}, "invoice.sent"},
		{nil, event.ObjectCreated},
	} {
		assert.Equal(t, c.want, own.SampleType(c.patterns), c.patterns)
	}
}
