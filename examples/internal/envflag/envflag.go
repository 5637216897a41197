// Package envflag lets environment variables stand in for flags that are not
// given on the command line.
package envflag

import (
	"errors"
	"flag"
	"fmt"
	"strings"
)

// Parse parses the arguments. A flag that they do not set is set from its
// variable, if there is one: with the prefix "EMITTER_", -dev-mode from
// EMITTER_DEV_MODE. getenv is usually os.Getenv; an empty variable counts as
// absent.
func Parse(flags *flag.FlagSet, args []string, prefix string, getenv func(string) string) error {
	flags.VisitAll(func(f *flag.Flag) { f.Usage += " (" + variable(prefix, f) + ")" })
	if err := flags.Parse(args); err != nil {
		return err
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var problems []error
	flags.VisitAll(func(f *flag.Flag) {
		value := getenv(variable(prefix, f))
		if value == "" || given[f.Name] {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", variable(prefix, f), plain(f, value, err)))
		}
	})
	return errors.Join(problems...)
}

// plain says what a flag takes where package flag says no more than "parse error".
func plain(f *flag.Flag, value string, err error) error {
	kind, ok := f.Value.(interface{ IsBoolFlag() bool })
	if ok && kind.IsBoolFlag() {
		return fmt.Errorf("must be true or false, not %q", value)
	}
	return err
}

func variable(prefix string, f *flag.Flag) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}
