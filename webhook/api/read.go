package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event/jsontext"
	"github.com/mixpeek/webhooks-go/webhook/internal/configs"
)

// errStop is returned by functions that are passed to [configs.Children], to stop.
var errStop = errors.New("api: stop")

// bodyTime is how long a body may take to arrive. A request that waits for it has a place that
// another request of its organization could use.
const bodyTime = 30 * time.Second

// readBody reads the body of a request that may have one: JSON, or nothing.
func (a *API) readBody(w http.ResponseWriter, r *request) ([]byte, error) {
	if r.Method != http.MethodPost && r.Method != http.MethodPut && r.Method != http.MethodPatch {
		return nil, nil
	}
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTime)) // fails for the recorder of a test
	var buffer bytes.Buffer
	buffer.Grow(int(min(max(r.ContentLength, 0),
		a.cfg.MaxBody)) + bytes.MinRead) // so that it need not grow
	r.place.wait(hangUpReading(w))
	_, err := buffer.ReadFrom(http.MaxBytesReader(w, r.Body, a.cfg.MaxBody))
	kept := r.place.resume()
	body := buffer.Bytes()
	if err == nil && kept { // otherwise the server should not wait for the rest
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
		return nil, &statusError{status: http.StatusBadRequest,
			message: fmt.Sprintf("The body ended early, or took longer than %s", bodyTime)}
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

// unsupported says which header keeps a body from being read, and what the header must be.
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

func isPlain(encoding string) bool {
	return encoding == "" ||
		strings.EqualFold(encoding, "identity")
}

// object reads the members of a JSON object one by one, so that all problems are reported and not
// only the first. A member that is null counts as absent.
type object struct {
	found    *problems
	location []any
	members  map[string]json.RawMessage
	known    []string
}

// readObject begins to read a body. If the body is not an object, or crosses a bound, it adds a
// problem and returns nil. maxItems has the most elements of lists that are members of the body,
// by name.
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
	text := jsontext.NewReader(body, jsontext.MaxDepth)
	if !text.ValidUTF8() {
		p.add(at, typeJSON, "must be UTF-8")
		return nil
	}
	scan := &bodyScan{text: text, found: p, maxItems: maxItems}
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

// optionalObject begins to read a body that may be absent. It returns nil if it is, and as
// readObject does.
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

// get returns a member, or nil if it is absent.
func (o *object) get(name string) json.RawMessage {
	o.known = append(o.known, name)
	if raw := o.members[name]; string(raw) != "null" {
		return raw
	}
	return nil
}

// read decodes a member into value. It adds a problem if the member is not of the kind.
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

// time reads a time in RFC 3339. A time without a zone, which some clients send, is in UTC.
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
	s = strings.ToUpper(s) // RFC 3339 allows "t" and "z", package time does not
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", s)
	}
	t = t.UTC()
	if err == nil && (t.Year() < 0 || t.Year() > 9999) { // an offset can do that, and JSON has no such year
		err = errors.New("the year is not one of four digits in UTC")
	}
	return t, err
}

// list returns the elements of a list, or nil if it is absent.
func (o *object) list(name string) []json.RawMessage {
	var list []json.RawMessage
	o.read(name, "array", &list)
	return list
}

// end adds a problem for each member that was not read.
func (o *object) end() {
	for _, name := range slices.Sorted(maps.Keys(o.members)) {
		if !slices.Contains(o.known, name) {
			o.found.add(o.at(name), typeExtra, "is not known here")
		}
	}
}

// query reads the parameters of a URL one by one, so that all problems are reported. An empty
// parameter counts as absent.
type query struct {
	found  *problems
	values url.Values
	known  []string
}

func newQuery(p *problems, r *request) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil { // without the filter that cannot be parsed, a query selects everything
		p.add([]any{"query"}, typeValue, "must be escaped as in a URL")
	}
	return &query{found: p, values: values}
}

func at(name string) []any { return []any{"query", name} }

func (q *query) text(name string) string {
	q.known = append(q.known, name)
	return q.values.Get(name)
}

