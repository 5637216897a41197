package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/examples/internal/envflag"
	"github.com/mixpeek/webhooks-go/webhook"
)

type config struct {
	addr string
	db   string
	dev  bool
	// The subscription to begin with: none if url is empty.
	url, types, secret string
	// apiKey opens the management API: none if it is empty.
	apiKey string
}

const usage = `emitter takes events with POST /events and delivers them to webhooks.

Every flag has an environment variable of the same meaning, named after it.
Two have no flag, because command lines are for all to see: EMITTER_SECRET is
sent to -url in the header X-Mixpeek-Secret, and EMITTER_API_KEY, if it is set,
opens the management API below /v1/organizations/webhooks/ to requests with
Authorization: Bearer and that key, and the web console at /console/ to people
who give it as the password. "webhooks keys create" then makes other API keys,
which are kept in the database.

`

func parseConfig(args []string, getenv func(string) string, out io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("emitter", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		_, _ = fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&c.addr, "addr", "127.0.0.1:8080", "`address` to listen on")
	flags.StringVar(
		&c.db,
		"db",
		"emitter.db",
		"SQLite `file` that keeps webhooks, events and deliveries",
	)
	flags.StringVar(&c.url, "url", "", "`URL` of an endpoint to subscribe")
	flags.StringVar(
		&c.types,
		"types",
		"*",
		"event `types` that go to -url: patterns with commas between them",
	)
	flags.BoolVar(
		&c.dev,
		"dev",
		false,
		"for development: deliver to plain HTTP and to private addresses, too",
	)
	if err := envflag.Parse(flags, args, "EMITTER_", getenv); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	c.apiKey = getenv("EMITTER_API_KEY")
	if c.secret = getenv("EMITTER_SECRET"); c.secret == "" && c.url != "" {
		return c, errors.New("EMITTER_SECRET is required with -url")
	}
	return c, nil
}

// subscription is the webhook that the configuration asks for. Its id is fixed,
// so that it is the same one after a restart.
func (c config) subscription() *webhook.Subscription {
	var types []event.Pattern
	for t := range strings.SplitSeq(c.types, ",") {
		types = append(types, event.Pattern(strings.TrimSpace(t)))
	}
	return &webhook.Subscription{
		ID:         "wh_00000000000000e1",
		Name:       "From the emitter's configuration",
		EventTypes: types,
		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{
			URL:     c.url,
			Headers: map[string]string{"X-Mixpeek-Secret": c.secret},
		})},
	}
}

// explain names what the operator can change about an endpoint that is refused.
func (c config) explain(err error) error {
	var invalid *event.ValidationError
	aboutURL := func(p event.Problem) bool { return p.Field == "channels[0].configs.url" }
	if c.dev || !errors.As(err, &invalid) || !slices.ContainsFunc(invalid.Problems, aboutURL) {
		return err
	}
	return fmt.Errorf("%w (-dev allows plain HTTP and private addresses, for development)", err)
}
