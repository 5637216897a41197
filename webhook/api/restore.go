package api

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/mixpeek/webhooks-go/webhook"
)

// restore puts the stored values where the body of an update has masks, and
// reports masks that stand for nothing. stored is nil for a new webhook.
//
// What a mask stands for depends on which stored channel its channel is, and a
// wrong guess would send one endpoint's secrets to another. So a channel that
// came back as it was answered is that one, wherever it stands in the list now;
// of the others, one belongs to the stored channel of its name that it differs
// least from; and if that is more than one, its masks are refused.
func (f configFields) restore(p *problems, w, stored *webhook.Webhook) {
	pairs := &pairing{}
	if stored != nil {
		masked, err := f.mask(stored, nil)
		if err != nil {
			masked = &webhook.Webhook{} // unreadable: there is nothing to restore
		}
		pairs.pair(w.Channels, masked.Channels)
	}
	for i := range w.Channels {
		c := &w.Channels[i]
		var from *webhook.ChannelConfig
		if match, ok := pairs.of[i]; ok {
			from = &stored.Channels[match]
		}
		f.restoreChannel(p, i, c, from)
	}
}

// restoreChannel replaces the masks of one channel by the values of another.
func (f configFields) restoreChannel(p *problems, i int, c, from *webhook.ChannelConfig) {
	leaves, err := f.secretLeaves(*c)
	if err != nil {
		return // not JSON: the check of the webhook says so
	}
	var replacements []replacement
	for _, leaf := range leaves {
		if string(c.Configs[leaf.start:leaf.end]) != maskJSON {
			continue
		}
		value := storedValue(from, c, leaf.path)
		if value == nil {
			p.add(leafLocation(i, leaf.path), typeValue,
				"is a mask, and it is not clear which stored value it stands for: send the value itself")
			continue
		}
		replacements = append(replacements, replacement{leaf, value})
	}
	c.Configs = replaceLeaves(c.Configs, replacements)
}

// storedValue returns the stored value of a path, nil if there is none. Within
// lists a position means the same only if both are equally long.
func storedValue(from, c *webhook.ChannelConfig, path []any) []byte {
	if from == nil {
		return nil
	}
	var a, b any
	if json.Unmarshal(from.Configs, &a) != nil || json.Unmarshal(c.Configs, &b) != nil {
		return nil
	}
	for _, part := range path {
		switch part := part.(type) {
		case string:
			x, _ := a.(map[string]any)
			y, _ := b.(map[string]any)
			a, b = x[part], y[part]
		case int:
			x, _ := a.([]any)
			y, _ := b.([]any)
			if part >= len(x) || len(x) != len(y) {
				return nil
			}
			a, b = x[part], y[part]
		}
	}
	leaves, err := jsonLeaves(from.Configs)
	if err != nil {
		return nil
	}
	for _, leaf := range leaves {
		if slices.Equal(leaf.path, path) {
			return from.Configs[leaf.start:leaf.end]
		}
	}
	return nil
}

func leafLocation(channel int, path []any) []any {
	return append([]any{"body", "channels", channel, "configs"}, path...)
}

// pairing says which old channel a new one is: of[new] = old.
type pairing struct {
	of   map[int]int
	used map[int]bool
}

func (p *pairing) pair(now, old []webhook.ChannelConfig) {
	p.of, p.used = map[int]int{}, map[int]bool{}
	equal := func(i, j int) bool {
		return now[i].Channel == old[j].Channel && sameJSON(now[i].Configs, old[j].Configs)
	}
	for i := range now { // where it was, before anywhere else
		if i < len(old) && equal(i, i) {
			p.take(i, i)
		}
	}
	for i := range now {
		for j := range old {
			if p.free(i, j) && equal(i, j) {
				p.take(i, j)
			}
		}
	}
	for i := range now {
		if j, ok := p.nearest(i, now, old); ok {
			p.take(i, j)
		}
	}
}

func (p *pairing) take(i, j int) { p.of[i], p.used[j] = j, true }

func (p *pairing) free(i, j int) bool {
	_, paired := p.of[i]
	return !paired && !p.used[j]
}

// nearest returns the one free old channel of the same name that has the
// fewest members that differ.
func (p *pairing) nearest(i int, now, old []webhook.ChannelConfig) (nearest int, ok bool) {
	least := -1
	for j := range old {
		if !p.free(i, j) || now[i].Channel != old[j].Channel {
			continue
		}
		switch n := differences(now[i].Configs, old[j].Configs); {
		case least < 0 || n < least:
			nearest, least, ok = j, n, true
		case n == least:
			ok = false
		}
	}
	return nearest, ok
}

// differences counts the members that two objects do not share.
func differences(a, b json.RawMessage) (n int) {
	var x, y map[string]any
	if decodeExact(a, &x) != nil || decodeExact(b, &y) != nil {
		return 0
	}
	for name, value := range x {
		if other, ok := y[name]; !ok || !reflect.DeepEqual(value, other) {
			n++
		}
	}
	for name := range y {
		if _, ok := x[name]; !ok {
			n++
		}
	}
	return n
}
