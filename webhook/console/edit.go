package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// editBody is the form of a subscription.
type editBody struct {
	// ID is empty for a new one.
	ID                          string
	Revision                    int64
	Name, EventTypes            string
	MaxAttempts, MaxAge, Delays string
	Order, SkipAfter            string // Order is "subject", or empty for none
	Channels                    []channelForm
	Available                   []string // channels to add
	Types                       []event.TypeInfo
	Full                        bool // no more channels fit
	Problems                    map[string]string
	General                     []string
	RetrySet                    bool
	// MayOrder says that the form has the fields of an order, and OrderSet that one is set.
	MayOrder, OrderSet bool
}

// Problem returns what is wrong with a field.
func (b *editBody) Problem(field string) string { return b.Problems[field] }

// Wrong is how many fields have a problem.
func (b *editBody) Wrong() int { return len(b.Problems) + len(b.General) }

func (c *Console) newEdit() *editBody {
	return &editBody{Problems: map[string]string{}, Available: c.dispatcher.Channels().Names(),
		Types: c.cfg.Catalogue, MayOrder: c.dispatcher.Capabilities().Ordering != nil}
}

func (c *Console) newSubscription(q *request) error {
	body := c.newEdit()
	name := q.URL.Query().Get("channel")
	for _, available := range body.Available {
		if available == name {
			body.Channels = append(body.Channels, c.emptyForm(0, name, nil))
		}
	}
	if len(body.Channels) == 0 && len(body.Available) > 0 {
		first := body.Available[len(body.Available)-1] // "webhook" where there is one
		body.Channels = append(body.Channels, c.emptyForm(0, first, nil))
	}
	return c.editPage(q, http.StatusOK, body)
}

func (c *Console) editSubscription(q *request) error {
	sub, err := c.subscription(q)
	if err != nil {
		return err
	}
	body, err := c.editOf(sub)
	if err != nil {
		return err
	}
	return c.editPage(q, http.StatusOK, body)
}

func (c *Console) editPage(q *request, status int, body *editBody) error {
	title := "New subscription"
	if body.ID != "" {
		title = "Edit subscription"
	}
	body.Full = len(body.Channels) >= webhook.MaxChannels
	body.RetrySet = body.MaxAttempts+body.MaxAge+body.Delays != "" || body.Problems["retry"] != ""
	body.OrderSet = body.Order+body.SkipAfter+body.Problems["order"] != ""
	for i := range body.Channels {
		for j := range body.Channels[i].Fields {
			f := &body.Channels[i].Fields[j]
			f.Problem = body.Problems[f.Key]
		}
		body.Channels[i].Problem = body.Problems["c"+strconv.Itoa(i)]
	}
	q.render(status, "edit", page{Title: title, Section: "subscriptions"}, body)
	return nil
}

// editOf returns the form of a stored subscription, with masks.
func (c *Console) editOf(sub *webhook.Subscription) (*editBody, error) {
	masked, err := c.fields.Masked(sub)
	if err != nil {
		return nil, err
	}
	body := c.newEdit()
	body.ID, body.Revision, body.Name = sub.ID, sub.Revision, sub.Name
	var types []string
	for _, pattern := range sub.EventTypes {
		types = append(types, string(pattern))
	}
	body.EventTypes = strings.Join(types, "\n")
	if r := sub.Retry; r != nil {
		body.MaxAttempts = countText(int64(r.MaxAttempts))
		body.MaxAge = countText(int64(r.MaxAge / time.Second))
		var delays []string
		for _, d := range r.Delays {
			delays = append(delays, strconv.FormatInt(int64(d/time.Second), 10))
		}
		body.Delays = strings.Join(delays, ", ")
	}
	if o := sub.Ordering; o != nil {
		body.Order, body.MayOrder = orderBySubject, true
		body.SkipAfter = countText(int64(o.SkipAfter / time.Second))
	}
	for i, channel := range masked.Channels {
		body.Channels = append(body.Channels, c.channelForm(i, channel))
	}
	return body, nil
}

