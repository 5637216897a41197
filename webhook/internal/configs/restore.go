package configs

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// Restore sets the stored values where an update has masks, and where it leaves out fields that
// its client may not know: see [Fields.extensions]. It reports each mask that stands for no stored
// value, by its path in the subscription's JSON. stored is nil for a new webhook.
//
// Which value a mask stands for depends on which stored channel the channel is, and a wrong guess
// would send the secrets of one endpoint to another. A channel that is as it was answered is that
// stored channel, wherever it is in the list now. Each of the others is the stored channel of its
// name from which it differs least. If there are several of these, its masks are refused. So are
// the masks of a channel that now sends to another place, because the secret would be sent there.
func (f Fields) Restore(
	sub, stored *webhook.Subscription, report func(path []any, rule string),
) {
	pairs := &pairing{}
	refused := 0
	var left []pairable
	if stored != nil {
		old := f.shown(stored)
		pairs.pair(f.pairables(sub.Channels), old)
		left = pairs.left(old)
	}
	for i := range sub.Channels {
		c := &sub.Channels[i]
		var from *webhook.ChannelConfig
		if match, ok := pairs.of[i]; ok {
			from = &stored.Channels[match]
		}
		r := restoring{Fields: f, report: report, refused: &refused, channel: i, to: c, from: from}
		if from != nil {
			r.moved = !f.sameTarget(c.Channel, c, from)
			r.keepExtensions()
		} else if stored != nil {
			r.missExtensions(left)
		}
		r.unmask()
		c.Configs = accept(c.Channel, c.Configs)
	}
}

// shown returns the channels as they were answered, or none if the webhook is unreadable.
func (f Fields) shown(stored *webhook.Subscription) []pairable {
	masked, err := f.Masked(stored)
	if err != nil {
		return nil
	}
	return f.pairables(masked.Channels)
}

// restoring is the work on one channel.
type restoring struct {
	Fields
	report  func(path []any, rule string)
	refused *int // how many masks were reported, of all channels
	channel int  // its position in the body
	to      *webhook.ChannelConfig
	from    *webhook.ChannelConfig // the stored channel that it is; nil if there is none
	moved   bool                   // to sends to another place than from
}

const (
	ruleUnclear = "is a mask, and it is not clear which stored value it stands for: " +
		"send the value itself"
	ruleMoved = "is a mask, which stands for the stored value only while the channel sends to " +
		"the same scheme, host and port: send the value itself"
	// The same for a secret that an update leaves out.
	ruleMissing = "is absent, and it is not clear which stored value is to be kept: " +
		"send the value itself, or null for none"
	ruleMissingMoved = "is absent, and the stored value is kept only while the channel sends to " +
		"the same scheme, host and port: send the value itself, or null for none"
)

// unmask replaces the masks of the channel with the stored values.
func (r *restoring) unmask() {
	leaves, err := r.secretLeaves(*r.to)
	if err != nil {
		return // not JSON, which the check of the webhook reports
	}
	leaves = slices.DeleteFunc(leaves,
		func(l jsonLeaf) bool { return string(r.to.Configs[l.start:l.end]) != maskJSON })
	if len(leaves) == 0 {
		return
	}
	stored := storedValues(r.from)
	var replacements []replacement
	for _, leaf := range leaves {
		value := stored[leaf.path.key()]
		switch {
		case value == nil:
			r.refuse(leaf.path, ruleUnclear)
		case r.moved:
			r.refuse(leaf.path, ruleMoved)
		default:
			replacements = append(replacements, replacement{leaf, value})
		}
	}
	r.to.Configs = replaceLeaves(r.to.Configs, replacements)
}

// refuse reports a value of the configs.
func (r *restoring) refuse(path *jsonPath, rule string) {
	var parts []any
	switch *r.refused++; {
	case *r.refused <= event.MaxProblems:
		parts = path.parts()
	case path != nil: // many masks may share a path that is as long as the rest of the configs
		parts = []any{path.top}
	}
	r.report(leafLocation(r.channel, parts), rule)
}

// keepExtensions adds the stored extensions that the body leaves out. A field that is null is not
// left out: it removes the stored value.
func (r *restoring) keepExtensions() {
	now, err := readMembers(r.to.Configs)
	if err != nil {
		return // the check of the webhook reports it
	}
	stored, err := readMembers(r.from.Configs)
	if err != nil {
		return
	}
	kept, public := now, r.public(r.to.Channel)
	for _, name := range r.extensions(r.to.Channel) {
		i := find(stored, name)
		if find(now, name) >= 0 || i < 0 || stored[i].isNull() || replaces(r.to.Channel, now, name) {
			continue
		}
		if r.moved && !public(name) {
			r.report(leafLocation(r.channel, []any{name}), ruleMissingMoved)
			continue
		}
		kept = append(kept, stored[i])
	}
	if len(kept) == len(now) {
		return
	}
	if configs, err := writeMembers(kept); err == nil {
		r.to.Configs = configs
	}
}

// replaces reports whether the configs have a field that takes the place of the extension: an
// incoming webhook of Slack in place of a bot, a template of blocks in place of blocks.
func replaces(channelName string, now []member, extension string) bool {
	if channelName != "slack" {
		return false
	}
	switch extension {
	case "bot_token", "channel_id":
		return has(now, "webhook_url")
	case "blocks":
		return has(now, "blocks_template")
	}
	return false
}

