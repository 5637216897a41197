package envflag_test

import (
	"flag"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/examples/internal/envflag"
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		env  map[string]string
		want time.Duration
	}{
		"default": {want: time.Second},
		"flag":    {args: []string{"-drain-timeout", "2s"}, want: 2 * time.Second},
		"variable": {env: map[string]string{"APP_DRAIN_TIMEOUT": "3s"},
			want: 3 * time.Second},
		"flag before variable": {args: []string{"-drain-timeout=2s"},
			env: map[string]string{"APP_DRAIN_TIMEOUT": "3s"}, want: 2 * time.Second},
		"flag that is the default": {args: []string{"-drain-timeout=1s"},
			env: map[string]string{"APP_DRAIN_TIMEOUT": "3s"}, want: time.Second},
		"variable of another thing": {env: map[string]string{"OTHER_DRAIN_TIMEOUT": "3s"},
			want: time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flags := flag.NewFlagSet("app", flag.ContinueOnError)
			got := flags.Duration("drain-timeout", time.Second, "how long to wait")
			require.NoError(t, envflag.Parse(flags, tt.args, "APP_",
				func(name string) string { return tt.env[name] }))
			assert.Equal(t, tt.want, *got)
		})
	}
}

func TestParseNamesEveryWrongVariable(t *testing.T) {
	t.Parallel()
	flags := flag.NewFlagSet("app", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Bool("dev", false, "")
	flags.Duration("wait", 0, "")
	err := envflag.Parse(flags, nil, "APP_", func(string) string { return "perhaps" })
	require.Error(t, err)
	assert.ErrorContains(t, err, `APP_DEV: must be true or false, not "perhaps"`)
	assert.ErrorContains(t, err, "APP_WAIT")
}
