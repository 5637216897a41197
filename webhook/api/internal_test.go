package api

import (
	"net/http"
	"strconv"
	"testing"
	"time"

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

func TestAnswerCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newAnswerCache()
	now := time.Unix(1_700_000_000, 0)
	key := func(i int) (k [32]byte) {
		copy(k[:], strconv.Itoa(i))
		return k
	}
	answer := &response{status: http.StatusAccepted}
	for i := range 2 * maxAnswers {
		assert.Nil(t, c.begin(key(i), [32]byte{}, now))
		c.end(key(i), answer)
	}
	assert.Equal(t, maxAnswers, c.oldest.Len())
	assert.Len(t, c.answers, maxAnswers)
	assert.Same(t, answer, c.begin(key(2*maxAnswers-1), [32]byte{}, now).answer)
	assert.Nil(t, c.begin(key(0), [32]byte{}, now), "the oldest went first")
	c.end(key(1), answer) // displaced in the meantime: nothing to keep
	assert.Nil(t, c.begin(key(5), [32]byte{}, now.Add(answerTime+1)))
	assert.Len(t, c.answers, 1, "what has expired is gone")
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
	assert.Len(t, seen, 11)
}
