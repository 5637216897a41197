package webhooktest_test

import "testing"

// What ExampleRequireEmitted shows.
func TestPayInvoice(t *testing.T) {
	t.Parallel()
	testPayInvoice(t)
}
