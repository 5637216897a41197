package channel_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/channel"
)

// What is shown to people names no class, and says nothing twice.
func TestDescribe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		class channel.Class
		text  string
		want  string
	}{
		{channel.ClassStatus, "the endpoint answered 410 Gone", "the endpoint answered 410 Gone"},
		{channel.ClassConnect, "connection refused", "no connection: connection refused"},
		{channel.ClassTimeout, "no connection in time", "no connection in time"},
		{channel.ClassTimeout, "", "no complete answer in time"},
		{"out_of_paper", "", "out of paper"},
		{"out_of_paper", "tray 2 is empty", "tray 2 is empty"},
		{"", "", "unknown"},
	} {
		assert.Equal(t, c.want, channel.Describe(c.class, c.text))
	}
}
