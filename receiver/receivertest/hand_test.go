package receivertest_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/receivertest"
)

// hand is a receiver on net/http, without package receiver. It keeps all rules; a test replaces
// one of its steps by a wrong one.
type hand struct {
	secrets []string
	keys    [][]byte
	maxBody int64
	timeout time.Duration

	form      func(*http.Request) int
	media     func(string) bool
	secret    func(*http.Request) bool
	envelope  func(id, timestamp string, now time.Time) bool
	read      func(w http.ResponseWriter, r *http.Request) ([]byte, int)
	signed    func(r *http.Request, body []byte) bool
	macEqual  func(got, want string) bool
	decode    func(body []byte) (handEvent, bool)
	idMatches func(r *http.Request, id string) bool
	refuse    func(w http.ResponseWriter, r *http.Request, status int, reason string)
	before    func(handEvent) // for each request, authentic or not
	key       func(r *http.Request, e handEvent, body []byte) string
	claim     func(key string) handState
	settle    func(key string, err error)
	handle    func(handEvent) error
	failed    func(w http.ResponseWriter)
	busy      int
	done      int
	known     func(eventType string) bool
	wrap      func(http.Handler) http.Handler

	mu       sync.Mutex
	state    map[string]handState
	handled  map[string]int
	held     map[string]chan struct{}
	failing  map[string]bool
	options  receivertest.Options
	retiredS string
	retiredK []byte
}

type handEvent struct {
	ID   *string `json:"event_id"`
	Type *string `json:"event_type"`
}

type handState int

const (
	absent handState = iota
	inFlight
	finished
)

func rawKey(t *testing.T, k signature.Key) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(k.Reveal(), "whsec_"))
	require.NoError(t, err)
	return raw
}

func credentials(t *testing.T, secret string, k signature.Key) receivertest.Credentials {
	t.Helper()
	signer, err := signature.NewSigner(k)
	require.NoError(t, err)
	return receivertest.Credentials{Secret: secret, Signer: signer}
}

// newHand returns a receiver that keeps all rules, and the options for it.
func newHand(t *testing.T) *hand {
	t.Helper()
	const nextSecret, oldSecret = "Battery-Horse-Correct-Staple", "staple-Battery-Horse-Correct"
	key, next, old := signature.NewKey(), signature.NewKey(), signature.NewKey()
	h := &hand{
		secrets: []string{secret, nextSecret}, keys: [][]byte{rawKey(t, key),
			rawKey(t, next)}, maxBody: 8192, timeout: time.Second,
		state: make(map[string]handState), handled: make(map[string]int),
		held: make(map[string]chan struct{}), failing: make(map[string]bool),
		busy: http.StatusConflict, done: http.StatusOK, retiredS: oldSecret,
		retiredK: rawKey(t, old),
	}
	h.form, h.media, h.secret, h.envelope = h.rightForm, rightMedia, h.rightSecret, rightEnvelope
	h.read, h.signed, h.macEqual = h.rightRead, h.rightSigned, rightMAC
	h.decode, h.idMatches, h.refuse = rightDecode, rightID, rightRefusal
	h.key = func(_ *http.Request, e handEvent, _ []byte) string { return *e.ID }
	h.claim, h.settle, h.handle = h.rightClaim, h.rightSettle, h.rightHandle
	h.failed = func(w http.ResponseWriter) {
		http.Error(w, "try again", http.StatusServiceUnavailable)
	}
	h.known = func(kind string) bool { return strings.HasPrefix(kind, "object.") }
	h.before = func(handEvent) {}
	h.wrap = func(next http.Handler) http.Handler { return next }
	h.options = receivertest.Options{
		Credentials: credentials(t, secret, key),
		Others:      []receivertest.Credentials{credentials(t, nextSecret, next)},
		Retired: []receivertest.Credentials{credentials(t, oldSecret, key),
			credentials(t, secret, old)},
		MaxBody: h.maxBody, ReadTimeout: h.timeout, Timeout: runTimeout,
		Handled: func(_ context.Context, id string) (int, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.handled[id], nil
		},
		Hold: func(_ context.Context, id string) (func(), error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			held := make(chan struct{})
			h.held[id] = held
			return func() { close(held) }, nil
		},
		Fail: func(_ context.Context, id string) (func(), error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.failing[id] = true
			return func() {
				h.mu.Lock()
				defer h.mu.Unlock()
				delete(h.failing, id)
			}, nil
		},
	}
	return h
}

