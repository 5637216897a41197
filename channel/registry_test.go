package channel_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	r := channel.NewRegistry()
	none := channel.Func(func(context.Context, *channel.Message) (channel.Result,
		error) {
		return channel.Result{}, nil
	})
	require.NoError(t, r.Register("teams", none))
	require.NoError(t, r.Register("in_app", none), "a reserved name is a user's to register")
	assert.Equal(t, []string{"in_app", "teams"}, r.Names())

	assert.Error(t, r.Register("teams", none), "taken")
	assert.Error(t, r.Register("empty", nil))
	for _, bad := range []string{"", "Teams", "a-b", "1a", "_a", "a b", strings.Repeat("a", 65)} {
		assert.Error(t, r.Register(bad, none), "%q", bad)
	}

	c, err := r.Open("teams", json.RawMessage(`{}`))
	require.NoError(t, err)
	require.NotNil(t, c)

	_, err = r.Open("pager", nil)
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, []event.Problem{{Field: "channel", Code: event.CodeInvalid,
		Rule: `must be one of in_app, teams, not "pager"`}}, invalid.Problems)
}

func TestRegistryOpenErrors(t *testing.T) {
	t.Parallel()
	r := channel.NewRegistry()
	driver := func(c channel.Channel, err error) channel.Driver {
		return channel.DriverFunc(func(json.RawMessage) (channel.Channel, error) { return c, err })
	}
	require.NoError(t, r.Register("wrong",
		driver(nil, &event.ValidationError{Problems: []event.Problem{{Field: "url", Rule: "is required"},
			{Rule: "must be an object"}}})))
	require.NoError(t, r.Register("broken", driver(nil, errors.New("no idea"))))
	require.NoError(t, r.Register("nothing", driver(nil, nil)))

	_, err := r.Open("wrong", nil)
	assert.EqualError(t, err, "invalid: configs.url: is required; configs: must be an object")
	_, err = r.Open("broken", nil)
	assert.EqualError(t, err, "invalid: configs: no idea")
	_, err = r.Open("nothing", nil)
	assert.ErrorContains(t, err, "neither a channel nor an error")
}

// Middleware wraps every channel that is opened after it, the first outermost,
// and takes no capability away.
func TestRegistryMiddleware(t *testing.T) {
	t.Parallel()
	r := channel.NewRegistry()
	var passed []string
	pass := func(label string) channel.Middleware {
		return func(name string, next channel.Channel) channel.Channel {
			return channel.WithSend(next, func(ctx context.Context, m *channel.Message) (channel.Result,
				error) {
				passed = append(passed, label+" "+name)
				return next.Send(ctx, m)
			})
		}
	}
	want := channel.Capabilities{Timeout: time.Second, Host: "example.com", MaxInFlight: 3}
	require.NoError(t, r.Register("mine",
		channel.DriverFunc(func(json.RawMessage) (channel.Channel, error) {
			return capable{func(context.Context, *channel.Message) (channel.Result, error) {
				passed = append(passed, "sent")
				return channel.Result{}, nil
			}, want}, nil
		})))
	r.Use(pass("outer"))
	r.Use(pass("inner"))
	c, err := r.Open("mine", nil)
	require.NoError(t, err)
	_, err = c.Send(t.Context(), &channel.Message{})
	require.NoError(t, err)
	assert.Equal(t, []string{"outer mine", "inner mine", "sent"}, passed)
	assert.Equal(t, want, c.Capabilities())

	r.Use(func(string, channel.Channel) channel.Channel { return nil })
	_, err = r.Open("mine", nil)
	assert.ErrorContains(t, err, "neither a channel nor an error")
}

type capable struct {
	channel.Func
	capabilities channel.Capabilities
}

func (c capable) Capabilities() channel.Capabilities { return c.capabilities }

func TestRegistryFields(t *testing.T) {
	t.Parallel()
	r := channel.NewRegistry()
	require.NoError(t, r.Register("silent", channel.Func(nil)))
	require.NoError(t, r.Register("none", described{nil, []channel.Field{}}))
	require.NoError(t, r.Register("one", described{nil, []channel.Field{{Name: "url"}}}))
	for name, want := range map[string]int{"silent": -1, "nobody": -1, "none": 0, "one": 1} {
		fields, ok := r.Fields(name)
		assert.Equal(t, want >= 0, ok, name)
		assert.Len(t, fields, max(want, 0), name)
	}
}

type described struct {
	channel.Func
	fields []channel.Field
}

func (d described) Schema() channel.Schema { return channel.Schema{Fields: d.fields} }
