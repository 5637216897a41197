//go:build unix

package postgres_test

import (
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// endpoint is an HTTP server that child processes deliver to. Each subscription has its own path.
type endpoint struct {
	*httptest.Server
	// moody makes it answer some requests with an error or late, and all doomed events with an error.
	moody atomic.Bool
	// slowness is how long it takes for slow events while it is moody, if it is not 0.
	slowness time.Duration

	mu       sync.Mutex
	accepted map[string]int // requests answered with 200, by path and event id
}

func newEndpoint(t testing.TB, moody bool, slowness time.Duration) *endpoint {
	t.Helper()
	e := &endpoint{slowness: slowness, accepted: make(map[string]int)}
	e.moody.Store(moody)
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

// doomed reports whether an event is one of the few that a moody endpoint never accepts.
func doomed(id string) bool { return hash(id)%32 == 0 }

// slow reports whether an event is one of the few that a moody endpoint takes long for, each time.
// A process that is paused has one in flight, and so does the process that takes it over, for long
// enough that the result of the first one comes meanwhile. Only the fencing token tells then that it
// is stale.
func slow(id string) bool { return hash(id)%32 == 1 }

func hash(id string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return h.Sum32()
}

// ServeHTTP implements [http.Handler].
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender was killed
	}
	decoded, err := event.Decode(body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if e.moody.Load() {
		if doomed(decoded.ID) || rand.IntN(10) == 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if e.slowness > 0 && slow(decoded.ID) {
			time.Sleep(e.slowness)
		} else if rand.IntN(100) == 0 {
			time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.accepted[r.URL.Path+" "+decoded.ID]++
}
