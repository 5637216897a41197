package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"

	"github.com/mixpeek/webhooks-go/examples/internal/envflag"
)

type config struct {
	addr           string
	dev            bool
	trustedProxies []netip.Prefix
	keys           []string
	notify         string
	secret         string
}

const usage = `receiver handles the webhooks that are posted to /webhooks.

Every flag has an environment variable with the same meaning, named after it.
RECEIVER_SECRET is required: it is the value of the header X-Mixpeek-Secret. It has no
flag, because command lines are visible to other users.

The server speaks plain HTTP. Put a proxy in front of it that terminates TLS and sets
X-Forwarded-Proto or Forwarded, and name its network with -trusted-proxies; or use -dev.

`

func parseConfig(args []string, getenv func(string) string, out io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("receiver", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		_, _ = fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&c.addr, "addr", "127.0.0.1:8081", "`address` to listen on")
	flags.BoolVar(&c.dev, "dev", false,
		"for development: accept requests that did not come over HTTPS")
	const proxies = "comma-separated `networks` of proxies that terminate TLS, as in 10.0.0.0/8"
	flags.Func("trusted-proxies", proxies, func(s string) error {
		for _, network := range split(s) {
			prefix, err := netip.ParsePrefix(network)
			if err != nil {
				return fmt.Errorf(
					"%q must be a network such as 10.0.0.0/8, or 10.1.2.3/32 for one address", network)
			}
			c.trustedProxies = append(c.trustedProxies, prefix)
		}
		return nil
	})
	flags.Func("keys", "comma-separated `keys` of the cache at the start",
		func(s string) error {
			c.keys = append(c.keys, split(s)...)
			return nil
		})
	flags.StringVar(&c.notify, "notify", "",
		"`URL` of a service that is told about each event before it is acknowledged")
	if err := envflag.Parse(flags, args, "RECEIVER_", getenv); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	c.secret = getenv("RECEIVER_SECRET")
	var problems []error
	if c.secret == "" {
		problems = append(problems, errors.New("RECEIVER_SECRET is required"))
	}
	if !c.dev && len(c.trustedProxies) == 0 {
		problems = append(problems, errors.New("-trusted-proxies or -dev is required"))
	}
	if c.notify != "" {
		if u, err := url.Parse(c.notify); err != nil || u.Host == "" ||
			u.Scheme != "http" && u.Scheme != "https" {
			problems = append(problems, errors.New("-notify must be an http or https URL"))
		}
	}
	return c, errors.Join(problems...)
}

func split(s string) []string {
	var list []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}
