package main

import (
	"flag"
	"fmt"
	"strings"
)

const intro = `webhooks receives, checks and steers webhooks from the command line.

`

const outro = `
Settings: WEBHOOKS_URL and WEBHOOKS_API_KEY for the management API,
WEBHOOKS_SIGNING_SECRET and WEBHOOKS_STATIC_SECRET for requests. Flags that name
a file come first; the file - is the standard input.

Exit codes: 0 it worked; 1 what was checked is wrong, or was refused; 2 called
wrongly; 3 no answer, try again later; 4 API key missing, wrong, or not allowed
to; 130 interrupted.

"webhooks help COMMAND" explains a command, with an example.
`

// help explains a command, or lists all.
func (a *app) help(words []string) error {
	if len(words) == 0 {
		a.printf("%s", intro)
		var rows [][]string
		for _, c := range commands() {
			rows = append(rows, []string{"  " + c.name, c.short})
		}
		a.table(rows)
		a.printf("%s", outro)
		return nil
	}
	if c, rest := find(words); c != nil && len(rest) == 0 {
		a.explainCommand(c)
		return nil
	}
	var rows [][]string
	for _, c := range commands() {
		if len(words) == 1 && strings.HasPrefix(c.name, words[0]+" ") {
			rows = append(rows, []string{"  " + c.name, c.short})
		}
	}
	if len(rows) == 0 {
		return usagef("no command %q: %q lists them", strings.Join(words, " "), "webhooks help")
	}
	a.table(rows)
	return nil
}

func (a *app) explainCommand(c *command) {
	a.printf("webhooks %s [flags]", c.name)
	if c.args != "" {
		a.printf(" %s", c.args)
	}
	a.printf("\n\n%s.\n", c.short)
	if c.long != "" {
		a.printf("\n%s\n", strings.TrimSpace(c.long))
	}
	a.printf("\nFlags:\n")
	set := newFlagSet(c.name)
	c.setup(set)
	set.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		a.printf("  --%s", f.Name)
		if value != "" {
			a.printf(" %s", strings.ToUpper(value))
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" {
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		a.printf("\n        %s\n", usage)
	})
	a.printf("\nExample:\n")
	for line := range strings.Lines(strings.TrimSpace(c.example)) {
		a.printf("  %s", line)
	}
	a.printf("\n")
}
