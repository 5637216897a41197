package receiver

import (
	"net/http"
)

// heldResponse keeps what a handler answers until the outcome is recorded: an
// acknowledgement that has left cannot be taken back when the store says that
// the claim was lost. It offers no Flush, Hijack or Unwrap for the same reason.
type heldResponse struct {
	w      http.ResponseWriter
	status int // 0 until the handler has answered
	body   []byte
}

func (h *heldResponse) Header() http.Header { return h.w.Header() }

func (h *heldResponse) WriteHeader(status int) {
	if h.status == 0 && status >= 200 { // 1xx is not an answer
		h.status = status
	}
}

func (h *heldResponse) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	h.body = append(h.body, p...)
	return len(p), nil
}

// code is the status that the handler answered with. Not answering is 200, as
// everywhere in net/http.
func (h *heldResponse) code() int {
	if h.status == 0 {
		return http.StatusOK
	}
	return h.status
}

// send lets the answer go.
func (h *heldResponse) send() {
	h.w.WriteHeader(h.code())
	if len(h.body) > 0 {
		_, _ = h.w.Write(h.body) // the client may be gone; the outcome is recorded
	}
}
