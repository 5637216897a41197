package main

import (
	"context"
	"flag"
	"slices"
	"strings"
)

var completionCommand = command{
	name: "completion", args: "SHELL", short: "Print the completion script for bash, zsh or fish",
	long: `
The script asks this program what fits, so it stays right after an update.`,
	example: `
source <(webhooks completion bash)    # in ~/.bashrc
source <(webhooks completion zsh)     # in ~/.zshrc, after compinit
webhooks completion fish | source     # in ~/.config/fish/config.fish`,
	choices: []string{"bash", "zsh", "fish"},
	setup: func(*flagSet) action {
		return func(_ context.Context, a *app, args []string) error {
			script, ok := completionScripts[args[0]]
			if !ok {
				return usagef("no completion for %q: it is there for bash, zsh and fish", args[0])
			}
			a.printf("%s", script)
			return nil
		}
	},
}

// completionScripts pass the words before the cursor on. What they print are the candidates; if
// there are none, the shell completes files.
var completionScripts = map[string]string{
	"bash": `_webhooks() {
	local IFS=$'\n'
	COMPREPLY=($("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _webhooks webhooks
`,
	"zsh": `#compdef webhooks
_webhooks() {
	local -a found
	found=(${(f)"$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
	if (( $#found )); then
		compadd -a found
	else
		_files
	fi
}
compdef _webhooks webhooks
`,
	"fish": `complete -c webhooks -a '(set -l words (commandline -opc) (commandline -ct); $words[1] __complete $words[2..] 2>/dev/null)'
`,
}

// complete prints what may stand in place of the last word, one on each line.
func (a *app) complete(words []string) error {
	if len(words) == 0 {
		words = []string{""}
	}
	before, last := words[:len(words)-1], words[len(words)-1]
	for _, candidate := range candidatesFor(before, last) {
		if strings.HasPrefix(candidate, last) {
			a.printf("%s\n", candidate)
		}
	}
	return nil
}

func candidatesFor(before []string, last string) (all []string) {
	if len(before) > 0 && before[0] == "help" {
		before = before[1:]
	}
	c, rest := find(before)
	if c == nil {
		return commandWords(before)
	}
	if !strings.HasPrefix(last, "-") {
		if len(rest) == 0 {
			return c.choices
		}
		return nil
	}
	set := newFlagSet(c.name)
	c.setup(set)
	set.VisitAll(func(f *flag.Flag) { all = append(all, "--"+f.Name) })
	return all
}

// commandWords are the words that may follow in the name of a command.
func commandWords(before []string) (all []string) {
	for _, c := range commands() {
		words := strings.Fields(c.name)
		if len(before) < len(words) && slices.Equal(words[:len(before)], before) &&
			!slices.Contains(all, words[len(before)]) {
			all = append(all, words[len(before)])
		}
	}
	if len(before) == 0 {
		all = append(all, "help")
	}
	return all
}
