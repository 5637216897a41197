package main

import (
	"fmt"
	"strings"
	"sync"
)

// shape is how the deliveries of a throughput measurement come about.
type shape struct {
	name string
	// organizations have as many subscriptions each, and take turns in emitting.
	organizations, subscriptions int
}

var shapes = []shape{
	{"one", 1, 1},
	{"endpoints", 1000, 1},
	{"fanout", 1, 100},
}

func (s shape) String() string {
	switch {
	case s.subscriptions > 1:
		return fmt.Sprintf("each event to %d endpoints", s.subscriptions)
	case s.organizations > 1:
		return fmt.Sprintf("%d endpoints", s.organizations)
	}
	return "one endpoint"
}

func parseShapes(list string) (chosen []shape, err error) {
	var names []string
	for _, s := range shapes {
		names = append(names, s.name)
	}
next:
	for _, name := range strings.Split(list, ",") {
		for _, s := range shapes {
			if s.name == name {
				chosen = append(chosen, s)
				continue next
			}
		}
		return nil, fmt.Errorf("-shape: there is no %q, but %s", name, strings.Join(names, ", "))
	}
	return chosen, nil
}

// onTheWay bounds the deliveries that are emitted and have not arrived.
type onTheWay struct {
	mu      sync.Mutex
	freed   sync.Cond
	most, n int
	closed  bool
}

func newOnTheWay(most int) *onTheWay {
	w := &onTheWay{most: most}
	w.freed.L = &w.mu
	return w
}

// add waits until n more may be on their way. It returns false once the emits have ended.
func (w *onTheWay) add(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.n > 0 && w.n+n > w.most && !w.closed {
		w.freed.Wait()
	}
	if !w.closed {
		w.n += n
	}
	return !w.closed
}

// arrived counts a delivery that has arrived.
func (w *onTheWay) arrived() {
	w.mu.Lock()
	w.n--
	w.mu.Unlock()
	w.freed.Signal()
}

// close ends the emits.
func (w *onTheWay) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.freed.Broadcast()
}

func (w *onTheWay) empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n == 0
}
