package api

import (
	"encoding/json"
	"fmt"
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
	leaves = slices.DeleteFunc(leaves, func(l jsonLeaf) bool { return string(c.Configs[l.start:l.end]) != maskJSON })
	if len(leaves) == 0 {
		return
	}
	stored := newStoredValues(from, c)
	var replacements []replacement
	for _, leaf := range leaves {
		path := leaf.path.parts()
		value := stored.of(path)
		if value == nil {
			p.add(leafLocation(i, path), typeValue,
				"is a mask, and it is not clear which stored value it stands for: send the value itself")
			continue
		}
		replacements = append(replacements, replacement{leaf, value})
	}
	c.Configs = replaceLeaves(c.Configs, replacements)
}

// storedValues finds the values of one channel's configs for another's.
type storedValues struct {
	from, to any               // the configs, decoded
	values   map[string][]byte // of from, by path
}

func newStoredValues(from, to *webhook.ChannelConfig) *storedValues {
	s := &storedValues{values: map[string][]byte{}}
	if from == nil || json.Unmarshal(from.Configs, &s.from) != nil || json.Unmarshal(to.Configs, &s.to) != nil {
		return s
	}
	leaves, _ := jsonLeaves(from.Configs) // it has just been decoded
	for _, leaf := range leaves {
		s.values[pathKey(leaf.path.parts())] = from.Configs[leaf.start:leaf.end]
	}
	return s
}

// pathKey tells the name "0" from the position 0.
func pathKey(path []any) string { return fmt.Sprintf("%#v", path) }

// of returns the stored value of a path, nil if there is none. Within lists a
// position means the same only if both are equally long.
func (s *storedValues) of(path []any) []byte {
	a, b := s.from, s.to
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
	return s.values[pathKey(path)]
}

func leafLocation(channel int, path []any) []any {
	return append([]any{"body", "channels", channel, "configs"}, path...)
}

// pairing says which old channel a new one is: of[new] = old.
type pairing struct {
	of   map[int]int
	used map[int]bool
}

// pairable is a channel's configs, decoded with numbers as they are written;
// nil if that is not an object.
type pairable struct {
	name    string
	configs map[string]any
}

func pairables(channels []webhook.ChannelConfig) []pairable {
	list := make([]pairable, len(channels))
	for i, c := range channels {
		list[i].name = c.Channel
		if decodeExact(c.Configs, &list[i].configs) != nil {
			list[i].configs = nil
		}
	}
	return list
}

func (p *pairing) pair(channels, stored []webhook.ChannelConfig) {
	p.of, p.used = map[int]int{}, map[int]bool{}
	now, old := pairables(channels), pairables(stored)
	equal := func(i, j int) bool { return reflect.DeepEqual(now[i], old[j]) }
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
func (p *pairing) nearest(i int, now, old []pairable) (nearest int, ok bool) {
	least := -1
	for j := range old {
		if !p.free(i, j) || now[i].name != old[j].name {
			continue
		}
		switch n := differences(now[i].configs, old[j].configs); {
		case least < 0 || n < least:
			nearest, least, ok = j, n, true
		case n == least:
			ok = false
		}
	}
	return nearest, ok
}

// differences counts the members that two objects do not share.
func differences(x, y map[string]any) (n int) {
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
