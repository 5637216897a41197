package api

import (
	"container/list"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

// The bounds of what is remembered for repetitions.
const (
	maxAnswers = 10_000
	answerTime = 24 * time.Hour
)

// answerCache remembers the answers to requests with an Idempotency-Key whose
// repetition the store would not notice: replays. It is bounded, and each
// process has its own, so it saves from hasty repetitions and not from all. That
// is enough here: what a second replay costs is a duplicate, which receivers
// recognise by its event_id anyway.
type answerCache struct {
	mu      sync.Mutex
	answers map[[32]byte]*list.Element
	oldest  *list.List // of *cachedAnswer
}

type cachedAnswer struct {
	key     [32]byte
	body    [32]byte // digest of the request's body
	expires time.Time
	answer  *response // nil while the first request is under way
}

func newAnswerCache() *answerCache {
	return &answerCache{answers: make(map[[32]byte]*list.Element), oldest: list.New()}
}

// once makes sure that requests with the same Idempotency-Key call f once and
// get the same answer. An error is not kept: the request can be tried again.
func (a *API) once(r *request, f func() (*response, error)) (*response, error) {
	p := &problems{}
	key := idempotencyKey(p, r)
	if err := p.err(); err != nil {
		return nil, err
	}
	if key == "" {
		return f()
	}
	digest := sha256.Sum256([]byte(r.organizationID + "\x00" + r.URL.Path + "\x00" + key))
	body := sha256.Sum256(r.body)
	known := a.replays.begin(digest, body, time.Now())
	switch {
	case known == nil:
		res, err := f()
		a.replays.end(digest, res)
		return res, err
	case known.body != body:
		p.add([]any{"header", headerIdempotencyKey}, typeValue, "was used before, with another body")
		return nil, p
	case known.answer == nil:
		return nil, &statusError{status: http.StatusConflict, message: "The first request with this Idempotency-Key is still under way"}
	}
	return known.answer, nil
}

// begin returns what is known about a key. If that is nothing, it returns nil
// and holds the key for the caller, who must call end.
func (c *answerCache) begin(key, body [32]byte, now time.Time) *cachedAnswer {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.oldest.Front(); e != nil; e = c.oldest.Front() {
		oldest := e.Value.(*cachedAnswer)
		if c.oldest.Len() < maxAnswers && now.Before(oldest.expires) {
			break
		}
		c.remove(e)
	}
	if e := c.answers[key]; e != nil {
		known := *e.Value.(*cachedAnswer)
		return &known
	}
	c.answers[key] = c.oldest.PushBack(&cachedAnswer{key: key, body: body, expires: now.Add(answerTime)})
	return nil
}

// end keeps the answer; nil, of a request that failed, frees the key.
func (c *answerCache) end(key [32]byte, answer *response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.answers[key]
	switch {
	case e == nil: // it has been displaced
	case answer == nil:
		c.remove(e)
	default:
		e.Value.(*cachedAnswer).answer = answer
	}
}

func (c *answerCache) remove(e *list.Element) {
	delete(c.answers, e.Value.(*cachedAnswer).key)
	c.oldest.Remove(e)
}
