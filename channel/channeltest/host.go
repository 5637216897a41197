package channeltest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mixpeek/webhooks-go/channel"
)

// hostRule is the rule of channel.Hoster.
func hostRule() rule {
	return rule{
		name: "HostIsTheTargets",
		why: "A channel that has a Host names the one that its attempts go to, as all channels spell it: callers bound by it " +
			"what a host that hangs can take of them.",
		check: checkHost,
	}
}

func checkHost(t testing.TB, h *Harness) error {
	config, want := h.accepting(t), ""
	if h.HTTP != nil {
		config, want = h.HTTP.Config("http://127.0.0.1:9"), "127.0.0.1"
	}
	host, ok, err := hostOf(h.Driver, config)
	if err != nil || !ok {
		return err
	}
	again, _, err := hostOf(h.Driver, config)
	switch {
	case err != nil:
		return err
	case host != again:
		return fmt.Errorf("Host() is %q at first, and then %q", host, again)
	case want != "" && host != want:
		return fmt.Errorf("Host() is %q, but requests go to %q", host, want)
	case host != strings.ToLower(host) || host != strings.TrimSuffix(host, "."):
		return fmt.Errorf("Host() is %q: it must be in lower case, without a dot at the end", host)
	}
	if strings.Count(host, ":") == 1 { // an address of IPv6 has more
		return fmt.Errorf("Host() is %q: it must not have a port", host)
	}
	return nil
}

func hostOf(d channel.Driver, config json.RawMessage) (host string, ok bool, err error) {
	c, err := d.Open(config)
	if err != nil {
		return "", false, err
	}
	_, ok = c.(channel.Hoster)
	return channel.HostOf(c), ok, nil
}
