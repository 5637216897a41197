package channeltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/mixpeek/webhooks-go/channel"
)

// capabilityRules are the rules of channel.Capabilities.
func capabilityRules() []rule {
	return []rule{
		{
			name: "CapabilitiesStayTheSame",
			why: "A caller asks for the Capabilities when it opens a channel, and keeps to them: channels of one " +
				"configuration have the same ones, at any time.",
			check: sameCapabilities,
		},
		{
			name:  "TimeoutIsPositive",
			why:   "A channel that has a Timeout bounds its attempts by it: a negative one would fail them all.",
			check: timeoutPositive,
		},
		{
			name: "HostIsTheTargets",
			why: "A channel that has a Host names the one that its attempts go to, as all channels spell it: callers " +
				"bound by it what a host that hangs can take of them.",
			check: hostOfTarget,
		},
		{
			name: "LimitIsForAHost",
			why: "A channel that says how many attempts can be under way at a time says which host they go to: callers " +
				"begin no more than that many to the host.",
			check: limitOfHost,
		},
		{
			name:  "RateIsNotNegative",
			why:   "Callers begin no more attempts than the rate says: a negative one would stop them all.",
			check: rateNotNegative,
		},
		{
			name:  "MessagesIsNotNegative",
			why:   "Callers count what an attempt sends: a negative number would earn it more.",
			check: messagesNotNegative,
		},
	}
}

func capabilities(d channel.Driver, config json.RawMessage) (channel.Capabilities, error) {
	c, err := d.Open(config)
	if err != nil {
		return channel.Capabilities{}, err
	}
	return c.Capabilities(), nil
}

func sameCapabilities(t testing.TB, h *Harness) error {
	config := h.accepting(t)
	first, err := h.Driver.Open(config)
	if err != nil {
		return err
	}
	before := first.Capabilities()
	if _, err := first.Send(t.Context(), newMessage()); err != nil {
		return err
	}
	second, err := capabilities(h.Driver, config)
	if err != nil {
		return err
	}
	for _, now := range []channel.Capabilities{first.Capabilities(), second} {
		if now != before {
			return fmt.Errorf("Capabilities() is %+v at first, and then %+v", before, now)
		}
	}
	return nil
}

func timeoutPositive(t testing.TB, h *Harness) error {
	c, err := capabilities(h.Driver, h.accepting(t))
	if err == nil && c.Timeout < 0 {
		err = fmt.Errorf("the Timeout is %s", c.Timeout)
	}
	return err
}

func hostOfTarget(t testing.TB, h *Harness) error {
	config, want := h.accepting(t), ""
	if h.HTTP != nil {
		config, want = h.HTTP.Config("http://127.0.0.1:9"), "127.0.0.1"
	}
	c, err := capabilities(h.Driver, config)
	host := c.Host
	switch {
	case err != nil || host == "":
		return err
	case want != "" && host != want:
		return fmt.Errorf("the Host is %q, but requests go to %q", host, want)
	case host != strings.ToLower(host) || host != strings.TrimSuffix(host, "."):
		return fmt.Errorf("the Host is %q: it must be in lower case, without a dot at the end", host)
	}
	if strings.Count(host, ":") == 1 { // an address of IPv6 has more
		return fmt.Errorf("the Host is %q: it must not have a port", host)
	}
	return nil
}

func limitOfHost(t testing.TB, h *Harness) error {
	c, err := capabilities(h.Driver, h.accepting(t))
	switch {
	case err != nil:
		return err
	case c.MaxInFlight < 0:
		return fmt.Errorf("MaxInFlight is %d: it must be at least 1, or zero for no limit", c.MaxInFlight)
	case c.MaxInFlight > 0 && c.Host == "":
		return errors.New("the channel has a MaxInFlight and no Host")
	}
	return nil
}

func rateNotNegative(t testing.TB, h *Harness) error {
	c, err := capabilities(h.Driver, h.accepting(t))
	switch {
	case err != nil:
		return err
	case !(c.AttemptsPerSecond >= 0) || c.AttemptBurst < 0: // it may be NaN
		return fmt.Errorf("the channel has %v AttemptsPerSecond and an AttemptBurst of %d",
			c.AttemptsPerSecond, c.AttemptBurst)
	case c.AttemptBurst > 0 && c.AttemptsPerSecond == 0:
		return errors.New("the channel has an AttemptBurst and no AttemptsPerSecond")
	}
	return nil
}

func messagesNotNegative(t testing.TB, h *Harness) error {
	c, err := capabilities(h.Driver, h.accepting(t))
	if err == nil && c.Messages < 0 {
		err = fmt.Errorf("the channel has %d Messages", c.Messages)
	}
	return err
}

// wrapped is a driver as a middleware makes one: of the driver under test, and of
// its channels, it has what their interfaces have.
type wrapped struct{ channel.Driver }

func (w wrapped) Open(config json.RawMessage) (channel.Channel, error) {
	c, err := w.Driver.Open(config)
	if err != nil || c == nil {
		return nil, err
	}
	return channel.WithSend(c, func(ctx context.Context, m *channel.Message) (channel.Result, error) {
		return c.Send(ctx, m)
	}), nil
}

// wrappedRules are those of drivers and channels that are wrapped: what they can
// do is part of their interfaces, so that nothing is lost.
func wrappedRules(h *Harness) []rule {
	list := append(openRules(h), sendRules(h)...)
	list = append(list, capabilityRules()...)
	list = append(list, rule{
		name:  "WrappingKeepsCapabilities",
		why:   "Middleware wraps channels: a caller learns of the wrapper what it would learn of the channel.",
		check: sameWhenWrapped,
	})
	for i := range list {
		check := list[i].check
		list[i].name = "Wrapped/" + list[i].name
		list[i].check = func(t testing.TB, h *Harness) error {
			inner := *h
			inner.Driver = wrapped{h.Driver}
			return check(t, &inner)
		}
	}
	return list
}

func sameWhenWrapped(t testing.TB, h *Harness) error {
	w, ok := h.Driver.(wrapped)
	if !ok {
		return errors.New("the driver is not wrapped")
	}
	config := h.accepting(t)
	plain, err := capabilities(w.Driver, config)
	if err != nil {
		return err
	}
	got, err := capabilities(w, config)
	if err != nil {
		return err
	}
	if got != plain || !reflect.DeepEqual(w.Schema(), w.Driver.Schema()) {
		return fmt.Errorf("wrapped: %+v, %+v; plain: %+v, %+v", got, w.Schema(), plain, w.Driver.Schema())
	}
	return nil
}
