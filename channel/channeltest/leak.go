package channeltest

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"time"
)

// resources are what a leak is a leak of.
type resources struct {
	goroutines  int
	descriptors int // -1 where they cannot be counted
}

func count() resources {
	// The suite's own servers and clients may have left idle connections here.
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	// The first pipe or connection of a process opens the descriptors of its poller, which stay.
	if r, w, err := os.Pipe(); err == nil {
		_, _ = r.Close(), w.Close()
	}
	r := resources{goroutines: runtime.NumGoroutine(), descriptors: -1}
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		if entries, err := os.ReadDir(dir); err == nil {
			r.descriptors = len(entries)
			break
		}
	}
	return r
}

// leaked returns an error if what there is does not come down to what there
// was.
func (before resources) leaked() error { return before.within(prompt) }

// within is leaked with the time that is waited.
func (before resources) within(limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		now := count()
		if now.goroutines <= before.goroutines && now.descriptors <= before.descriptors {
			return nil
		}
		if time.Now().After(deadline) {
			stacks := make([]byte, 64<<10)
			stacks = stacks[:runtime.Stack(stacks, true)]
			return fmt.Errorf("goroutines %d, were %d; descriptors %d, were %d\n%s",
				now.goroutines, before.goroutines, now.descriptors, before.descriptors, stacks)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
