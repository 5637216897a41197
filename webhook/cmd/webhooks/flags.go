package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// flagSet is a flag.FlagSet whose flags may stand after arguments, as most people write them.
type flagSet struct {
	*flag.FlagSet
	json bool
}

func newFlagSet(name string) *flagSet {
	s := &flagSet{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	s.SetOutput(io.Discard) // errors are returned, and help is printed by the program
	s.BoolVar(&s.json, "json", false, "print JSON, an object on each line")
	return s
}

// parse returns the arguments that are no flags. Everything after -- is an argument.
func (s *flagSet) parse(args []string) (positional []string, err error) {
	for {
		if err := s.Parse(args); err != nil {
			if name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); unknown {
				return nil, unknownFlag(s.Name(), name)
			}
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, fmt.Errorf("%s: %w", s.Name(), err)
		}
		rest := s.Args()
		if len(rest) == 0 {
			return positional, nil
		}
		if at := len(args) - len(rest) - 1; at >= 0 && args[at] == "--" {
			return append(positional, rest...), nil
		}
		positional, args = append(positional, rest[0]), rest[1:]
	}
}

func unknownFlag(command, name string) error {
	for _, word := range []string{"secret", "key", "token", "password"} {
		if strings.Contains(name, word) {
			return fmt.Errorf("%s: no flag --%s: secrets come from a file or the environment, "+
				"because arguments are visible to others", command, name)
		}
	}
	return fmt.Errorf("%s: no flag --%s", command, name)
}

// timeValue is a flag with a point in time: RFC 3339, a time or a date in the zone of this machine
// as stamp writes it, Unix seconds, or a duration before now.
type timeValue struct{ time.Time }

func (t *timeValue) String() string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

func (t *timeValue) Set(s string) error {
	if d, err := time.ParseDuration(s); err == nil {
		t.Time = time.Now().Add(-d.Abs())
		return nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if parsed, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			t.Time = parsed
			return nil
		}
	}
	if seconds, err := strconv.ParseInt(s, 10, 64); err == nil {
		t.Time = time.Unix(seconds, 0)
		return nil
	}
	return errors.New("must be a time such as 2026-01-31T12:00:00Z, one in the zone of this machine " +
		"such as \"2026-01-31 12:00:00\" or 2026-01-31, Unix seconds, or a time ago such as 90m")
}

// listValue is a flag that may be repeated.
type listValue []string

func (l *listValue) String() string     { return strings.Join(*l, ", ") }
func (l *listValue) Set(s string) error { *l = append(*l, s); return nil }

// maxInput bounds what is read from a file or the standard input.
const maxInput = 64 << 20

// readInput reads a file, or the standard input if the name is - or empty. what says what it is,
// as in "the request".
func (a *app) readInput(name, what string) ([]byte, error) {
	var in io.Reader
	if name == "" || name == "-" {
		if a.usesStdin != "" {
			return nil, usagef("%s and %s cannot both be read from the standard input", a.usesStdin, what)
		}
		a.usesStdin = what
		if isTerminal(a.stdin) {
			a.notef("Reading %s from the standard input; end it with ctrl-D.\n", what)
		}
		in = a.stdin
	} else {
		file, err := os.Open(name)
		if err != nil {
			return nil, usagef("%s: %v", what, err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	switch {
	case err != nil:
		return nil, usagef("%s: %v", what, err)
	case len(data) > maxInput:
		return nil, usagef("%s is larger than %d MiB", what, maxInput>>20)
	}
	return data, nil
}
