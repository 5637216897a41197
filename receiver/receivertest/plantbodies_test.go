package receivertest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// readFault has another way to read the body.
func readFault(
	fault, breaks string, read func(h *hand, w http.ResponseWriter, r *http.Request) ([]byte, int),
) plant {
	return plant{fault, breaks, func(h *hand) {
		h.read = func(w http.ResponseWriter, r *http.Request) ([]byte, int) { return read(h, w, r) }
	}}
}

// methodFault accepts another method.
func methodFault(method string) plant {
	return plant{"takes " + method, "wrong method", func(h *hand) {
		h.form = func(r *http.Request) int {
			if r.Method == method {
				r.Method = http.MethodPost
			}
			return h.rightForm(r)
		}
	}}
}

// mediaFault accepts other content types.
func mediaFault(fault string, ok func(line string) bool) plant {
	return plant{fault, "content type", func(h *hand) { h.media = ok }}
}

// bodyFault accepts a body that is not an event.
func bodyFault(fault, breaks string, is func(body []byte) bool) plant {
	return plant{fault, breaks, func(h *hand) {
		h.decode = func(body []byte) (handEvent, bool) {
			if e, ok := rightDecode(body); ok || !is(body) {
				return e, ok
			}
			id, kind := fmt.Sprintf("none-%d", time.Now().UnixNano()), "none"
			return handEvent{ID: &id, Type: &kind}, true
		}
		right := h.idMatches
		h.idMatches = func(r *http.Request, id string) bool {
			return strings.HasPrefix(id, "none-") || right(r, id)
		}
	}}
}

func equals(text string) func([]byte) bool {
	return func(body []byte) bool { return strings.TrimSpace(string(body)) == text }
}

// refusedAs changes the answer of refusals with a given reason.
func refusedAs(fault, breaks, reason string, status int) plant {
	return refusalFault(fault, breaks,
		func(_ *hand, w http.ResponseWriter, _ *http.Request, is int, why string) {
			if why == reason {
				is = status
			}
			http.Error(w, http.StatusText(is), is)
		})
}