// integer reads a number from least to most, and returns value if it is absent.
func (q *query) integer(name string, least, most, value int) int {
	s := q.text(name)
	if s == "" {
		return value
	}
	n, err := strconv.Atoi(s)
	switch {
	case err != nil:
		q.found.add(at(name), "int_parsing", "must be an integer")
	case n < least || n > most:
		q.found.add(at(name), typeValue, "must be between %d and %d", least, most)
	}
	return n
}

// boolean reads a flag in the spellings that clients of the contract use.
func (q *query) boolean(name string) bool {
	switch s := q.text(name); s {
	case "", "false", "False", "0":
		return false
	case "true", "True", "1":
		return true
	default:
		q.found.add(at(name), "bool_parsing", "must be true or false")
		return false
	}
}

func (q *query) time(name string) time.Time {
	s := q.text(name)
	if s == "" {
		return time.Time{}
	}
	t, err := parseTime(s)
	if err != nil {
		q.found.add(at(name), "datetime_parsing", "must be a time such as 2025-01-31T12:00:00Z")
	}
	return t
}

// end adds a problem for each parameter that was not read: a filter with a misspelt name must not
// select everything.
func (q *query) end() {
	for name := range q.values {
		if !slices.Contains(q.known, name) {
			q.found.add(at(name), typeExtra, "is not known here")
		}
	}
}

// The bounds of every body. They are checked before the body is decoded, so that decoding costs
// no more than the bytes of the body.
const (
	// maxDepth is how deep a body may be nested. It is more than the depth of any template.
	maxDepth = 256
	// maxValues is how many values a body may have: objects, lists, and everything in them.
	maxValues = 20_000
)

// bodyScan checks the bounds of a body. It also finds names that occur twice in one object,
// because two JSON readers may take different values for them.
type bodyScan struct {
	text     *jsontext.Reader
	found    *problems
	maxItems map[string]int // of the lists that are members of the body, by name
	values   int
	names    []names // of the objects that text is in, reused
	path     []any
}

// scan adds a problem and returns false if a bound is crossed. The body must be valid JSON.
func (s *bodyScan) scan() bool {
	s.path = []any{"body"}
	return s.value(0) == nil
}

// value reads a value. It returns errStop if a bound is crossed.
func (s *bodyScan) value(depth int) error {
	if s.values++; s.values > maxValues {
		s.found.add(s.path[:min(len(s.path), 2)], typeValue, "makes the body have more than %d values",
			maxValues)
		return errStop
	}
	if b := s.text.Next(); b != '{' && b != '[' {
		return s.text.Skip()
	}
	if depth == maxDepth {
		s.found.add([]any{"body"}, typeJSON, "must not be nested more than %d deep", maxDepth)
		return errStop
	}
	if depth == len(s.names) {
		s.names = append(s.names, names{})
	}
	s.names[depth].clear()
	most, bounded := s.bound(depth)
	s.path = append(s.path, nil)
	last := len(s.path) - 1
	err := configs.Children(s.text, func(i int, part any) error {
		if bounded && i == most {
			s.found.add(s.path[:last], typeTooLong, "must have at most %d entries", most)
			return errStop
		}
		s.path[last] = part
		if name, ok := part.(string); ok && !s.names[depth].add(name) {
			s.found.add(s.path, typeValue, "occurs twice")
		}
		return s.value(depth + 1)
	})
	s.path = s.path[:last]
	return err
}

// bound returns the most elements of the list that follows.
func (s *bodyScan) bound(depth int) (most int, bounded bool) {
	if depth != 1 || s.text.Next() != '[' {
		return 0, false
	}
	name := fmt.Sprint(s.path[1])
	most, bounded = s.maxItems[name]
	return most, bounded
}

// names is a set of names that is fast while it has few members.
type names struct {
	few  []string
	many map[string]bool
}

func (n *names) clear() { n.few, n.many = n.few[:0], nil }

// add returns false if the set has the name already.
func (n *names) add(name string) bool {
	const maxFew = 16
	if n.many != nil {
		there := n.many[name]
		n.many[name] = true
		return !there
	}
	for _, other := range n.few {
		if other == name {
			return false
		}
	}
	n.few = append(n.few, name)
	if len(n.few) > maxFew {
		n.many = make(map[string]bool, 2*maxFew)
		for _, other := range n.few {
			n.many[other] = true
		}
	}
	return true
}
