package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// sink is the endpoint that everything is delivered to.
type sink struct {
	url      string
	server   *http.Server
	arrivals atomic.Int64
	// onBody sees each body while latencies are measured.
	onBody atomic.Pointer[func([]byte)]
}

func startSink(ctx context.Context) (*sink, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{url: "http://" + listener.Addr().String() + "/"}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

func (s *sink) close() { _ = s.server.Close() }

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (s *sink) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body := buffers.Get().(*bytes.Buffer)
	body.Reset()
	_, err := io.Copy(body, r.Body)
	if err == nil {
		if f := s.onBody.Load(); f != nil {
			(*f)(body.Bytes())
		}
		s.arrivals.Add(1)
	}
	buffers.Put(body)
}

// emittedMark is the metadata field that carries the time of the emit.
const emittedMark = `"emitted_ns":`

// emittedAt finds the time of the emit in a payload.
func emittedAt(payload []byte) (time.Time, bool) {
	_, rest, ok := bytes.Cut(payload, []byte(emittedMark))
	if !ok {
		return time.Time{}, false
	}
	// What has been a jsonb has a space here.
	digits, _, ok := bytes.Cut(bytes.TrimLeft(rest, ` "`), []byte(`"`))
	if !ok {
		return time.Time{}, false
	}
	ns, err := strconv.ParseInt(string(digits), 10, 64)
	return time.Unix(0, ns), err == nil
}
