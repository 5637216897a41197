package receivertest

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/receiver"
)

// Credentials authenticate a sender. The zero value has none.
type Credentials struct {
	// Secret is a static secret. If it is empty, none is sent.
	Secret string
	// SecretHeader is the name of the header with the secret.
	// Defaults to [receiver.DefaultSecretHeader].
	SecretHeader string
	// Signer signs the request. If it is nil, the request is not signed.
	Signer *signature.Signer
}

// Apply sets the headers for a request that is made at the time at with this body. id is
// signed as webhook-id.
func (c Credentials) Apply(h http.Header, id string, at time.Time, body []byte) error {
	if c.Secret != "" {
		h.Set(c.secretHeader(), c.Secret)
	}
	if c.Signer == nil {
		return nil
	}
	return c.Signer.Sign(h, id, at, body)
}

func (c Credentials) secretHeader() string {
	if c.SecretHeader == "" {
		return receiver.DefaultSecretHeader
	}
	return c.SecretHeader
}

// NewRequest returns a request as a server gets it over HTTPS, with the event as its body.
// It fails the test if the event cannot be encoded or signed.
func NewRequest(tb testing.TB, c Credentials, e *event.Event) *http.Request {
	tb.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		tb.Fatalf("receivertest: %v", err)
	}
	return NewBodyRequest(tb, c, e.ID, body)
}

// NewBodyRequest is [NewRequest] for any body. id is signed as webhook-id.
func NewBodyRequest(tb testing.TB, c Credentials, id string, body []byte) *http.Request {
	tb.Helper()
	r := httptest.NewRequestWithContext(
		tb.Context(), http.MethodPost, "https://example.com/webhooks", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if err := c.Apply(r.Header, id, time.Now(), body); err != nil {
		tb.Fatalf("receivertest: %v", err)
	}
	return r
}

// A Document is a published example of an event.
type Document struct {
	// Name says what the example shows.
	Name string
	// Body is the envelope, byte for byte.
	Body []byte
	// ID is its event_id.
	ID string
}

//go:embed testdata/documented/*.json
var documented embed.FS

// Documented returns the published examples of events: both spellings of the envelope, and
// one with unknown fields.
func Documented() []Document {
	var documents []Document
	files, err := fs.Glob(documented, "testdata/documented/*.json")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, file := range files {
		body, err := documented.ReadFile(file)
		if err != nil {
			panic(err) // the file is part of the program
		}
		body = bytes.TrimSpace(body)
		var envelope struct {
			ID string `json:"event_id"`
		}
		if err := json.Unmarshal(body, &envelope); err != nil {
			panic(fmt.Sprintf("receivertest: %s: %v", file, err))
		}
		name := strings.TrimSuffix(path.Base(file), ".json")
		name = strings.ReplaceAll(name, "_", " ")
		documents = append(documents, Document{Name: name, Body: body, ID: envelope.ID})
	}
	return documents
}

// fresh returns the document with a new id, so that it can be sent more than once.
func (d Document) fresh() Document {
	id := event.NewID()
	d.Body = bytes.Replace(d.Body, []byte(`"`+d.ID+`"`), []byte(`"`+id+`"`), 1)
	d.ID = id
	return d
}

// post makes a client's request.
func post(ctx context.Context, url string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	return r, nil
}
