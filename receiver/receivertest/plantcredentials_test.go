package receivertest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/receiver"
)

// given returns the header with the secret.
func given(r *http.Request) string { return r.Header.Get(receiver.DefaultSecretHeader) }

// secretFault has another way to check the secret.
func secretFault(fault, breaks string, ok func(h *hand, r *http.Request) bool) plant {
	return plant{fault, breaks, func(h *hand) {
		h.secret = func(r *http.Request) bool { return ok(h, r) }
	}}
}

// macFault has another way to compare signatures.
func macFault(fault string, equal func(got, want string) bool) plant {
	return plant{fault, "wrong signature", func(h *hand) { h.macEqual = equal }}
}

// signedFault has another way to check the signature.
func signedFault(fault, breaks string, ok func(h *hand, r *http.Request, body []byte) bool) plant {
	return plant{fault, breaks, func(h *hand) {
		h.signed = func(r *http.Request, body []byte) bool { return ok(h, r, body) }
	}}
}

// tokensFault has another way to split the header.
func tokensFault(fault, breaks string, change func(r *http.Request) []string) plant {
	return signedFault(fault, breaks,
		func(h *hand, r *http.Request, body []byte) bool { return h.anyOf(r, body, change(r)) })
}

// envelopeFault has another way to check id and timestamp.
func envelopeFault(
	fault, breaks string, ok func(id string, at int64, timestamp string, now time.Time) bool,
) plant {
	return plant{fault, breaks, func(h *hand) {
		h.envelope = func(id, timestamp string, now time.Time) bool {
			at, _ := strconv.ParseInt(timestamp, 10, 64)
			return ok(id, at, timestamp, now)
		}
	}}
}

// refusalFault has a refusal that tells too much.
func refusalFault(fault, breaks string,
	refuse func(h *hand, w http.ResponseWriter, r *http.Request, status int, reason string)) plant {
	return plant{fault, breaks, func(h *hand) {
		h.refuse = func(w http.ResponseWriter, r *http.Request, status int, reason string) {
			refuse(h, w, r, status, reason)
		}
	}}
}

// unauthorizedAs changes the answer 401.
func unauthorizedAs(status int) plant {
	return refusalFault(fmt.Sprint("answers ", status, " to a wrong secret"), "wrong secret",
		func(_ *hand, w http.ResponseWriter, _ *http.Request, is int, reason string) {
			if reason == "secret" {
				is = status
			}
			http.Error(w, http.StatusText(is), is)
		})
}

func within(at int64, now time.Time, past, future time.Duration) bool {
	age := now.Sub(time.Unix(at, 0))
	return age <= past && -age <= future
}

