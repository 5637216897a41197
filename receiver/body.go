package receiver

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// firstRead bounds what is allocated on the word of a Content-Length alone.
const firstRead = 64 << 10

// readBody reads the whole body, up to the limit and within the time. w may be
// nil: there is no deadline then, and no connection to close.
func (rc *Receiver) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *Rejection) {
	if r.ContentLength > rc.cfg.MaxBody {
		return nil, &Rejection{Status: http.StatusRequestEntityTooLarge, Err: ErrTooLarge}
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	defer rc.bodyDeadline(w, r)()
	body := http.MaxBytesReader(w, r.Body, rc.cfg.MaxBody)
	// One more than is announced, so that the end is seen without growing.
	data, err := readAll(body, min(max(r.ContentLength, 511), firstRead)+1)
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return data, nil
	case errors.As(err, &tooLarge):
		return nil, &Rejection{Status: http.StatusRequestEntityTooLarge, Err: ErrTooLarge}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &Rejection{Status: http.StatusRequestTimeout, Err: ErrSlowBody}
	default:
		return nil, &Rejection{Status: http.StatusBadRequest, Err: ErrBody}
	}
}

func readAll(r io.Reader, size int64) ([]byte, error) {
	data := make([]byte, 0, size)
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// bodyDeadline bounds how long the body may take to arrive. The function that
// it returns lifts the bound again: the server would cancel a handler that is
// still running when it passes. A connection that knows no deadlines, as in
// tests, is left alone; so is one whose server sets a stricter one.
func (rc *Receiver) bodyDeadline(w http.ResponseWriter, r *http.Request) (lift func()) {
	if w == nil {
		return func() {}
	}
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	if server != nil && server.ReadTimeout > 0 && server.ReadTimeout < rc.cfg.ReadTimeout {
		return func() {}
	}
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Now().Add(rc.cfg.ReadTimeout)) != nil {
		return func() {}
	}
	return func() { _ = control.SetReadDeadline(time.Time{}) }
}

// unpack returns what is inside a gzip body, up to the limit. It is called for
// authentic bodies only.
func (rc *Receiver) unpack(body []byte) ([]byte, *Rejection) {
	zr, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, malformed(err)
	}
	data, err := io.ReadAll(io.LimitReader(zr, rc.cfg.MaxDecoded+1))
	switch {
	case err != nil:
		return nil, malformed(err)
	case int64(len(data)) > rc.cfg.MaxDecoded:
		return nil, &Rejection{Status: http.StatusRequestEntityTooLarge, Err: ErrTooLarge}
	}
	return data, nil
}

func malformed(err error) *Rejection {
	return &Rejection{Status: http.StatusBadRequest, Err: fmt.Errorf("%w: %w", ErrMalformed, err)}
}
