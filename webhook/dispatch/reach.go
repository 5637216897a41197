package dispatch

import (
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
)

// reach tells whether this process reaches anything. When the network of the process is down, all
// endpoints fail for it at once, and none of them is to blame.
type reach struct {
	mu sync.Mutex
	// failing are the hosts that have failed since any host answered last, minUnreached at most.
	failing map[string]struct{}
}

// minUnreached is how many hosts must fail without an answer of any host in between before the
// process takes itself to be cut off. So many do not fail at once by themselves.
const minUnreached = 8

// observe notes what an attempt has shown of its host. It returns whether the process is cut off,
// and whether that has changed.
func (r *reach) observe(host string, health breaker.Health) (cutOff, changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.failing) >= minUnreached
	switch health {
	case breaker.Healthy:
		clear(r.failing)
	case breaker.Unhealthy:
		if r.failing == nil {
			r.failing = make(map[string]struct{}, minUnreached)
		}
		if len(r.failing) < minUnreached {
			r.failing[host] = struct{}{}
		}
	case breaker.Unknown:
	}
	cutOff = len(r.failing) >= minUnreached
	return cutOff, cutOff != before
}

// cutOff reports whether the process reaches nothing.
func (r *reach) cutOff() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failing) >= minUnreached
}

// observeReach notes what an attempt has shown of its host. The first attempt to find the process
// cut off writes a line to the log, and so does the first that is answered after that.
func (d *Dispatcher) observeReach(t *task, host string, health breaker.Health) {
	if host == "" { // every endpoint of such a channel is taken to be a host of its own
		host = t.Endpoint.SubscriptionID + " " + t.Endpoint.Channel
	}
	cutOff, changed := d.reach.observe(host, health)
	if !changed {
		return
	}
	switch kind := &d.lines.cutOff; {
	case !kind.throttle.Allow(time.Now(), webhook.Endpoint{}): // it is about all of them
	case cutOff:
		d.cfg.Logger.Error(kind.message, "hosts", minUnreached)
	default:
		d.cfg.Logger.Info("webhook: hosts answer this process again")
	}
}