func (h *hand) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, reason string) {
		// Otherwise net/http waits for the body before it sends the answer.
		w.Header().Set("Connection", "close")
		h.refuse(w, r, status, reason)
	}
	if status := h.form(r); status != 0 {
		refuse(status, "form")
		return
	}
	if !h.secret(r) {
		refuse(http.StatusUnauthorized, "secret")
		return
	}
	if !h.envelope(h.header(r, signature.HeaderID), h.header(r, signature.HeaderTimestamp),
		time.Now()) {
		refuse(http.StatusUnauthorized, "timestamp")
		return
	}
	body, status := h.read(w, r)
	if status != 0 {
		refuse(status, "body")
		return
	}
	e, ok := h.decode(body)
	if ok {
		h.before(e)
	}
	if !h.signed(r, body) {
		refuse(http.StatusUnauthorized, "signature")
		return
	}
	if !ok || !h.idMatches(r, *e.ID) {
		refuse(http.StatusBadRequest, "event")
		return
	}
	h.once(w, r, e, body)
}

func (h *hand) once(w http.ResponseWriter, r *http.Request, e handEvent, body []byte) {
	key := h.key(r, e, body)
	switch h.claim(key) {
	case inFlight:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(h.busy)
	case finished:
		w.WriteHeader(h.done)
	case absent:
		var err error
		if h.known(*e.Type) {
			err = h.handle(e)
		}
		h.settle(key, err)
		if err != nil {
			h.failed(w)
		}
	}
}

func (h *hand) header(r *http.Request, name string) string {
	if lines := r.Header[name]; len(lines) == 1 {
		return lines[0]
	}
	return ""
}

func (h *hand) rightForm(r *http.Request) int {
	switch {
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed
	case !h.media(r.Header.Get("Content-Type")), r.Header.Get("Content-Encoding") != "":
		return http.StatusUnsupportedMediaType
	}
	return 0
}

func rightMedia(line string) bool {
	media, _, err := mime.ParseMediaType(line)
	return err == nil && media == "application/json"
}

func (h *hand) rightSecret(r *http.Request) bool {
	lines := r.Header[receiver.DefaultSecretHeader]
	if len(lines) != 1 {
		return false
	}
	got, right := sha256.Sum256([]byte(lines[0])), 0
	for _, s := range h.secrets {
		want := sha256.Sum256([]byte(s))
		right |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return right == 1
}

const handTolerance = 5 * time.Minute

func rightEnvelope(id, timestamp string, now time.Time) bool {
	at, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || strconv.FormatInt(at, 10) != timestamp || id == "" ||
		strings.Contains(id, ".") {
		return false
	}
	return math.Abs(now.Sub(time.Unix(at, 0)).Seconds()) <= handTolerance.Seconds()
}

func (h *hand) rightRead(w http.ResponseWriter, r *http.Request) ([]byte, int) {
	if h.timeout > 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.timeout))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, http.StatusRequestEntityTooLarge
	case err != nil:
		return nil, http.StatusRequestTimeout
	}
	return body, 0
}

// tokens returns the signatures of version v1, at most 16.
func tokens(r *http.Request) []string {
	var all []string
	fields := strings.FieldsFunc(strings.Join(r.Header[signature.HeaderSignature], " "),
		func(c rune) bool { return c == ' ' || c == ',' })
	for i := 0; i+1 < len(fields) && len(all) < 16; i++ {
		if fields[i] == "v1" {
			all = append(all, fields[i+1])
		}
	}
	return all
}

func (h *hand) macs(id, timestamp string, body []byte) []string {
	var all []string
	for _, key := range h.keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + timestamp + "."))
		mac.Write(body)
		all = append(all, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return all
}

func (h *hand) rightSigned(r *http.Request, body []byte) bool {
	return h.anyOf(r, body, tokens(r))
}

func (h *hand) anyOf(r *http.Request, body []byte, signatures []string) bool {
	for _, want := range h.macs(r.Header.Get(signature.HeaderID),
		r.Header.Get(signature.HeaderTimestamp), body) {
		for _, got := range signatures {
			if h.macEqual(got, want) {
				return true
			}
		}
	}
	return false
}

func rightMAC(got, want string) bool { return hmac.Equal([]byte(got), []byte(want)) }

func rightDecode(body []byte) (e handEvent, ok bool) {
	err := json.Unmarshal(body, &e)
	return e, err == nil && e.ID != nil && e.Type != nil && *e.ID != "" && *e.Type != ""
}

func rightID(r *http.Request, id string) bool { return r.Header.Get(signature.HeaderID) == id }

func rightRefusal(w http.ResponseWriter, _ *http.Request, status int, _ string) {
	http.Error(w, http.StatusText(status), status)
}

func (h *hand) rightClaim(key string) handState {
	h.mu.Lock()
	defer h.mu.Unlock()
	state := h.state[key]
	if state == absent {
		h.state[key] = inFlight
	}
	return state
}

func (h *hand) rightSettle(key string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state[key] = finished
	if err != nil {
		delete(h.state, key)
	}
}

var errFailing = errors.New("the handler fails")

func (h *hand) rightHandle(e handEvent) error {
	h.mu.Lock()
	held := h.held[*e.ID]
	h.mu.Unlock()
	if held != nil {
		<-held
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing[*e.ID] {
		return errFailing
	}
	h.handled[*e.ID]++
	return nil
}
