package channelkit

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/internal/printable"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/jsontext"
	"github.com/mixpeek/webhooks-go/template"
)

// A ConfigReader reads the fields of a configuration one by one and collects every problem, not
// only the first. A field that is null counts as absent. No problem repeats a value, which may be a
// secret. It is not safe for concurrent use.
type ConfigReader struct {
	// Problems are the problems that were found so far. A driver adds those that it finds itself, and
	// returns Problems.Err().
	Problems event.Problems

	fields  map[string]json.RawMessage
	library *template.Library // of the templates in it
}

// FieldsOf returns the fields of a configuration's struct, for [channel.Schema], under their JSON
// names. A field of type [channel.Secret], or of a slice of it, is a secret. The struct tags
// channel:"secret" and channel:"target" mark other fields as secrets and as targets.
func FieldsOf(config any) []channel.Field {
	fields := []channel.Field{}
	for _, f := range reflect.VisibleFields(reflect.TypeOf(config)) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || f.Anonymous || name == "-" {
			continue
		}
		typ, options := f.Type, strings.Split(f.Tag.Get("channel"), ",")
		if typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		fields = append(fields, channel.Field{
			Name:   cmp.Or(name, f.Name),
			Secret: typ == reflect.TypeFor[channel.Secret]() || slices.Contains(options, "secret"),
			Target: slices.Contains(options, "target"),
		})
	}
	return fields
}

// ReadConfig splits a configuration into its fields. If it is not a JSON object, or names a field
// twice, that is a problem. The templates of the configuration can use library, which may be nil.
func ReadConfig(config json.RawMessage, library *template.Library) *ConfigReader {
	r := &ConfigReader{library: library}
	fields := map[string]json.RawMessage{}
	var duplicate *string // the first one
	text := jsontext.NewReader(config, jsontext.MaxDepth)
	err := text.Object(func(name []byte) error {
		value, err := text.Raw()
		if _, twice := fields[string(name)]; !twice {
			fields[string(name)] = value
		} else if duplicate == nil {
			s := string(name)
			duplicate = &s
		}
		return err
	})
	if err != nil || !text.AtEnd() {
		r.Problems.Add("", "must be a JSON object")
		return r
	}
	if duplicate != nil {
		r.Problems.Add(printable.Clip(*duplicate, 64), "must not be there twice")
	}
	r.fields = fields
	return r
}

// IsObject reports whether the configuration is a JSON object. If it is not, that is the only
// problem that the other methods report.
func (r *ConfigReader) IsObject() bool { return r.fields != nil }

// Get returns the JSON of a field, and whether the field is there.
func (r *ConfigReader) Get(name string) (json.RawMessage, bool) {
	raw := bytes.TrimSpace(r.fields[name])
	return raw, len(raw) > 0 && string(raw) != "null"
}

// Text returns a field that must be a string. It returns "" if the field is absent or is not a
// string.
func (r *ConfigReader) Text(name string) string {
	var s string
	if raw, ok := r.Get(name); ok {
		if json.Unmarshal(raw, &s) != nil {
			r.Problems.Add(name, "must be a string")
		}
	}
	return s
}

// Required returns a field that must be there, and must be a string that is not empty. Otherwise it
// reports the problem and returns false.
func (r *ConfigReader) Required(name string) (string, bool) {
	raw, ok := r.Get(name)
	if !ok {
		if r.fields != nil {
			r.Problems.Required(name)
		}
		return "", false
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		r.Problems.Add(name, "must be a string")
		return "", false
	}
	if s == "" {
		r.Problems.Add(name, "must not be empty")
		return "", false
	}
	return s, true
}

// Texts reads a field that must be a list of strings. It calls each for every string, with the path
// of that string.
func (r *ConfigReader) Texts(name string, each func(field, s string)) {
	raw, ok := r.Get(name)
	if !ok {
		return
	}
	var items []*json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		r.Problems.Add(name, "must be a list of strings")
	}
	for i, item := range items {
		field := name + "[" + strconv.Itoa(i) + "]"
		var s string
		if item == nil || json.Unmarshal(*item, &s) != nil {
			r.Problems.Add(field, "must be a string")
			continue
		}
		each(field, s)
	}
}

// IsEmptyList reports whether a field is a list without elements.
func (r *ConfigReader) IsEmptyList(name string) bool {
	var items []json.RawMessage
	raw, ok := r.Get(name)
	return ok && json.Unmarshal(raw, &items) == nil && len(items) == 0
}

// Number returns a field that must be a number. It returns false if the field is absent or is not a
// number.
func (r *ConfigReader) Number(name string) (float64, bool) {
	raw, ok := r.Get(name)
	if !ok {
		return 0, false
	}
	var f float64
	if json.Unmarshal(raw, &f) != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		r.Problems.Add(name, "must be a number")
		return 0, false
	}
	return f, true
}

// URL returns a required URL, which the client must accept: see [HTTPClient.CheckURL]. It returns
// nil if the field is absent or invalid.
func (r *ConfigReader) URL(name string, client *HTTPClient) *url.URL {
	raw, ok := r.Required(name)
	if !ok {
		return nil
	}
	u, err := client.CheckURL(raw)
	r.Problems.AddError(name, err)
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

// Line returns a field that must be one line of at most limit characters that neither begins nor ends
// with white space. If the field breaks a rule, Line adds a problem and returns the field anyway.
// It returns "" if the field is absent.
func (r *ConfigReader) Line(name string, limit int) string {
	s := r.Text(name)
	if utf8.RuneCountInString(s) > limit {
		r.Problems.Add(name, "must be at most %d characters", limit)
	}
	if !isFieldValue(s) {
		r.Problems.Add(name, "must be one line without control characters")
	}
	if s != strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) ||
			unicode.Is(unicode.Cf, r)
	}) {
		r.Problems.Add(name, "must neither begin nor end with a blank")
	}
	return s
}