// countText writes a number; zero, which is none, is empty.
func countText(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// readEdit reads the form that was sent.
func (c *Console) readEdit(form url.Values) *editBody {
	body := c.newEdit()
	body.Revision, _ = strconv.ParseInt(form.Get("revision"), 10, 64)
	body.Name = strings.TrimSpace(form.Get("name"))
	body.EventTypes = form.Get("event_types")
	body.MaxAttempts = strings.TrimSpace(form.Get("max_attempts"))
	body.MaxAge = strings.TrimSpace(form.Get("max_age"))
	body.Delays = strings.TrimSpace(form.Get("delays"))
	body.Order = form.Get("order")
	body.SkipAfter = strings.TrimSpace(form.Get("skip_after"))
	for i := 0; i < webhook.MaxChannels; i++ {
		name := form.Get(key(i, "*channel"))
		if name == "" {
			break
		}
		var members []string
		for input := range form {
			if member, ok := strings.CutPrefix(input, key(i, "")); ok && member != "" && member[0] != '*' {
				members = append(members, member)
			}
		}
		slices.Sort(members)
		channel := c.emptyForm(i, name, members)
		for j := range channel.Fields {
			channel.Fields[j].Value = form.Get(channel.Fields[j].Key)
		}
		body.Channels = append(body.Channels, channel)
	}
	return body
}

// act adds or removes a channel, if one of these buttons was pressed, and reports whether it was.
func (c *Console) act(body *editBody, do string) bool {
	action, which, _ := strings.Cut(do, ":")
	switch action {
	case "add":
		for _, name := range body.Available {
			if name == which && len(body.Channels) < webhook.MaxChannels {
				body.Channels = append(body.Channels, c.emptyForm(len(body.Channels), name, nil))
			}
		}
	case "remove":
		if i, err := strconv.Atoi(which); err == nil && i >= 0 && i < len(body.Channels) {
			body.Channels = append(body.Channels[:i], body.Channels[i+1:]...)
		}
	default:
		return false
	}
	for i := range body.Channels { // the positions have changed
		body.Channels[i].Index = i
		for j := range body.Channels[i].Fields {
			f := &body.Channels[i].Fields[j]
			f.Key = key(i, f.name)
		}
	}
	return true
}

// apply makes the subscription of the form, and collects what is wrong with its values.
func (b *editBody) apply(sub *webhook.Subscription) {
	sub.Name = b.Name
	sub.EventTypes = nil
	for line := range strings.SplitSeq(b.EventTypes, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			sub.EventTypes = append(sub.EventTypes, event.Pattern(line))
		}
	}
	b.applyRetry(sub)
	b.applyOrder(sub)
	sub.Channels = nil
	for i := range b.Channels {
		sub.Channels = append(sub.Channels, b.applyChannel(&b.Channels[i]))
	}
}

func (b *editBody) applyChannel(form *channelForm) webhook.ChannelConfig {
	config := webhook.ChannelConfig{Channel: form.Channel}
	members := map[string]json.RawMessage{}
	for _, f := range form.Fields {
		raw, err := configValue(f.Kind, f.Value)
		if err != nil {
			b.Problems[f.Key] = err.Error()
			continue
		}
		if f.name == "" {
			config.Configs = raw
			return config
		}
		members[f.name] = raw
	}
	config.Configs, _ = json.Marshal(members) // the values are JSON
	return config
}

// applyRetry changes the bounds that the form has, and keeps the rest of the policy.
func (b *editBody) applyRetry(sub *webhook.Subscription) {
	r := &webhook.Retry{}
	if sub.Retry != nil {
		r = sub.Retry.Clone()
	}
	r.MaxAttempts, r.MaxAge, r.Delays = 0, 0, nil
	if n, ok := b.count("max_attempts", b.MaxAttempts); ok {
		r.MaxAttempts = int(n)
	}
	if n, ok := b.count("max_age", b.MaxAge); ok {
		r.MaxAge = time.Duration(min(n, int64(webhook.MaxRetryAge/time.Second)+1)) * time.Second
	}
	for part := range strings.FieldsFuncSeq(b.Delays, func(c rune) bool {
		return c == ',' || c == ' ' || c == '\n' || c == '\r'
	}) {
		n, ok := b.count("delays", part)
		if !ok {
			break
		}
		r.Delays = append(r.Delays,
			time.Duration(min(n, int64(webhook.MaxRetryDelay/time.Second)+1))*time.Second)
	}
	sub.Retry = r
	if raw, err := json.Marshal(r); err == nil && string(raw) == "{}" {
		sub.Retry = nil
	}
}

// orderBySubject is the value of a form that asks for a [webhook.Ordering].
const orderBySubject = "subject"

func (b *editBody) applyOrder(sub *webhook.Subscription) {
	sub.Ordering = nil
	after, ok := b.count("skip_after", b.SkipAfter)
	switch b.Order {
	case "":
		if ok && after > 0 {
			b.Problems["skip_after"] = "is for events that go in order only"
		}
	case orderBySubject:
		sub.Ordering = &webhook.Ordering{SkipAfter: time.Duration(
			min(after, int64(webhook.MaxSkipAfter/time.Second)+1)) * time.Second}
	default:
		b.Problems["order"] = "must be one of the list"
	}
}

// count reads a number that is not negative; empty is none.
func (b *editBody) count(field, text string) (int64, bool) {
	if text == "" {
		return 0, true
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		b.Problems[field] = "must be a whole number"
		return 0, false
	}
	return n, true
}

// inputs are the inputs of the form for the fields of a subscription's JSON.
var inputs = map[any]string{"webhook_name": "name", "event_types": "event_types",
	"ordering": "order"}

