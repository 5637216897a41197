package api

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLocation(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][]any{
		"":                                  {"body"},
		"webhook_name":                      {"body", "webhook_name"},
		"channels[0].configs.url":           {"body", "channels", 0, "configs", "url"},
		"a[10][2]":                          {"body", "a", 10, 2},
		`headers["a b\"].c"].d`:             {"body", "headers", `a b"].c`, "d"},
		"[1]":                               {"body", 1},
		"a[x].b":                            {"body", "a", "x", "b"},
		"a[":                                {"body", "a", ""},
		"event_types[3]":                    {"body", "event_types", 3},
		".":                                 {"body", ""},
		`channels[0].configs["zwölf"]`:      {"body", "channels", 0, "configs", "zwölf"},
		`channels[1].configs.headers["é"].`: {"body", "channels", 1, "configs", "headers", "é"},
	} {
		assert.Equal(t, want, location("body", path), path)
	}
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
