package api

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

const (
	// heartbeat is how long a stream is silent at most, so that proxies keep it open, and a client
	// that is gone is noticed.
	heartbeat = 15 * time.Second
	// streamTime is how long a stream lasts. Its client then connects again, and is authenticated
	// again.
	streamTime = 15 * time.Minute
	// streamRetry is after how many milliseconds a client connects again.
	streamRetry = "2000"
	// streamWrite is after how many bytes a stream is written, so that a page whose client does not
	// read is not in memory twice. With a largest envelope it is twice that and a little.
	streamWrite = 64 << 10
)

// tailStream is a request that reads a tail: one page, or a stream of server-sent events.
type tailStream struct {
	api     *API
	request *request
	reader  *dispatch.TailReader
	query   webhook.TailQuery
	place   *place // of those that wait
	page    webhook.TailPage
}

// wait waits for a page with records. It ends early, without an error, if the server shuts down or
// another organization needs the place.
func (s *tailStream) wait(wait time.Duration) error {
	ctx, cancel := s.context()
	defer cancel()
	s.place.wait(cancel)
	page, err := s.reader.Next(ctx, wait)
	s.place.resume()
	if err != nil && ctx.Err() != nil && s.request.Context().Err() == nil {
		page, err = webhook.TailPage{Next: s.reader.Position()}, nil
	}
	s.page = page
	return err
}

// context returns a context that ends with the request, and when the server shuts down.
func (s *tailStream) context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(s.request.Context())
	stop := context.AfterFunc(s.api.shutdown.of(s.request.Request), cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// run writes the stream, in the format of the HTML standard, section "Server-sent events".
func (s *tailStream) run(w http.ResponseWriter) {
	defer s.reader.Close()
	ctx, cancel := s.context()
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, streamTime)
	defer stop()
	connection := http.NewResponseController(w)
	s.place.wait(func() {
		cancel()
		hangUpWriting(w)()
	})
	defer s.place.resume()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no") // nginx would collect it
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept")
	w.WriteHeader(http.StatusOK)
	var b bytes.Buffer
	write := func() bool {
		_ = connection.SetWriteDeadline(time.Now().Add(answerTime)) // fails for the recorder of a test
		if ctx.Err() != nil {
			return false
		}
		_, err := w.Write(b.Bytes())
		if err == nil {
			err = connection.Flush()
		}
		if b.Reset(); b.Cap() > 2*streamWrite {
			b = bytes.Buffer{} // a large event does not leave it large
		}
		return err == nil
	}
	b.WriteString("retry: " + streamRetry + "\n\n")
	for {
		for i := range s.page.Records {
			if err := s.appendRecord(&b, &s.page.Records[i]); err != nil {
				s.ended(ctx, err)
				return
			}
			s.page.Records[i] = webhook.TailRecord{} // it may be large, and its client slow
			if b.Len() >= streamWrite && !write() {
				return
			}
		}
		if len(s.page.Records) == 0 {
			// A heartbeat: an id that no event follows is the Last-Event-ID of the client's next request.
			b.WriteString(":\nid: " + s.page.Next.String() + "\n\n")
		}
		if b.Len() > 0 && !write() {
			return
		}
		var err error
		if s.page, err = s.reader.Next(ctx, heartbeat); err != nil {
			s.ended(ctx, err)
			return
		}
	}
}

// ended logs why a stream ends, unless that is usual. The client connects again, and then gets the
// status of the error.
func (s *tailStream) ended(ctx context.Context, err error) {
	if ctx.Err() == nil {
		s.api.cfg.Logger.ErrorContext(ctx, "api: a stream failed", "path", s.request.URL.Path, "error",
			err)
	}
}

func (s *tailStream) appendRecord(b *bytes.Buffer, record *webhook.TailRecord) error {
	var data []byte
	var err error
	switch {
	case s.query.Results:
		data, err = encodeExactly(newTailResult(record))
	case s.query.Deliveries:
		data, err = encodeExactly(newTailDelivery(record))
	default:
		data, err = encodeExactly(newTailEvent(record))
	}
	if err != nil {
		return err
	}
	b.WriteString("id: " + record.Position.String() + "\ndata: ")
	b.Write(data)
	b.WriteString("\n\n")
	return nil
}

// shutdown tells requests that wait that their server is shutting down. A server does not end them
// itself, and waits for them.
type shutdown struct {
	mu      sync.Mutex
	servers map[*http.Server]context.Context
}

// of returns a context that ends when the server of the request shuts down.
func (s *shutdown) of(r *http.Request) context.Context {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return context.WithoutCancel(r.Context())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx := s.servers[server]; ctx != nil {
		return ctx
	}
	ctx, cancel := context.WithCancel(context.Background())
	server.RegisterOnShutdown(cancel)
	if s.servers == nil {
		s.servers = make(map[*http.Server]context.Context)
	}
	s.servers[server] = ctx
	return ctx
}
