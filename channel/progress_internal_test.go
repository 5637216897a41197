package channel

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestProgressSettle(t *testing.T) {
	t.Parallel()
	all := []string{"a", "b"}
	p := readProgress([]byte(`{"reached":["a"],"refused":["b"],"later":1}`))
	assert.Empty(t, p.remaining(all))
	assert.Equal(t, all, readProgress(nil).remaining(all))
	assert.Equal(t, all, readProgress([]byte(`{"reached":7}`)).remaining(all))
	assert.Nil(t, (&progress{}).after(nil))
	assert.JSONEq(t, `{}`, string(readProgress([]byte(`{"refused":["b"]}`)).after(nil)), "what is stored is replaced")
	assert.JSONEq(t, `{"refused":["b"]}`, string(readProgress([]byte(`{"refused":["b"]}`)).after(context.Canceled)), "a shutdown is no end")

	// A recipient that is gone for good does not end what another waits for.
	_, err := (&progress{}).settle(2, nil, []failure{{"a", &Error{Action: Permanent}}, {"b", &Error{Action: Retry}}})
	assert.True(t, AsError(err).Retryable())
	_, err = (&progress{}).settle(2, nil, []failure{{"a", &Error{Action: Retry}}, {"b", &Error{Action: Permanent}}})
	assert.True(t, AsError(err).Retryable())
	_, err = (&progress{}).settle(2, nil, []failure{{"a", &Error{Action: Permanent}}, {"b", &Error{Action: Permanent}}})
	assert.False(t, AsError(err).Retryable())
}
