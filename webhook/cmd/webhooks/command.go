package main

import (
	"context"
	"fmt"
	"strings"
)

// action does what a command does. args are its arguments without flags.
type action func(ctx context.Context, a *app, args []string) error

// command is one command. Help, completion and the check of arguments follow from it.
type command struct {
	name    string   // one or two words
	args    string   // what follows the flags, as in help: "WEBHOOK [DELIVERY]"
	short   string   // one line
	long    string   // what it does, in paragraphs of at most 80 columns
	example string   // lines that can be pasted
	choices []string // what the first argument may be, if that is known
	// setup declares the flags and returns what uses them.
	setup func(*flagSet) action
}

// commands returns all commands in the order of help.
func commands() []*command {
	return []*command{
		&verifyCommand, &signCommand, &secretNewCommand, &secretRotateCommand, &suiteCommand,
		&templateCheckCommand, &templateRenderCommand, &listCommand, &pauseCommand, &resumeCommand,
		&triggerCommand,
		&deliveriesListCommand, &deliveriesShowCommand, &deliveriesTailCommand, &deliveriesReplayCommand,
		&deliveriesCancelCommand, &deliveriesSkipCommand, &deliveriesExportCommand, &replaysListCommand,
		&replaysShowCommand, &replaysStopCommand, &endpointsListCommand,
		&endpointsShowCommand, &endpointsEnableCommand,
		&endpointsDisableCommand, &keysListCommand, &keysCreateCommand, &keysRevokeCommand, &doctorCommand, &listenCommand,
		&completionCommand, &versionCommand,
	}
}

// find returns the command that args begin with, and the rest of args.
func find(args []string) (*command, []string) {
	for words := min(2, len(args)); words > 0; words-- {
		name := strings.Join(args[:words], " ")
		for _, c := range commands() {
			if c.name == name {
				return c, args[words:]
			}
		}
	}
	return nil, nil
}

// checkCount checks the number of arguments against c.args, where [X] may be left out.
func (c *command) checkCount(args []string) error {
	words := strings.Fields(c.args)
	required := 0
	for _, word := range words {
		if !strings.HasPrefix(word, "[") {
			required++
		}
	}
	switch {
	case len(args) < required:
		return fmt.Errorf("%s: %s is missing", c.name, words[len(args)])
	case len(args) > len(words):
		return fmt.Errorf("%s: %q is one argument too many", c.name, args[len(words)])
	}
	return nil
}
