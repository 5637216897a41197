package main

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
)

var keysListCommand = command{
	name: "keys list", short: "List the API keys of the organization",
	long: `
Those that were revoked or have expired are among them. The keys themselves are
not kept, so nothing shows them.`,
	example: `webhooks keys list`,
	setup: func(s *flagSet) action {
		var o connection
		o.declare(s)
		return func(ctx context.Context, a *app, _ []string) error { return a.listKeys(ctx, o) }
	},
}

var keysCreateCommand = command{
	name: "keys create", args: "NAME", short: "Create an API key, and print it once",
	long: `
Prints the API key, and nothing else, to the standard output: it cannot be shown
again. NAME is for people. The new key has no more rights than that in
WEBHOOKS_API_KEY, and expires no later.`,
	example: `
(umask 077; webhooks keys create --role operate --expires-in 2160h billing \
    > billing.key)`,
	setup: func(s *flagSet) action {
		var o keyOptions
		o.connection.declare(s)
		s.StringVar(&o.role, "role", webhook.RoleRead.String(), "`role`: read, operate or administer")
		s.BoolVar(&o.reveal, "reveal", false, "allow to see secrets")
		s.BoolVar(&o.operator, "operator", false, "allow the same in all organizations")
		s.DurationVar(&o.expiresIn, "expires-in", 0, "`time` after which it stops working (default never)")
		return func(ctx context.Context, a *app, args []string) error {
			return a.createKey(ctx, o, args[0])
		}
	},
}

var keysRevokeCommand = command{
	name: "keys revoke", args: "ID", short: "Revoke an API key",
	long: `
The next request with the API key is refused. ID is what "webhooks keys list"
shows, and not the key itself. The keys that it has created stay.`,
	example: `webhooks keys revoke key_0123456789abcdef`,
	setup: func(s *flagSet) action {
		var o connection
		o.declare(s)
		return func(ctx context.Context, a *app, args []string) error {
			return a.revokeKey(ctx, o, args[0])
		}
	},
}

type keyOptions struct {
	connection
	role             string
	reveal, operator bool
	expiresIn        time.Duration
}

func (a *app) listKeys(ctx context.Context, o connection) error {
	c, err := o.client(a)
	if err != nil {
		return err
	}
	rows := [][]string{{"API KEY", "STATE", "ROLE", "CREATED", "BY", "LAST USED", "EXPIRES", "NAME"}}
	for key, err := range c.APIKeys(ctx) {
		if err != nil {
			return err
		}
		if a.json {
			if err := a.object(key); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{key.ID, keyState(key), rightsText(key.Rights), stamp(key.CreatedAt),
			key.CreatedBy, ago(key.LastUsedAt), stamp(key.ExpiresAt), key.Name})
	}
	switch {
	case a.json:
	case len(rows) == 1:
		a.notef("There are no API keys.\n")
	default:
		a.table(rows)
	}
	return nil
}

func keyState(key *webhook.APIKey) string {
	switch {
	case !key.RevokedAt.IsZero():
		return "revoked"
	case !key.Works(time.Now()):
		return "expired"
	}
	return "works"
}

// rightsText writes rights in a word or a few.
func rightsText(r webhook.Rights) string {
	text := r.Role.String()
	if r.Reveal {
		text += " reveal"
	}
	if r.Operator {
		text += " operator"
	}
	return text
}

func (a *app) createKey(ctx context.Context, o keyOptions, name string) error {
	asked := api.APIKeyRequest{Name: name, Rights: webhook.Rights{Reveal: o.reveal,
		Operator: o.operator}}
	if err := asked.Role.UnmarshalText([]byte(o.role)); err != nil {
		return usagef("--role must be read, operate or administer")
	}
	if o.expiresIn < 0 {
		return usagef("--expires-in must not be negative")
	}
	if o.expiresIn > 0 {
		asked.ExpiresAt = time.Now().Add(o.expiresIn).UTC().Truncate(time.Second)
	}
	c, err := o.client(a)
	if err != nil {
		return err
	}
	created, err := c.CreateAPIKey(ctx, asked)
	a.noteUnknown(err, "An API key that nobody knows may have been made: webhooks keys list shows it, and "+
		"webhooks keys revoke ends it.\n")
	if err != nil {
		return err
	}
	if a.json {
		return a.object(created)
	}
	a.printf("%s\n", created.Key)
	a.notef("This is %s, with the role %s. It is not shown again.\n", visible(created.ID),
		rightsText(created.Rights))
	return nil
}

func (a *app) revokeKey(ctx context.Context, o connection, id string) error {
	if !apikey.IsID(id) {
		return usagef("ID is \"key_\" and 16 digits, as \"webhooks keys list\" shows it, and not the API key itself")
	}
	c, err := o.client(a)
	if err != nil {
		return err
	}
	revoked, err := c.RevokeAPIKey(ctx, id)
	if err != nil {
		return err
	}
	if a.json {
		return a.object(revoked)
	}
	a.printf("%s is revoked.\n", visible(revoked.ID))
	return nil
}
