package channeltest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/mixpeek/webhooks-go/channel"
)

// limitRule is the rule of channel.Limited.
func limitRule() rule {
	return rule{
		name: "LimitIsForAHost",
		why: "A channel that says how many attempts it can make at a time says which host they go to, and always the " +
			"same number: callers begin no more than that many to the host.",
		check: checkLimit,
	}
}

func checkLimit(t testing.TB, h *Harness) error {
	config := h.accepting(t)
	var limits [2]int
	for i := range limits {
		c, err := h.Driver.Open(config)
		if err != nil {
			return err
		}
		bounded, ok := c.(interface{ MaxInFlight() int })
		if !ok {
			return nil
		}
		if limits[i] = bounded.MaxInFlight(); limits[i] < 1 {
			return fmt.Errorf("MaxInFlight() is %d: it must be at least 1", limits[i])
		}
		if channel.HostOf(c) == "" {
			return errors.New("the channel has MaxInFlight() and no Host()")
		}
	}
	if limits[0] != limits[1] {
		return fmt.Errorf("MaxInFlight() is %d at first, and then %d", limits[0], limits[1])
	}
	return nil
}
