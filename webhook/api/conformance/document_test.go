package conformance_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// document is an OpenAPI 3.1 document with compiled schemas.
type document struct {
	t        *testing.T
	name     string
	root     map[string]any
	compiler *jsonschema.Compiler
	prefix   string // of the paths in requests that the document's paths do not have
}

// contract loads a version of the published contract.
func contract(t *testing.T, version string) *document {
	t.Helper()
	raw, err := os.ReadFile("testdata/contract-" + version + ".json")
	require.NoError(t, err)
	return parse(t, version, "", raw)
}

func parse(t *testing.T, name, prefix string, raw []byte) *document {
	t.Helper()
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	require.NoError(t, c.AddResource("file:///"+name+".json", root))
	object, ok := root.(map[string]any)
	require.True(t, ok)
	return &document{t: t, name: name, root: object, compiler: c, prefix: prefix}
}

// get follows a JSON pointer, and references on the way. It returns the value and the pointer to
// it, or nil if there is none.
func (d *document) get(pointer ...string) (any, []string) {
	var value any = d.root
	at := []string{}
	for i := 0; ; i++ {
		if object, ok := value.(map[string]any); ok {
			if ref, ok := object["$ref"].(string); ok {
				value, at = d.get(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			}
		}
		if i == len(pointer) {
			return value, at
		}
		object, ok := value.(map[string]any)
		if !ok || object[pointer[i]] == nil {
			return nil, nil
		}
		value, at = object[pointer[i]], append(at, pointer[i])
	}
}

// schema compiles the schema at a pointer.
func (d *document) schema(pointer []string) *jsonschema.Schema {
	d.t.Helper()
	escaped := make([]string, len(pointer))
	for i, part := range pointer {
		escaped[i] = strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
	}
	s, err := d.compiler.Compile("file:///" + d.name + ".json#/" + strings.Join(escaped, "/"))
	require.NoError(d.t, err)
	return s
}

// operation returns the pointer to the operation that serves a request, or nil if the document
// has none.
func (d *document) operation(method, path string) []string {
	path = strings.TrimPrefix(path, d.prefix)
	paths, _ := d.get("paths")
	templates, _ := paths.(map[string]any)
	best := ""
	for template, item := range templates {
		operations, _ := item.(map[string]any)
		if operations[strings.ToLower(method)] == nil || !matches(template, path) {
			continue
		}
		if best == "" || strings.Count(template, "{") < strings.Count(best, "{") {
			best = template
		}
	}
	if best == "" {
		return nil
	}
	return []string{"paths", best, strings.ToLower(method)}
}

// matches reports whether a path fits a template. A slash at the end does not matter.
func matches(template, path string) bool {
	want := strings.Split(strings.Trim(template, "/"), "/")
	got := strings.Split(strings.Trim(path, "/"), "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && !strings.HasPrefix(want[i], "{") {
			return false
		}
	}
	return true
}

// checkRequest returns what is wrong with a request's body by the document.
func (d *document) checkRequest(method, path string, body []byte) error {
	d.t.Helper()
	operation := d.operation(method, path)
	require.NotNil(d.t, operation, "%s: %s %s", d.name, method, path)
	_, at := d.get(append(operation, "requestBody", "content", "application/json", "schema")...)
	if at == nil {
		require.Empty(d.t, body, "%s %s has no body", method, path)
		return nil
	}
	if len(body) == 0 {
		required, _ := d.get(append(operation, "requestBody", "required")...)
		require.NotEqual(d.t, true, required, "%s %s needs a body", method, path)
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return d.schema(at).Validate(value)
}

// checkResponse requires that the document has the answer. A status that only the API's own
// document has must at least be an error.
func (d *document) checkResponse(method, path string, status int, header http.Header, body []byte) {
	d.t.Helper()
	operation := d.operation(method, path)
	require.NotNil(d.t, operation, "%s: %s %s", d.name, method, path)
	label := d.name + ": " + method + " " + path + ": " + http.StatusText(status) + ": " + string(body)
	response, at := d.get(append(operation, "responses", statusText(status))...)
	if response == nil {
		require.Contains(d.t, []int{
			http.StatusConflict, http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge,
			http.StatusUnsupportedMediaType,
		}, status, label)
		_, at = d.get("components", "schemas", "ErrorResponse")
		d.validate(at, body, label)
		return
	}
	_, at = d.get(append(at, "content", "application/json", "schema")...)
	if at == nil {
		require.Empty(d.t, body, label)
		return
	}
	require.Equal(d.t, "application/json", header.Get("Content-Type"), label)
	d.validate(at, body, label)
}

func (d *document) validate(at []string, body []byte, label string) {
	d.t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	require.NoError(d.t, err, label)
	require.NoError(d.t, d.schema(at).Validate(value), label)
}

func statusText(status int) string {
	b, _ := json.Marshal(status)
	return string(b)
}