func bodyFaults() []plant {
	return []plant{
		{"has a lower limit", "body at the limit", func(h *hand) { h.maxBody-- }},
		readFault("reads once", "body at the limit",
			func(h *hand, w http.ResponseWriter, r *http.Request) ([]byte, int) {
				body, status := h.rightRead(w, r)
				if len(body) > 4096 {
					status = http.StatusBadRequest
				}
				return body, status
			}),
		{"has a higher limit", "oversize", func(h *hand) { h.maxBody++ }},
		readFault("has no limit", "oversize",
			func(_ *hand, _ http.ResponseWriter, r *http.Request) ([]byte, int) {
				body, _ := io.ReadAll(r.Body)
				return body, 0
			}),
		readFault("has a limit for what is announced only", "oversize",
			func(h *hand, w http.ResponseWriter, r *http.Request) ([]byte, int) {
				if r.ContentLength >= 0 {
					return h.rightRead(w, r)
				}
				body, _ := io.ReadAll(r.Body)
				return body, 0
			}),
		readFault("cuts a body at the limit", "oversize",
			func(h *hand, _ http.ResponseWriter, r *http.Request) ([]byte, int) {
				body, _ := io.ReadAll(io.LimitReader(r.Body, h.maxBody))
				return body, 0
			}),
		refusedAs("answers 400 to a body over the limit", "oversize", "body",
			http.StatusBadRequest),
		refusedAs("answers 500 to a body over the limit", "oversize", "body",
			http.StatusInternalServerError),
		refusalFault("breaks the connection at a body over the limit", "oversize",
			func(_ *hand, w http.ResponseWriter, _ *http.Request, status int, _ string) {
				if status == http.StatusRequestEntityTooLarge {
					panic(http.ErrAbortHandler)
				}
				http.Error(w, http.StatusText(status), status)
			}),
		{"unpacks what it should not", "compressed body", func(h *hand) {
			h.form = func(r *http.Request) int {
				r.Header.Del("Content-Encoding")
				return h.rightForm(r)
			}
			h.decode = func(body []byte) (handEvent, bool) {
				if zr, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
					body, _ = io.ReadAll(zr)
				}
				return rightDecode(body)
			}
		}},
		{"answers 500 to a compressed body", "compressed body", func(h *hand) {
			h.form = func(r *http.Request) int {
				if r.Header.Get("Content-Encoding") != "" {
					return http.StatusInternalServerError
				}
				return h.rightForm(r)
			}
		}},
		{"unpacks nothing, and says that it does", "compressed body",
			func(h *hand) { h.options.MaxDecoded = 10_000 }},

		mediaFault("takes any content type", func(string) bool { return true }),
		mediaFault("takes a body without a content type",
			func(line string) bool { return line == "" || rightMedia(line) }),
		mediaFault("takes plain text",
			func(line string) bool { return line == "text/plain" || rightMedia(line) }),
		mediaFault("takes a form",
			func(line string) bool {
				return line == "application/x-www-form-urlencoded" ||
					rightMedia(line)
			}),
		mediaFault("takes what mentions JSON", func(line string) bool {
			return strings.Contains(strings.ToLower(line), "application/json") &&
				!strings.Contains(line, "jsonx")
		}),
		mediaFault("takes what begins as JSON does",
			func(line string) bool {
				return strings.HasPrefix(strings.ToLower(line),
					"application/json")
			}),
		mediaFault("takes JSON without a charset only",
			func(line string) bool { return strings.EqualFold(line, "application/json") }),
		mediaFault("takes JSON in small letters only",
			func(line string) bool {
				return rightMedia(line) &&
					strings.HasPrefix(line, "application/json")
			}),
		mediaFault("takes JSON with a blank only",
			func(line string) bool { return rightMedia(line) && !strings.Contains(line, ";c") }),

		bodyFault("takes an empty body", "malformed",
			func(body []byte) bool { return len(body) == 0 }),
		bodyFault("takes white space", "malformed",
			func(body []byte) bool { return len(body) > 0 && len(bytes.TrimSpace(body)) == 0 }),
		bodyFault("takes null", "malformed", equals("null")),
		bodyFault("takes true", "malformed", equals("true")),
		bodyFault("takes a number", "malformed", equals("1")),
		bodyFault("takes a text", "malformed", equals(`"evt_1"`)),
		bodyFault("takes an array", "malformed", equals("[1,2,3]")),
		bodyFault("takes an array of events", "malformed",
			func(body []byte) bool { return bytes.HasPrefix(body, []byte("[{")) }),
		bodyFault("takes what is no JSON", "malformed", equals("hello")),
		bodyFault("takes JSON that was cut short", "malformed",
			func(body []byte) bool { return bytes.HasSuffix(body, []byte(":")) }),
		bodyFault("takes JSON and what comes after it", "malformed", func(body []byte) bool {
			var v map[string]any
			return json.NewDecoder(bytes.NewReader(body)).Decode(&v) == nil &&
				v["event_type"] == "a.b"
		}),
		bodyFault("takes a type that is a number", "malformed",
			func(body []byte) bool { return bytes.Contains(body, []byte(`"event_type":7`)) }),
		{"breaks the connection at a body that is no event", "malformed", func(h *hand) {
			h.decode = func(body []byte) (handEvent, bool) {
				e, ok := rightDecode(body)
				if !ok {
					panic(http.ErrAbortHandler)
				}
				return e, ok
			}
		}},
		refusedAs("answers 500 to a body that is no event", "malformed", "event",
			http.StatusInternalServerError),
		refusedAs("answers 200 to a body that is no event", "malformed", "event", http.StatusOK),
		bodyFault("takes an event without a type", "no type",
			func(body []byte) bool {
				return !bytes.Contains(body, []byte("event_type")) &&
					len(body) > 10
			}),
		bodyFault("takes an event with an empty type", "no type",
			func(body []byte) bool { return bytes.Contains(body, []byte(`"event_type":""`)) }),
		bodyFault("takes an event with the type null", "no type",
			func(body []byte) bool { return bytes.Contains(body, []byte(`"event_type":null`)) }),

		methodFault(http.MethodGet), methodFault(http.MethodHead), methodFault(http.MethodPut),
		methodFault(http.MethodPatch), methodFault(http.MethodDelete),
		{"answers 200 to GET, to say that it is well", "wrong method", func(h *hand) {
			h.wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method != http.MethodGet {
						next.ServeHTTP(w, r)
					}
				})
			}
		}},
		refusedAs("answers 500 to another method", "wrong method", "form",
			http.StatusInternalServerError),
		{"never times out", "slow body", func(h *hand) { h.timeout = 0 }},
		{"handles half a body", "slow body", func(h *hand) {
			h.read = func(w http.ResponseWriter, r *http.Request) ([]byte, int) {
				body, status := h.rightRead(w, r)
				if status == http.StatusRequestTimeout {
					status = http.StatusOK
				}
				return body, status
			}
		}},
	}
}
