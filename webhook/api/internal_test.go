package api

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/event"
)

// The type of a problem comes from its code, whatever the text says.
func TestTypeOfProblem(t *testing.T) {
	t.Parallel()
	found := &event.ValidationError{Problems: []event.Problem{
		{Field: "channels[0].configs.url", Code: event.CodeRequired, Rule: "must be there"},
		{Field: "name", Code: event.CodeInvalid, Rule: "is required"},
	}}
	assert.Equal(t, []ValidationProblem{
		{Location: []any{"body", "channels", 0, "configs", "url"}, Message: "must be there", Type: typeMissing},
		{Location: []any{"body", "name"}, Message: "is required", Type: typeValue},
	}, bodyProblems(found))
}

func TestErrorTypes(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for status := 400; status < 600; status++ {
		kind := errorType(status)
		if kind != "InternalServerError" {
			assert.Zero(t, seen[kind], kind)
		}
		seen[kind] = status
	}
	assert.Len(t, seen, 12)
}