// missExtensions reports each extension that the body leaves out, if the channel may
// be one of several stored channels, and any of them has the extension.
func (r *restoring) missExtensions(left []pairable) {
	now, err := readMembers(r.to.Configs)
	if err != nil {
		return
	}
	for _, name := range r.extensions(r.to.Channel) {
		if find(now, name) >= 0 || replaces(r.to.Channel, now, name) {
			continue
		}
		if slices.ContainsFunc(left, func(old pairable) bool {
			return old.name == r.to.Channel &&
				old.has(name)
		}) {
			r.report(leafLocation(r.channel, []any{name}), ruleMissing)
		}
	}
}

// storedValues returns the strings and numbers of a channel's configs, by path.
func storedValues(c *webhook.ChannelConfig) map[pathKey][]byte {
	values := map[pathKey][]byte{}
	if c == nil {
		return values
	}
	leaves, _ := jsonLeaves(c.Configs, nil) // what is stored is JSON, or null
	for _, leaf := range leaves {
		values[leaf.path.key()] = c.Configs[leaf.start:leaf.end]
	}
	return values
}

func leafLocation(channel int, path []any) []any {
	return append([]any{"channels", channel, "configs"}, path...)
}

// pairing says which stored channel each new one is: of[new] = old.
type pairing struct {
	of   map[int]int
	used map[int]bool
}

// pairable is a channel's configs, decoded, without fields that mean what their absence means. It
// is nil if they are not an object.
type pairable struct {
	name       string
	configs    map[string]any
	extensions []string
}

// has reports whether there is a field with the name that is neither null nor an empty string.
func (p pairable) has(name string) bool {
	value := p.configs[name]
	return value != nil && value != ""
}

func (f Fields) pairables(channels []webhook.ChannelConfig) []pairable {
	list := make([]pairable, len(channels))
	for i, c := range channels {
		list[i] = pairable{name: c.Channel, extensions: f.extensions(c.Channel)}
		if presentChannel(&c) == nil && decodeExact(c.Configs, &list[i].configs) != nil {
			list[i].configs = nil
		}
		maps.DeleteFunc(list[i].configs,
			func(name string, value any) bool { return isDefault(c.Channel, name, value) })
	}
	return list
}

// isDefault reports whether the value of a field of the contract's channels means the same as its
// absence. Clients that were generated from the contract send defaults, and spell numbers in
// their own way.
func isDefault(channelName, name string, value any) bool {
	if publishedFields(channelName) == nil {
		return false
	}
	switch value := value.(type) {
	case string:
		return value == "" || name == "method" && value == http.MethodPost || name == "content_type" &&
			value == "html"
	case json.Number:
		seconds, err := value.Float64()
		return err == nil && name == "timeout" &&
			(seconds == 0 || seconds == channelkit.DefaultTimeout.Seconds())
	case []any:
		return len(value) == 0
	case map[string]any:
		return len(value) == 0
	}
	return value == nil
}

func (p *pairing) pair(now, old []pairable) {
	p.of, p.used = map[int]int{}, map[int]bool{}
	equal := func(i, j int) bool {
		return now[i].name == old[j].name && (now[i].configs == nil) == (old[j].configs == nil) &&
			differences(now[i], old[j]) == 0
	}
	for i := range now { // the same position first
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

// left returns the old channels that are not paired.
func (p *pairing) left(old []pairable) (left []pairable) {
	for j, o := range old {
		if !p.used[j] {
			left = append(left, o)
		}
	}
	return left
}

func (p *pairing) take(i, j int) { p.of[i], p.used[j] = j, true }

func (p *pairing) free(i, j int) bool {
	_, paired := p.of[i]
	return !paired && !p.used[j]
}

// nearest returns the old channel of the same name that is not paired and has the fewest
// differences, if there is exactly one.
func (p *pairing) nearest(i int, now, old []pairable) (nearest int, ok bool) {
	least := -1
	for j := range old {
		if !p.free(i, j) || now[i].name != old[j].name {
			continue
		}
		switch n := differences(now[i], old[j]); {
		case least < 0 || n < least:
			nearest, least, ok = j, n, true
		case n == least:
			ok = false
		}
	}
	return nearest, ok
}

// differences counts the members that are not the same in both objects, except the extensions
// that the new one leaves out.
func differences(now, old pairable) (n int) {
	for name, value := range now.configs {
		if other, ok := old.configs[name]; !ok || !sameValue(value, other) {
			n++
		}
	}
	for name := range old.configs {
		if _, ok := now.configs[name]; !ok && !slices.Contains(now.extensions, name) {
			n++
		}
	}
	return n
}

// sameValue compares decoded values, and numbers by their value.
func sameValue(a, b any) bool {
	x, isNumber := a.(json.Number)
	y, areNumbers := b.(json.Number)
	if isNumber && areNumbers {
		fx, errX := x.Float64()
		fy, errY := y.Float64()
		return x == y || errX == nil && errY == nil && fx == fy
	}
	return reflect.DeepEqual(a, b)
}

// decodeExact decodes JSON and keeps numbers as they are written.
func decodeExact(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(v)
}
