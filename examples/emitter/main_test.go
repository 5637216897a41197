package main

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

func TestFailedAttemptsAreWarnings(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	attempted := logAttempts(slog.New(slog.NewTextHandler(&log, nil)))
	result := dispatch.Result{DeliveryID: 42, OrganizationID: "acme"}
	attempted(result)
	assert.Contains(t, log.String(), "level=INFO msg=attempted")
	assert.Contains(t, log.String(), "delivery_id=dlv_42 organization_id=acme ")

	log.Reset()
	result.Attempt = webhook.Attempt{StatusCode: 503, Error: "the endpoint answered 503"}
	attempted(result)
	assert.Contains(t, log.String(), "level=WARN msg=attempted")
}
