package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// poster is the part of a worker on a job queue that a team writes itself: a
// POST with a timeout, and an error for what the queue is to try again. It does
// less than the Dispatcher, which also looks up where an event goes, refuses an
// event_id it has seen, keeps each attempt with its answer, and shares out what
// is in flight between endpoints.
type poster struct {
	url    string
	client *http.Client
}

// newPoster keeps as many connections as may be in use, and no more than that.
func newPoster(s *sink, inFlight int) poster {
	return poster{url: s.url, client: &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: s.trust(),
			MaxIdleConns:    inFlight, MaxIdleConnsPerHost: inFlight, MaxConnsPerHost: inFlight,
		},
	}}
}

func (p poster) post(ctx context.Context, payload []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(secretHeader, secret)
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body) // or the connection is not used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the endpoint answered %s", resp.Status)
	}
	return nil
}

func (p poster) close() { p.client.CloseIdleConnections() }
