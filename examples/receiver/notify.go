package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// A service stands for what a real consumer updates, such as a search index or a queue.
type service struct {
	url    string
	client *http.Client
}

func newService(url string) *service {
	return &service{url: url, client: &http.Client{
		Timeout: 10 * time.Second,
		// A redirect would make a GET of the POST, which the service answers with 200 and ignores.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// notify tells the service about the event. If that fails, the sender gets 503 and sends the
// event again.
func (s *service) notify(ctx context.Context, e *event.Event) error {
	body, err := json.Marshal(map[string]string{"event_id": e.ID, "event_type": e.Type})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("the service answered %d", response.StatusCode)
	}
	return nil
}
