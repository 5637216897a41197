package receivertest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixpeek/webhooks-go/event/signature"
)

// keyFault deduplicates by another key.
func keyFault(
	fault, breaks string, key func(r *http.Request, id string, body []byte) string,
) plant {
	return plant{fault, breaks, func(h *hand) {
		h.key = func(r *http.Request, e handEvent, body []byte) string {
			return key(r, *e.ID, body)
		}
	}}
}

// oneAtATime serves one request at a time.
func oneAtATime(next http.Handler) http.Handler {
	var one sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one.Lock()
		defer one.Unlock()
		next.ServeHTTP(w, r)
	})
}

// failsWith answers a failing handler with a status.
func failsWith(status int) plant {
	return plant{fmt.Sprint("answers ", status, " where its handler fails"), "failing handler",
		func(h *hand) {
			h.failed = func(w http.ResponseWriter) { w.WriteHeader(status) }
		}}
}

func eventFaults() []plant {
	return []plant{
		{"handles nothing", "valid event",
			func(h *hand) { h.handle = func(handEvent) error { return nil } }},
		{"handles everything twice", "valid event", func(h *hand) {
			h.handle = func(e handEvent) error { _ = h.rightHandle(e); return h.rightHandle(e) }
		}},
		{"redirects to HTTPS", "valid event", func(h *hand) {
			h.wrap = func(http.Handler) http.Handler {
				return http.RedirectHandler("https://example.com/", http.StatusPermanentRedirect)
			}
		}},
		{"answers 404 to a type that it does not know", "unknown type", func(h *hand) {
			h.decode = func(body []byte) (handEvent, bool) {
				e, ok := rightDecode(body)
				return e, ok && !strings.HasPrefix(*e.Type, "receivertest.")
			}
		}},
		{"answers 503 to a type that it does not know", "unknown type", func(h *hand) {
			h.known = func(string) bool { return true }
			h.handle = func(e handEvent) error {
				if strings.HasPrefix(*e.Type, "receivertest.") {
					return errFailing
				}
				return h.rightHandle(e)
			}
		}},
		{"refuses fields that it does not know", "documented events", func(h *hand) {
			h.decode = func(body []byte) (e handEvent, ok bool) {
				var all map[string]any
				_ = json.Unmarshal(body, &all)
				for name := range all {
					switch name {
					case "event_id", "event_type", "occurred_at", "namespace", "collection",
						"subject", "actor", "version", "metadata", "cache_scope_to_invalidate",
						"cache_scope", "links":
					default:
						return e, false
					}
				}
				return rightDecode(body)
			}
		}},
		{"refuses events that happened long ago", "documented events", func(h *hand) {
			h.decode = func(body []byte) (handEvent, bool) {
				var at struct {
					At *time.Time `json:"occurred_at"`
				}
				_ = json.Unmarshal(body, &at)
				e, ok := rightDecode(body)
				return e, ok && (at.At == nil || time.Since(*at.At) < time.Hour)
			}
		}},
		{"cannot read white space", "any JSON", func(h *hand) {
			h.decode = func(body []byte) (handEvent, bool) {
				e, ok := rightDecode(body)
				return e, ok && !strings.HasPrefix(string(body), "\r")
			}
		}},
		{"looks for fields in the text", "any JSON", func(h *hand) {
			h.decode = func(body []byte) (handEvent, bool) {
				e, ok := rightDecode(body)
				return e, ok && strings.Contains(string(body), `"event_type"`)
			}
		}},
		{"reads every number as a float", "any JSON", func(h *hand) {
			h.decode = func(body []byte) (e handEvent, ok bool) {
				var all map[string]any
				if json.Unmarshal(body, &all) != nil {
					return e, false
				}
				return rightDecode(body)
			}
		}},

		{"has no memory", "duplicate",
			func(h *hand) { h.claim = func(string) handState { return absent } }},
		{"remembers the last event only", "duplicate", func(h *hand) {
			h.claim = func(key string) handState {
				h.mu.Lock()
				defer h.mu.Unlock()
				state := h.state[key]
				if state == absent {
					clear(h.state)
					h.state[key] = inFlight
				}
				return state
			}
		}},
		{"remembers five events", "duplicate", func(h *hand) {
			h.settle = func(key string, err error) {
				h.rightSettle(key, err)
				h.mu.Lock()
				defer h.mu.Unlock()
				if len(h.state) > 5 {
					clear(h.state)
				}
			}
		}},
		{"remembers for a moment", "long memory", func(h *hand) {
			h.settle = func(key string, err error) {
				h.rightSettle(key, err)
				time.AfterFunc(100*time.Millisecond, func() {
					h.mu.Lock()
					defer h.mu.Unlock()
					delete(h.state, key)
				})
			}
		}},
		{"answers 409 to what it has handled", "duplicate",
			func(h *hand) { h.done = http.StatusConflict }},
		{"answers 422 to what it has handled", "duplicate",
			func(h *hand) { h.done = http.StatusUnprocessableEntity }},
		{"answers 500 to what it has handled", "duplicate",
			func(h *hand) { h.done = http.StatusInternalServerError }},
		keyFault("tells events apart by their signature", "duplicate",
			func(r *http.Request, _ string, _ []byte) string {
				return r.Header.Get(signature.HeaderSignature)
			}),
		keyFault("tells events apart by their timestamp", "many at once",
			func(r *http.Request, _ string, _ []byte) string {
				return r.Header.Get(signature.HeaderTimestamp)
			}),
		keyFault("takes all events for one", "duplicate",
			func(*http.Request, string, []byte) string { return "event" }),
		keyFault("tells events apart by the beginning of their ids", "odd ids",
			func(_ *http.Request, id string, _ []byte) string {
				return id[:min(len(id), 64)]
			}),
		keyFault("tells events apart in any case", "odd ids",
			func(_ *http.Request, id string, _ []byte) string { return strings.ToLower(id) }),
		keyFault("cuts ids at a slash", "odd ids",
			func(_ *http.Request, id string, _ []byte) string { return strings.Split(id, "/")[0] }),
		keyFault("cuts ids at a colon", "odd ids",
			func(_ *http.Request, id string, _ []byte) string { return strings.Split(id, ":")[0] }),
		keyFault("takes ids for a part of a URL", "odd ids",
			func(_ *http.Request, id string, _ []byte) string {
				return strings.NewReplacer("%25", "%", "?", "", "#", "").Replace(id)
			}),
		{"refuses ids with a quote", "odd ids", func(h *hand) {
			h.decode = func(body []byte) (handEvent, bool) {
				e, ok := rightDecode(body)
				return e, ok && !strings.ContainsAny(*e.ID, `'"`)
			}
		}},
		{"has one variable for the event of all requests", "many at once", func(h *hand) {
			var current atomic.Pointer[handEvent]
			h.handle = func(e handEvent) error {
				current.Store(&e)
				time.Sleep(20 * time.Millisecond)
				return h.rightHandle(*current.Load())
			}
		}},
		{"drops events where there are many", "many at once", func(h *hand) {
			var now atomic.Int64
			h.handle = func(e handEvent) error {
				defer now.Add(-1)
				if now.Add(1) > 2 {
					return nil
				}
				time.Sleep(20 * time.Millisecond)
				return h.rightHandle(e)
			}
		}},
		{"looks first and claims afterwards", "concurrent duplicate", func(h *hand) {
			h.claim = func(key string) handState {
				h.mu.Lock()
				state := h.state[key]
				h.mu.Unlock()
				time.Sleep(20 * time.Millisecond)
				h.mu.Lock()
				defer h.mu.Unlock()
				if state == absent {
					h.state[key] = inFlight
				}
				return state
			}
		}},
		{"answers 400 to a copy that comes at the same time", "concurrent duplicate",
			func(h *hand) {
				h.busy = http.StatusBadRequest
				h.handle = slowly(h)
			}},
		{"answers 500 to a copy that comes at the same time", "concurrent duplicate",
			func(h *hand) {
				h.busy = http.StatusInternalServerError
				h.handle = slowly(h)
			}},
		{"acknowledges what is being handled", "duplicate in flight",
			func(h *hand) { h.busy = http.StatusOK }},
		{"acknowledges first and handles afterwards", "duplicate in flight", func(h *hand) {
			h.handle = func(e handEvent) error {
				go func() { _ = h.rightHandle(e) }()
				return nil
			}
		}},
		failsWith(200), failsWith(202), failsWith(400), failsWith(410), failsWith(422),
		{"remembers what its handler failed on", "failing handler", func(h *hand) {
			h.settle = func(key string, _ error) { h.rightSettle(key, nil) }
		}},
		{"never releases an event whose handler failed", "failing handler", func(h *hand) {
			h.settle = func(key string, err error) {
				if err == nil {
					h.rightSettle(key, nil)
				}
			}
		}},
		{"breaks the connection where its handler fails", "failing handler", func(h *hand) {
			h.failed = func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
		}},
		{"fails always after its handler has failed", "failing handler", func(h *hand) {
			var broken atomic.Bool
			h.handle = func(e handEvent) error {
				err := h.rightHandle(e)
				if err != nil {
					broken.Store(true)
				}
				if broken.Load() {
					return errFailing
				}
				return nil
			}
		}},
		{"stops at the first body that is no JSON", "still alive", func(h *hand) {
			var stopped atomic.Bool
			h.wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if stopped.Load() {
						panic(http.ErrAbortHandler)
					}
					next.ServeHTTP(w, r)
				})
			}
			h.decode = func(body []byte) (handEvent, bool) {
				e, ok := rightDecode(body)
				if string(body) == "hello" {
					stopped.Store(true)
				}
				return e, ok
			}
		}},
	}
}

// slowly handles events in twenty milliseconds.
func slowly(h *hand) func(handEvent) error {
	return func(e handEvent) error {
		time.Sleep(20 * time.Millisecond)
		return h.rightHandle(e)
	}
}
