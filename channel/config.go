package channel

import (
	"bytes"
	"encoding/json"
	"math"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
)

// configReader reads the fields of a configuration one by one, so that every
// field that is wrong is reported and not only the first. A field that is null
// counts as absent. No value is repeated in a problem: it may be a secret.
type configReader struct {
	fields   map[string]json.RawMessage
	problems event.Problems
	library  *template.Library // of the templates in it
}

// readConfig splits a configuration into its fields.
func readConfig(config json.RawMessage, library *template.Library) *configReader {
	r := &configReader{library: library}
	if err := json.Unmarshal(config, &r.fields); err != nil || r.fields == nil {
		r.problems.Add("", "must be a JSON object")
	}
	return r
}

// get returns a field and whether it is there.
func (r *configReader) get(name string) (json.RawMessage, bool) {
	raw := bytes.TrimSpace(r.fields[name])
	return raw, len(raw) > 0 && string(raw) != "null"
}

// text reads a string, empty when absent.
func (r *configReader) text(name string) string {
	var s string
	if raw, ok := r.get(name); ok {
		if json.Unmarshal(raw, &s) != nil {
			r.problems.Add(name, "must be a string")
		}
	}
	return s
}

// required reads a string that must be there. It returns false, and has said
// why, when it is not.
func (r *configReader) required(name string) (string, bool) {
	raw, ok := r.get(name)
	if !ok {
		if r.fields != nil {
			r.problems.Add(name, "is required")
		}
		return "", false
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		r.problems.Add(name, "must be a string")
		return "", false
	}
	if s == "" {
		r.problems.Add(name, "must not be empty")
		return "", false
	}
	return s, true
}

// texts reads a list of strings and calls each with every one of them and its
// path.
func (r *configReader) texts(name string, each func(field, s string)) {
	raw, ok := r.get(name)
	if !ok {
		return
	}
	var items []*json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		r.problems.Add(name, "must be a list of strings")
	}
	for i, item := range items {
		field := name + "[" + strconv.Itoa(i) + "]"
		var s string
		if item == nil || json.Unmarshal(*item, &s) != nil {
			r.problems.Add(field, "must be a string")
			continue
		}
		each(field, s)
	}
}

// isEmptyList reports whether a field is a list of nothing.
func (r *configReader) isEmptyList(name string) bool {
	var items []json.RawMessage
	raw, ok := r.get(name)
	return ok && json.Unmarshal(raw, &items) == nil && len(items) == 0
}

// number reads a number and whether it is there.
func (r *configReader) number(name string) (float64, bool) {
	raw, ok := r.get(name)
	if !ok {
		return 0, false
	}
	var f float64
	if json.Unmarshal(raw, &f) != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		r.problems.Add(name, "must be a number")
		return 0, false
	}
	return f, true
}

// url reads a required URL that the client accepts, nil when it is not right.
func (r *configReader) url(name string, client *HTTPClient) *url.URL {
	raw, ok := r.required(name)
	if !ok {
		return nil
	}
	u, err := client.CheckURL(raw)
	r.problems.AddError(name, err)
	return u
}

// isFieldValue reports whether s can be a header's value: no control character
// but the tab (RFC 9110, section 5.5).
func isFieldValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// line reads a string that is one line of at most limit bytes.
func (r *configReader) line(name string, limit int) string {
	s := r.text(name)
	if len(s) > limit {
		r.problems.Add(name, "must be at most %d characters", limit)
	}
	if !isFieldValue(s) {
		r.problems.Add(name, "must be one line without control characters")
	}
	if s != strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }) {
		r.problems.Add(name, "must neither begin nor end with a blank")
	}
	return s
}
