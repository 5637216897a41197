package api

import (
	"fmt"
	"slices"
	"strconv"
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

// secretName is what a secret is asked for by: channels.0.configs.headers.X-Token.
func secretName(channel int, path *jsonPath) string {
	parts := []string{"channels", strconv.Itoa(channel), "configs"}
	for _, part := range path.parts() {
		parts = append(parts, fmt.Sprint(part))
	}
	return strings.Join(parts, ".")
}

// mask returns a copy of the webhook in which secrets are masked, but for those
// that are named in reveal. A name that is no secret of the webhook is a problem.
func (f configFields) mask(w *webhook.Webhook, reveal []string) (*webhook.Webhook, error) {
	masked := w.Clone()
	var revealed []string
	for i, c := range masked.Channels {
		leaves, err := f.secretLeaves(c)
		if err != nil {
			return nil, err
		}
		var replacements []replacement
		for _, leaf := range leaves {
			if len(reveal) > 0 {
				if name := secretName(i, leaf.path); slices.Contains(reveal, name) {
					revealed = append(revealed, name)
					continue
				}
			}
			replacements = append(replacements, replacement{leaf, []byte(maskJSON)})
		}
		masked.Channels[i].Configs = replaceLeaves(c.Configs, replacements)
	}
	p := &problems{}
	for _, name := range reveal {
		if !slices.Contains(revealed, name) {
			p.add([]any{"query", "reveal"}, typeValue, "must name a secret of the webhook, such as channels.0.configs.headers.X-Token")
			break
		}
	}
	return masked, p.err()
}

// answer returns the webhook as answers have it: see [present] and
// [configFields.mask].
func (f configFields) answer(w *webhook.Webhook, reveal []string) (*webhook.Webhook, error) {
	shown, err := present(w)
	if err != nil {
		return nil, err
	}
	return f.mask(shown, reveal)
}

func (f configFields) answerAll(list []*webhook.Webhook) ([]*webhook.Webhook, error) {
	masked := make([]*webhook.Webhook, len(list))
	for i, w := range list {
		var err error
		if masked[i], err = f.answer(w, nil); err != nil {
			return nil, err
		}
	}
	return masked, nil
}
