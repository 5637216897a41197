package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/mixpeek/webhooks-go/event"
)

// postForged posts an event as a sender without the secret would, and
// returns the status of the answer.
func postForged(ctx context.Context, url string, e *event.Event) (int, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Mixpeek-Secret", "a wrong guess")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
