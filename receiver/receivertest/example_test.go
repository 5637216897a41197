package receivertest_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/receivertest"
)

// The rules that a hand-written receiver breaks.
func ExampleVerify() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Mixpeek-Secret") != "correct-horse-battery-staple" {
			http.Error(w, "forbidden", http.StatusForbidden)
		}
	}))
	defer server.Close()
	report, err := receivertest.Verify(context.Background(), server.URL, receivertest.Options{
		Credentials: receivertest.Credentials{Secret: "correct-horse-battery-staple"},
		// net/http sends a short answer after the body has come: this rule is left out.
		Except: []string{"wrong secret reads no body"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, rule := range report.Broken() {
		fmt.Println(rule)
	}
	// Output:
	// wrong secret
	// oversize
	// compressed body
	// content type
	// malformed
	// no type
	// wrong method
}

// Every published example of an event is sent to a receiver.
func ExampleDocumented() {
	rcv, err := receiver.New(receiver.Config{
		Secrets:   []receiver.Secret{{Value: "correct-horse-battery-staple"}},
		AllowHTTP: true,
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, document := range receivertest.Documented() {
		r := httptest.NewRequest(http.MethodPost, "/webhooks", bytes.NewReader(document.Body))
		r.Header.Set("Content-Type", "application/json")
		sender := receivertest.Credentials{Secret: "correct-horse-battery-staple"}
		if err := sender.Apply(r.Header, document.ID, time.Now(), document.Body); err != nil {
			fmt.Println(err)
			return
		}
		d, err := rcv.Check(r)
		if err != nil {
			fmt.Println(document.Name, err)
			continue
		}
		fmt.Println(d.Event.Type)
	}
	// Output:
	// collection.documents.written
	// collection.updated
	// object.created
	// taxonomy.created
	// object.updated
}
