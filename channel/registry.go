package channel

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/mixpeek/webhooks-go/channel/internal/printable"
	"github.com/mixpeek/webhooks-go/event"
)

var channelName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// A Registry holds the drivers that subscriptions can name. It is safe for concurrent use.
// NewRegistry makes an empty one; standard.New makes one with the channels of this module. The zero
// Registry must not be used.
type Registry struct {
	mu      sync.RWMutex
	drivers map[string]Driver
	absent  map[string]string // contract names that are not set up, and why

	middleware []Middleware
}

// A Middleware wraps a channel that was opened under the given name, to measure, log, trace or
// limit its attempts. It may return next itself.
//
//	registry.Use(func(name string, next channel.Channel) channel.Channel {
//		send := func(ctx context.Context, m *channel.Message) (channel.Result, error) {
//			begin := time.Now()
//			result, err := next.Send(ctx, m)
//			observe(name, time.Since(begin), err)
//			return result, err
//		}
//		return channel.WithSend(next, send)
//	})
//
// The Channel that a Middleware returns must keep the contract of Channel, with the Capabilities of
// next. A Middleware cannot change the configuration or the Schema: wrap the Driver for that. For
// the HTTP requests below a channel see channelkit.HTTPConfig.Middleware.
type Middleware func(name string, next Channel) Channel

// Use adds middleware for the channels that are opened from now on, by any driver. The first one is
// the outermost.
func (r *Registry) Use(middleware ...Middleware) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.middleware = append(r.middleware, middleware...)
}

// NewRegistry returns an empty Registry.
func NewRegistry() *Registry {
	return &Registry{drivers: map[string]Driver{}, absent: map[string]string{}}
}

// Register adds a driver under a name of at most 64 lower-case letters, digits and underscores,
// which begins with a letter. It returns an error if the name is taken or invalid, or the driver is
// nil.
func (r *Registry) Register(name string, d Driver) error {
	if !channelName.MatchString(name) {
		return fmt.Errorf("channel: Register %q: a name is lower-case letters, digits and underscores, at most 64", name)
	}
	if d == nil {
		return errors.New("channel: Register " + name + ": nil driver")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.drivers[name]; ok {
		return fmt.Errorf("channel: Register %q: the name is taken", name)
	}
	r.drivers[name] = d
	return nil
}

// MarkUnavailable sets the reason why a name has no driver. The errors of configurations that use
// the name give that reason. A driver can still be registered under the name later.
func (r *Registry) MarkUnavailable(name, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.absent[name] = reason
}

// Names returns the registered names in alphabetical order.
func (r *Registry) Names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	names := make([]string, 0, len(r.drivers))
	for name := range r.drivers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Open opens a configuration with the driver of that name. It returns an *event.ValidationError if
// there is no such driver or the configuration is invalid. The paths in that error are relative to
// the object that holds both: "channel" for the name, "configs.url" for a field of the
// configuration. Open returns another error if the driver or a Middleware returns neither a Channel
// nor an error.
func (r *Registry) Open(name string, config json.RawMessage) (Channel, error) {
	r.mu.RLock()
	d, ok := r.drivers[name]
	why, middleware := r.absent[name], r.middleware
	r.mu.RUnlock()

	var problems event.Problems
	if !ok {
		if why != "" {
			problems.Add("channel", "%q is not set up here: %s", name, why)
		} else {
			problems.Add("channel", "must be one of %s, not %q", strings.Join(r.Names(), ", "),
				printable.Clip(name, 64))
		}
		return nil, problems.Err()
	}
	c, err := d.Open(config)
	if err != nil {
		problems.AddError("configs", err)
		return nil, problems.Err()
	}
	for _, wrap := range slices.Backward(middleware) {
		if c != nil {
			c = wrap(name, c)
		}
	}
	if c == nil {
		return nil,
			fmt.Errorf("channel: driver %q, or a middleware, returned neither a channel nor an error", name)
	}
	return c, nil
}

// Fields returns the fields that configurations of the named channel can have. It returns false if
// there is no such channel, or if its driver does not list them: see [Schema].
func (r *Registry) Fields(name string) ([]Field, bool) {
	r.mu.RLock()
	d, ok := r.drivers[name]
	r.mu.RUnlock()
	if !ok {
		return nil, false
	}
	fields := d.Schema().Fields
	return fields, fields != nil
}
