package receiver

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"
)

// firstRead bounds how much is allocated because of a Content-Length.
const firstRead = 64 << 10

// readBody reads the whole body, up to the limit and until the timeout. If w is nil, there
// is no timeout.
func (rc *Receiver) readBody(
	w http.ResponseWriter, r *http.Request, now time.Time,
) ([]byte, *Rejection) {
	if r.ContentLength > rc.cfg.MaxBody {
		return nil, tooLarge()
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if w != nil {
		rc.setDeadline(w, r, now)
	}
	data, err := readAll(r.Body, r.ContentLength, rc.cfg.MaxBody)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &Rejection{Status: http.StatusRequestTimeout, Err: ErrSlowBody, read: true}
	case err != nil:
		return nil, &Rejection{Status: http.StatusBadRequest, Err: ErrBody, read: true}
	case int64(len(data)) > rc.cfg.MaxBody:
		rejection := tooLarge()
		rejection.read = true
		return nil, rejection
	}
	return data, nil
}

// setDeadline bounds how long the body may take to arrive, unless the server has a shorter
// timeout. The server removes the deadline when the body has ended.
func (rc *Receiver) setDeadline(w http.ResponseWriter, r *http.Request, now time.Time) {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	if server != nil && server.ReadTimeout > 0 && server.ReadTimeout < rc.cfg.ReadTimeout {
		return
	}
	rc.setReadDeadline(w, r, now.Add(rc.cfg.ReadTimeout))
}

// setReadDeadline sets a read deadline if the ResponseWriter has one. A recorder in a test
// has none. In a server a ResponseWriter without one leaves the Receiver without protection
// against slow bodies, so that is logged.
func (rc *Receiver) setReadDeadline(w http.ResponseWriter, r *http.Request, at time.Time) {
	err := http.NewResponseController(w).SetReadDeadline(at)
	if err == nil || !errors.Is(err, http.ErrNotSupported) ||
		r.Context().Value(http.ServerContextKey) == nil {
		return
	}
	rc.noDeadline.Do(func() {
		rc.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn,
			"receiver: no timeout for slow bodies",
			slog.String("writer", fmt.Sprintf("%T", w)), slog.Any("error", err),
			slog.String("remedy", "set the server's ReadTimeout, or add Unwrap to the writer"))
	})
}

// readAll reads to the end, or until it has read more than the limit. announced is the
// expected size, -1 if it is unknown.
func readAll(r io.Reader, announced, limit int64) ([]byte, error) {
	const unknown = 511
	size := announced
	if size < 0 {
		size = unknown
	}
	// One byte more than announced, so that the end is read without growing.
	data := make([]byte, 0, min(size, firstRead)+1)
	for int64(len(data)) <= limit {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return data, nil
}

func tooLarge() *Rejection {
	return &Rejection{Status: http.StatusRequestEntityTooLarge, Err: ErrTooLarge}
}

// unpack decompresses a gzip body, up to the limit. It is called for authentic bodies only.
func (rc *Receiver) unpack(body []byte) ([]byte, *Rejection) {
	zr, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, malformed(err)
	}
	data, err := readAll(zr, -1, rc.cfg.MaxDecoded)
	switch {
	case err != nil:
		return nil, malformed(err)
	case int64(len(data)) > rc.cfg.MaxDecoded:
		return nil, tooLarge()
	}
	return data, nil
}

func malformed(err error) *Rejection {
	return &Rejection{Status: http.StatusBadRequest, Err: fmt.Errorf("%w: %w", ErrMalformed, err)}
}