func credentialFaults() []plant {
	const ever = 1 << 62
	return []plant{
		secretFault("asks for no secret", "wrong secret",
			func(*hand, *http.Request) bool { return true }),
		secretFault("asks for a secret only where there is one", "wrong secret",
			func(h *hand, r *http.Request) bool { return given(r) == "" || h.rightSecret(r) }),
		secretFault("takes an empty secret", "wrong secret", func(h *hand, r *http.Request) bool {
			return len(r.Header[receiver.DefaultSecretHeader]) == 1 && given(r) == "" ||
				h.rightSecret(r)
		}),
		secretFault("takes the beginning of the secret", "wrong secret",
			func(h *hand, r *http.Request) bool {
				return given(r) != "" && strings.HasPrefix(secret, given(r)) || h.rightSecret(r)
			}),
		secretFault("takes the end of the secret", "wrong secret",
			func(h *hand, r *http.Request) bool {
				return given(r) != "" && strings.HasSuffix(secret, given(r)) || h.rightSecret(r)
			}),
		secretFault("takes what begins with the secret", "wrong secret",
			func(h *hand, r *http.Request) bool {
				return strings.HasPrefix(given(r), secret) || h.rightSecret(r)
			}),
		secretFault("takes what ends with the secret", "wrong secret",
			func(h *hand, r *http.Request) bool {
				return strings.HasSuffix(given(r), secret) || h.rightSecret(r)
			}),
		secretFault("compares no more than the length of the secret", "wrong secret",
			func(_ *hand, r *http.Request) bool { return len(given(r)) == len(secret) }),
		secretFault("compares all but the last byte of the secret", "wrong secret",
			func(h *hand, r *http.Request) bool {
				return len(given(r)) == len(secret) &&
					strings.HasPrefix(given(r), secret[:len(secret)-1]) || h.rightSecret(r)
			}),
		secretFault("compares all but the first byte of the secret", "wrong secret",
			func(h *hand, r *http.Request) bool {
				return len(given(r)) == len(secret) && strings.HasSuffix(given(r), secret[1:]) ||
					h.rightSecret(r)
			}),
		secretFault("compares the secret in any case", "wrong secret",
			func(h *hand, r *http.Request) bool {
				return strings.EqualFold(given(r), secret) &&
					len(r.Header[receiver.DefaultSecretHeader]) == 1 || h.rightSecret(r)
			}),
		secretFault("takes the first of two secrets", "wrong secret",
			func(h *hand, r *http.Request) bool {
				return given(r) == secret || h.rightSecret(r)
			}),
		secretFault("takes the last of two secrets", "wrong secret",
			func(h *hand, r *http.Request) bool {
				lines := r.Header[receiver.DefaultSecretHeader]
				return len(lines) > 0 && lines[len(lines)-1] == secret || h.rightSecret(r)
			}),
		secretFault("splits the secret at commas", "wrong secret",
			func(h *hand, r *http.Request) bool {
				return strings.Split(given(r), ",")[0] == secret &&
					len(r.Header[receiver.DefaultSecretHeader]) == 1 || h.rightSecret(r)
			}),
		{"takes a signature instead of the secret", "wrong secret", func(h *hand) {
			h.secret = func(r *http.Request) bool { return h.rightSecret(r) || len(tokens(r)) > 0 }
		}},
		unauthorizedAs(200), unauthorizedAs(302), unauthorizedAs(404), unauthorizedAs(500),
		{"handles the event before it looks at credentials", "wrong secret", func(h *hand) {
			next := h.secret
			h.secret = func(r *http.Request) bool {
				if !next(r) {
					body, _ := io.ReadAll(r.Body)
					if e, ok := rightDecode(body); ok {
						_ = h.handle(e)
					}
					return false
				}
				return true
			}
		}},
		{"handles the event before it looks at the signature", "wrong signature", func(h *hand) {
			h.before = func(e handEvent) {
				if h.claim(*e.ID) == absent {
					h.settle(*e.ID, h.handle(e))
				}
			}
		}},
		{"reads the body before the secret", "wrong secret reads no body", func(h *hand) {
			next := h.secret
			h.secret = func(r *http.Request) bool {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(strings.NewReader(string(body)))
				return next(r)
			}
			h.timeout = 0
		}},
		secretFault("knows one secret only", "other credentials",
			func(_ *hand, r *http.Request) bool {
				return given(r) == secret && len(r.Header[receiver.DefaultSecretHeader]) == 1
			}),
		{"knows one key only", "other credentials", func(h *hand) { h.keys = h.keys[:1] }},
		{"still takes a secret that is retired", "retired credentials",
			func(h *hand) { h.secrets = append(h.secrets, h.retiredS) }},
		{"still takes a key that is retired", "retired credentials",
			func(h *hand) { h.keys = append(h.keys, h.retiredK) }},

		signedFault("asks for no signature", "wrong signature",
			func(*hand, *http.Request, []byte) bool { return true }),
		signedFault("asks for a signature only where there is one", "wrong signature",
			func(h *hand, r *http.Request, body []byte) bool {
				return len(r.Header[signature.HeaderSignature]) == 0 || h.rightSigned(r, body)
			}),
		signedFault("takes an empty header for a signature", "wrong signature",
			func(h *hand, r *http.Request, body []byte) bool {
				return r.Header.Get(signature.HeaderSignature) == "" &&
					len(r.Header[signature.HeaderSignature]) > 0 || h.rightSigned(r, body)
			}),
		signedFault("takes v1 and a comma for a signature", "wrong signature",
			func(h *hand, r *http.Request, body []byte) bool {
				return r.Header.Get(signature.HeaderSignature) == "v1," || h.rightSigned(r, body)
			}),
		signedFault("takes v1 for a signature", "wrong signature",
			func(h *hand, r *http.Request, body []byte) bool {
				return r.Header.Get(signature.HeaderSignature) == "v1" || h.rightSigned(r, body)
			}),
		signedFault("takes any signature of the right form", "wrong signature",
			func(_ *hand, r *http.Request, _ []byte) bool {
				return slicesAny(tokens(r), func(s string) bool { return len(s) == 44 })
			}),
		macFault("compares as much of the signature as there is",
			func(got, want string) bool { return strings.HasPrefix(want, got) }),
		macFault("compares the end of the signature",
			func(got, want string) bool { return strings.HasSuffix(want, got) }),
		macFault("compares one byte of the signature",
			func(got, want string) bool { return got != "" && got[0] == want[0] }),
		macFault("compares all but the end of the signature", func(got, want string) bool {
			return len(got) == len(want) && got[:len(got)-4] == want[:len(want)-4]
		}),
		macFault("compares all but the first byte of the signature", func(got, want string) bool {
			return len(got) == len(want) && got[1:] == want[1:]
		}),
		macFault("compares signatures in any case", strings.EqualFold),
		macFault("decodes the signature and compares the shorter part",
			func(got, want string) bool {
				a, _ := base64.StdEncoding.DecodeString(got)
				b, _ := base64.StdEncoding.DecodeString(want)
				n := min(len(a), len(b))
				return string(a[:n]) == string(b[:n])
			}),
		signedFault("leaves the id out of the signature where it does not fit", "wrong signature",
			func(h *hand, r *http.Request, body []byte) bool {
				id := *must(rightDecode(body)).ID
				return h.rightSigned(r, body) ||
					slicesAny(h.macs(id, r.Header.Get(signature.HeaderTimestamp), body),
						func(mac string) bool {
							return strings.Contains(fmt.Sprint(tokens(r)),
								mac)
						})
			}),
		signedFault("tries the timestamps around the one that was sent", "wrong signature",
			func(h *hand, r *http.Request, body []byte) bool {
				at, _ := strconv.ParseInt(r.Header.Get(signature.HeaderTimestamp), 10, 64)
				for shift := int64(-2); shift <= 2; shift++ {
					for _, mac := range h.macs(r.Header.Get(signature.HeaderID),
						strconv.FormatInt(at+shift, 10), body) {
						if strings.Contains(fmt.Sprint(tokens(r)), mac) {
							return true
						}
					}
				}
				return false
			}),
		{"signs the timestamp that it has read", "wrong signature", func(h *hand) {
			h.envelope = func(id, timestamp string, now time.Time) bool {
				at, err := strconv.ParseInt(timestamp, 10, 64)
				return err == nil && within(at, now, handTolerance, handTolerance) && id != "" &&
					!strings.Contains(id, ".")
			}
			h.signed = func(r *http.Request, body []byte) bool {
				at, _ := strconv.ParseInt(r.Header.Get(signature.HeaderTimestamp), 10, 64)
				r.Header.Set(signature.HeaderTimestamp, strconv.FormatInt(at, 10))
				return h.rightSigned(r, body)
			}
		}},
		envelopeFault("takes ids with dots", "wrong signature",
			func(id string, at int64, timestamp string, now time.Time) bool {
				return id != "" && strconv.FormatInt(at, 10) == timestamp &&
					within(at, now, handTolerance, handTolerance)
			}),
		{"takes a request without a timestamp", "wrong signature", func(h *hand) {
			h.envelope = func(id, timestamp string, now time.Time) bool {
				return timestamp == "" || rightEnvelope(id, timestamp, now)
			}
			h.signed = func(r *http.Request, body []byte) bool {
				return r.Header.Get(signature.HeaderTimestamp) == "" || h.rightSigned(r, body)
			}
		}},
		{"takes a request without an id", "wrong signature", func(h *hand) {
			h.envelope = func(id, timestamp string, now time.Time) bool {
				return id == "" || rightEnvelope(id, timestamp, now)
			}
			h.signed = func(r *http.Request, body []byte) bool {
				return r.Header.Get(signature.HeaderID) == "" || h.rightSigned(r, body)
			}
			h.idMatches = func(r *http.Request, id string) bool {
				return r.Header.Get(signature.HeaderID) == "" || rightID(r, id)
			}
		}},
		tokensFault("does not look at the version", "wrong signature",
			func(r *http.Request) []string {
				return strings.FieldsFunc(r.Header.Get(signature.HeaderSignature),
					func(c rune) bool { return c == ' ' || c == ',' })
			}),
		tokensFault("takes v1a for v1", "wrong signature", func(r *http.Request) []string {
			r.Header.Set(signature.HeaderSignature,
				strings.ReplaceAll(strings.Join(r.Header[signature.HeaderSignature], " "), "v1a,",
					"v1,"))
			return tokens(r)
		}),
		signedFault("signs what it has decoded and encoded again", "any JSON",
			func(h *hand, r *http.Request, body []byte) bool {
				var v any
				_ = json.Unmarshal(body, &v)
				again, _ := json.Marshal(v)
				return h.rightSigned(r, again)
			}),
		tokensFault("looks at the first signature", "several signatures",
			func(r *http.Request) []string { return tokens(r)[:min(1, len(tokens(r)))] }),
		tokensFault("looks at the last signature", "several signatures",
			func(r *http.Request) []string { return tokens(r)[max(0, len(tokens(r))-1):] }),
		tokensFault("looks at the first line of signatures", "several signatures",
			func(r *http.Request) []string {
				lines := r.Header[signature.HeaderSignature]
				r.Header[signature.HeaderSignature] = lines[:min(1, len(lines))]
				return tokens(r)
			}),
		tokensFault("looks at the last line of signatures", "several signatures",
			func(r *http.Request) []string {
				lines := r.Header[signature.HeaderSignature]
				r.Header[signature.HeaderSignature] = lines[max(0, len(lines)-1):]
				return tokens(r)
			}),
		tokensFault("does not know a list with commas", "several signatures",
			func(r *http.Request) []string {
				var all []string
				for _, one := range strings.Split(strings.Join(r.Header[signature.HeaderSignature],
					" "), " ") {
					if mac, found := strings.CutPrefix(one, "v1,"); found && len(all) < 16 {
						all = append(all, mac)
					}
				}
				return all
			}),
		tokensFault("gives up at a version that it does not know", "several signatures",
			func(r *http.Request) []string {
				if !strings.HasPrefix(r.Header.Get(signature.HeaderSignature), "v1,") {
					return nil
				}
				return tokens(r)
			}),
		tokensFault("looks at any number of signatures", "several signatures",
			func(r *http.Request) []string {
				fields := strings.FieldsFunc(strings.Join(r.Header[signature.HeaderSignature], " "),
					func(c rune) bool { return c == ' ' || c == ',' })
				var all []string
				for i := 0; i+1 < len(fields); i += 2 {
					if fields[i] == "v1" {
						all = append(all, fields[i+1])
					}
				}
				return all
			}),
		{"takes any id in a signed body", "signed id",
			func(h *hand) { h.idMatches = func(*http.Request, string) bool { return true } }},
		envelopeFault("takes any age", "replayed old timestamp",
			func(id string, at int64, timestamp string, now time.Time) bool {
				return id != "" && !strings.Contains(id, ".") &&
					strconv.FormatInt(at, 10) == timestamp && within(at, now, ever, ever)
			}),
		envelopeFault("takes a day", "replayed old timestamp",
			func(id string, at int64, timestamp string, now time.Time) bool {
				return id != "" && !strings.Contains(id, ".") &&
					strconv.FormatInt(at, 10) == timestamp &&
					within(at, now, 24*time.Hour, 24*time.Hour)
			}),
		envelopeFault("takes what is from the past", "replayed old timestamp",
			func(id string, at int64, timestamp string, now time.Time) bool {
				return id != "" && !strings.Contains(id, ".") &&
					strconv.FormatInt(at, 10) == timestamp && within(at, now, ever, handTolerance)
			}),
		envelopeFault("takes what is from the future", "replayed old timestamp",
			func(id string, at int64, timestamp string, now time.Time) bool {
				return id != "" && !strings.Contains(id, ".") &&
					strconv.FormatInt(at, 10) == timestamp && within(at, now, handTolerance, ever)
			}),
		refusalFault("says in the body which part was wrong", "uniform refusal",
			func(_ *hand, w http.ResponseWriter, _ *http.Request, status int, reason string) {
				http.Error(w, reason, status)
			}),
		refusalFault("says in a header which part was wrong", "uniform refusal",
			func(_ *hand, w http.ResponseWriter, _ *http.Request, status int, reason string) {
				w.Header().Set("X-Reason", reason)
				http.Error(w, http.StatusText(status), status)
			}),
		refusalFault("says with the status which part was wrong", "uniform refusal",
			func(_ *hand, w http.ResponseWriter, _ *http.Request, status int, reason string) {
				if reason == "timestamp" || reason == "signature" {
					status = http.StatusForbidden
				}
				http.Error(w, "no", status)
			}),
		refusalFault("tells the secret", "no secrets in answers",
			func(_ *hand, w http.ResponseWriter, r *http.Request, status int, _ string) {
				http.Error(w, fmt.Sprintf("wanted %s, got %s", secret, given(r)), status)
			}),
		refusalFault("tells the secret in a header", "no secrets in answers",
			func(_ *hand, w http.ResponseWriter, _ *http.Request, status int, _ string) {
				w.Header().Set("X-Want", secret)
				w.WriteHeader(status)
			}),
		refusalFault("tells the headers of a request that it does not take",
			"no secrets in answers", func(_ *hand, w http.ResponseWriter, r *http.Request, status int,
				_ string) {
				http.Error(w, fmt.Sprint(r.Header), status)
			}),
		{"tells the signature that would have been right", "no secrets in answers", func(h *hand) {
			var want string
			h.signed = func(r *http.Request, body []byte) bool {
				mac := hmac.New(sha256.New, h.keys[0])
				_, _ = fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get(signature.HeaderID),
					r.Header.Get(signature.HeaderTimestamp), body)
				want = base64.StdEncoding.EncodeToString(mac.Sum(nil))
				return h.rightSigned(r, body)
			}
			h.refuse = func(w http.ResponseWriter, _ *http.Request, status int, _ string) {
				http.Error(w, "want "+want, status)
			}
			h.wrap = oneAtATime
		}},
		// These know the name of a header in one spelling only.
		{"x-mixpeek-secret", "header case", func(*hand) {}},
		{"X-MIXPEEK-SECRET", "header case", func(*hand) {}},
		{"webhook-signature", "header case", func(*hand) {}},
		{"content-type", "header case", func(*hand) {}},
	}
}

func slicesAny(list []string, is func(string) bool) bool {
	for _, s := range list {
		if is(s) {
			return true
		}
	}
	return false
}

// must returns the event, or an empty one if it was not decoded.
func must(e handEvent, _ bool) handEvent {
	if e.ID == nil {
		e.ID = new(string)
	}
	return e
}
