package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// bodyTime is how long a body may take to arrive: a request that waits for it
// keeps others of its organization out.
const bodyTime = 30 * time.Second

// readBody reads the body of a request that may have one: JSON, or nothing.
func (a *API) readBody(w http.ResponseWriter, r *request) ([]byte, error) {
	if r.Method != http.MethodPost && r.Method != http.MethodPut && r.Method != http.MethodPatch {
		return nil, nil
	}
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTime)) // a test's recorder has none
	var buffer bytes.Buffer
	buffer.Grow(int(min(max(r.ContentLength, 0), a.cfg.MaxBody)) + bytes.MinRead) // so that it need not grow
	r.place.wait(hangUpReading(w))
	_, err := buffer.ReadFrom(http.MaxBytesReader(w, r.Body, a.cfg.MaxBody))
	kept := r.place.resume()
	body := buffer.Bytes()
	if err == nil && kept { // otherwise the server must not wait for the rest either
		_ = connection.SetReadDeadline(time.Time{})
	}
	var tooLarge *http.MaxBytesError
	isTooLarge := errors.As(err, &tooLarge)
	r.bodyRead = !isTooLarge || !kept
	switch {
	case !kept:
		return nil, errBusy
	case isTooLarge:
		return nil, err
	case err != nil:
		return nil, &statusError{status: http.StatusBadRequest, message: fmt.Sprintf("The body broke off, or took longer than %s", bodyTime)}
	case len(body) == 0:
		return nil, nil
	}
	if contentType := r.Header.Get("Content-Type"); !isJSON(contentType) {
		return nil, unsupported("Content-Type", contentType, "application/json")
	}
	if encoding := r.Header.Get("Content-Encoding"); !isPlain(encoding) {
		return nil, unsupported("Content-Encoding", encoding, "identity or absent")
	}
	return body, nil
}

// unsupported names the header that keeps a body from being read, and what it
// must be.
func unsupported(header, value, must string) error {
	const maxShown = 128
	return &statusError{
		status:  http.StatusUnsupportedMediaType,
		message: fmt.Sprintf("The header %s must be %s, not %.*q", header, must, maxShown, value),
		details: map[string]any{"header": header},
	}
}

func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && (mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"))
}

func isPlain(encoding string) bool { return encoding == "" || strings.EqualFold(encoding, "identity") }

// object reads the members of a JSON object one by one, so that everything that
// is wrong is reported and not only the first. A member that is null counts as
// absent.
type object struct {
	found    *problems
	location []any
	members  map[string]json.RawMessage
	known    []string
}

// readObject begins to read a body. It returns nil, and has said why, if the
// body is not an object or crosses a bound. maxItems bounds lists that are
// members of it, by their names.
func readObject(p *problems, body []byte, maxItems map[string]int) *object {
	at := []any{"body"}
	if len(body) == 0 {
		p.add(at, typeMissing, "is required")
		return nil
	}
	if !json.Valid(body) {
		syntax := syntaxError(body)
		p.add(append(at, syntax.Offset), typeJSON, "must be JSON: %s", syntax)
		return nil
	}
	if !utf8.Valid(body) {
		p.add(at, typeJSON, "must be UTF-8")
		return nil
	}
	scan := &bodyScan{cursor: cursor{raw: body}, found: p, maxItems: maxItems}
	if !scan.scan() {
		return nil
	}
	return p.object(at, body)
}

func syntaxError(body []byte) *json.SyntaxError {
	syntax := &json.SyntaxError{}
	var value json.RawMessage
	errors.As(json.Unmarshal(body, &value), &syntax)
	return syntax
}

// optionalObject begins to read a body that may be absent. It returns nil if it
// is, or if it is not an object.
func optionalObject(p *problems, body []byte) *object {
	if len(body) == 0 {
		return nil
	}
	return readObject(p, body, nil)
}

func (p *problems) object(location []any, raw json.RawMessage) *object {
	o := &object{found: p, location: location}
	if json.Unmarshal(raw, &o.members) != nil || o.members == nil {
		p.add(location, "object_type", "must be an object")
		return nil
	}
	return o
}

func (o *object) at(name string) []any { return append(slices.Clone(o.location), name) }

// get returns a member, nil when it is absent.
func (o *object) get(name string) json.RawMessage {
	o.known = append(o.known, name)
	if raw := o.members[name]; string(raw) != "null" {
		return raw
	}
	return nil
}

// read reads a member into a value of the kind, and says so if that fails.
func (o *object) read(name, kind string, value any) bool {
	raw := o.get(name)
	if raw == nil {
		return false
	}
	if err := json.Unmarshal(raw, value); err != nil {
		o.found.add(o.at(name), kind+"_type", "must be of type %s", kind)
		return false
	}
	return true
}

func (o *object) text(name string) (s string) {
	o.read(name, "string", &s)
	return s
}

func (o *object) boolean(name string) *bool {
	var b bool
	if !o.read(name, "boolean", &b) {
		return nil
	}
	return &b
}

// time reads a time. RFC 3339 is asked for; a time without a zone, as some
// clients write it, is in UTC.
func (o *object) time(name string) time.Time {
	s := o.text(name)
	if s == "" {
		return time.Time{}
	}
	t, err := parseTime(s)
	if err != nil {
		o.found.add(o.at(name), "datetime_parsing", "must be a time such as 2025-01-31T12:00:00Z")
	}
	return t
}

func parseTime(s string) (time.Time, error) {
	s = strings.ToUpper(s) // RFC 3339 allows "t" and "z", which package time refuses
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", s)
	}
	return t.UTC(), err
}

// list reads a list's elements, nil when it is absent.
func (o *object) list(name string) []json.RawMessage {
	var list []json.RawMessage
	o.read(name, "array", &list)
	return list
}

// end reports the members that were not read.
func (o *object) end() {
	for _, name := range slices.Sorted(maps.Keys(o.members)) {
		if !slices.Contains(o.known, name) {
			o.found.add(o.at(name), typeExtra, "is not known here")
		}
	}
}