// place adds a problem at the input that it is about.
func (b *editBody) place(path []any, rule string) {
	field, rest := "", path
	if len(path) > 0 {
		field, rest = inputs[path[0]], path[1:]
	}
	switch {
	case len(path) > 1 && path[0] == "retry":
		field, rest = map[any]string{"max_attempts": "max_attempts", "max_age_seconds": "max_age",
			"delays_seconds": "delays"}[path[1]], path[2:]
		b.Problems["retry"] = "has a problem"
	case len(path) > 1 && path[0] == "ordering":
		field, rest = map[any]string{"skip_after_seconds": "skip_after"}[path[1]], path[2:]
	case len(path) > 1 && path[0] == "channels":
		i, ok := path[1].(int)
		if !ok || i >= len(b.Channels) {
			break
		}
		field, rest = "c"+strconv.Itoa(i), path[2:]
		if len(rest) > 1 && rest[0] == "configs" {
			for _, f := range b.Channels[i].Fields {
				if f.name == fmt.Sprint(rest[1]) || f.name == "" {
					field, rest = f.Key, rest[2:]
					break
				}
			}
		}
	}
	if field == "" {
		b.General = append(b.General, strings.TrimSpace(where(path)+" "+rule))
		return
	}
	if b.Problems[field] == "" {
		b.Problems[field] = strings.TrimSpace(where(rest) + " " + rule)
	}
}

// where writes a path for people.
func where(path []any) string {
	words := make([]string, len(path))
	for i, part := range path {
		if position, ok := part.(int); ok {
			part = position + 1
		}
		words[i] = fmt.Sprint(part)
	}
	return strings.Join(words, " ")
}

// check adds the problems of an error, and returns the error if it is none of the form.
func (b *editBody) check(err error) error {
	var invalid *event.ValidationError
	var limit *webhook.LimitError
	switch {
	case errors.As(err, &invalid):
		for _, p := range invalid.Problems {
			b.place(p.Path(), p.Rule)
		}
		return nil
	case errors.As(err, &limit):
		b.General = append(b.General, "The organization may have at most "+limitText(limit))
		return nil
	}
	return err
}

// restore puts stored values in the place of masks, and leaves out fields without a value.
func (c *Console) restore(body *editBody, sub, stored *webhook.Subscription) {
	c.fields.Restore(sub, stored, body.place)
	for i := range sub.Channels {
		var members map[string]json.RawMessage
		if json.Unmarshal(sub.Channels[i].Configs, &members) != nil {
			continue // the check of the subscription reports it
		}
		for name, value := range members {
			if string(value) == "null" {
				delete(members, name)
			}
		}
		if members != nil {
			sub.Channels[i].Configs, _ = json.Marshal(members) // it was decoded
		}
	}
}

func (c *Console) createSubscription(q *request) error {
	body := c.readEdit(q.PostForm)
	if c.act(body, q.PostForm.Get("do")) {
		return c.editPage(q, http.StatusOK, body)
	}
	sub := &webhook.Subscription{OrganizationID: q.organizationID}
	body.apply(sub)
	c.restore(body, sub, nil)
	if body.Wrong() == 0 {
		err := c.dispatcher.CreateSubscription(q.Context(), sub) // it sets the id
		err = q.audit(Change{Action: "create", SubscriptionID: sub.ID}, err)
		if err == nil {
			return q.redirect(q.link("/subscriptions/"+sub.ID, "done", "created"))
		}
		if err := body.check(err); err != nil {
			return err
		}
	} else if err := body.check(c.dispatcher.CheckSubscription(sub)); err != nil {
		return err
	}
	return c.editPage(q, http.StatusUnprocessableEntity, body)
}

func (c *Console) updateSubscription(q *request) error {
	stored, err := c.subscription(q)
	if err != nil {
		return err
	}
	body := c.readEdit(q.PostForm)
	body.ID = stored.ID
	if c.act(body, q.PostForm.Get("do")) {
		return c.editPage(q, http.StatusOK, body)
	}
	sub := stored.Clone()
	body.apply(sub)
	c.restore(body, sub, stored)
	if body.Revision != stored.Revision {
		body.Revision = stored.Revision
		body.General = append(body.General, "Someone else has changed this subscription in the meantime. "+
			"Saving again replaces their changes.")
	}
	if body.Wrong() == 0 {
		err := q.audit(Change{Action: "update", SubscriptionID: sub.ID},
			c.dispatcher.UpdateSubscription(q.Context(), sub))
		if err == nil {
			return q.redirect(q.link("/subscriptions/"+sub.ID, "done", "updated"))
		}
		if err := body.check(err); err != nil {
			return err
		}
	} else if err := body.check(c.dispatcher.CheckSubscription(sub)); err != nil {
		return err
	}
	return c.editPage(q, http.StatusUnprocessableEntity, body)
}
