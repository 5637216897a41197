package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Mask stands in answers for the value of a secret, and in an update for the
// value that is stored.
const Mask = "********"

const maskJSON = `"` + Mask + `"`

// secretLeaves returns the secrets in a channel's configs. Empty strings are
// none.
func (f configFields) secretLeaves(c webhook.ChannelConfig) ([]jsonLeaf, error) {
	leaves, err := jsonLeaves(c.Configs, f.public(c.Channel))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(leaves, func(l jsonLeaf) bool { return string(c.Configs[l.start:l.end]) == `""` }), nil
}

// maxReveal is how many secrets one answer may show.
const maxReveal = 100

// asked returns which of the names asks for the secret, such as
// channels.0.configs.headers.X-Token; -1 is none.
func asked(reveal []string, channel int, path *jsonPath) int {
	if len(reveal) == 0 || path == nil {
		return -1
	}
	configs := fmt.Sprintf("channels.%d.configs.", channel)
	return slices.IndexFunc(reveal, func(name string) bool {
		rest, ok := strings.CutPrefix(name, configs)
		return ok && path.named(rest)
	})
}

// mask returns a copy of the webhook in which secrets are masked, but for those
// that are named in reveal. A name that is no secret of the webhook is a problem.
func (f configFields) mask(sub *webhook.Subscription, reveal []string) (*webhook.Subscription, error) {
	if len(reveal) > maxReveal {
		p := &problems{}
		p.add([]any{"query", "reveal"}, typeTooLong, "must be there at most %d times", maxReveal)
		return nil, p
	}
	masked := sub.Clone()
	revealed := make([]bool, len(reveal))
	for i, c := range masked.Channels {
		leaves, err := f.secretLeaves(c)
		if err != nil {
			return nil, err
		}
		var replacements []replacement
		for _, leaf := range leaves {
			if name := asked(reveal, i, leaf.path); name >= 0 {
				revealed[name] = true
				continue
			}
			replacements = append(replacements, replacement{leaf, []byte(maskJSON)})
		}
		masked.Channels[i].Configs = replaceLeaves(c.Configs, replacements)
	}
	p := &problems{}
	for i, name := range reveal {
		if !revealed[i] && slices.Index(reveal, name) == i {
			p.add([]any{"query", "reveal"}, typeValue, "must name a secret of the webhook, such as channels.0.configs.headers.X-Token")
			break
		}
	}
	return masked, p.err()
}

// answer returns the webhook as answers have it: see [present] and
// [configFields.mask].
func (f configFields) answer(sub *webhook.Subscription, reveal []string) (*webhook.Subscription, error) {
	shown, err := present(sub)
	if err != nil {
		return nil, err
	}
	return f.mask(shown, reveal)
}

func (f configFields) answerAll(list []*webhook.Subscription) ([]*webhook.Subscription, error) {
	masked := make([]*webhook.Subscription, len(list))
	for i, sub := range list {
		var err error
		if masked[i], err = f.answer(sub, nil); err != nil {
			return nil, err
		}
	}
	return masked, nil
}
