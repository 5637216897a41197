package template

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/flosch/pongo2/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// registryChild names what a child process of a test of the registry does, in its environment.
const registryChild = "TEMPLATE_REGISTRY_CHILD"

// noTemplates is a loader of pongo2 without templates.
type noTemplates struct{}

func (noTemplates) Abs(_, name string) string { return name }

func (noTemplates) Get(string) (io.Reader, error) {
	return nil,
		errors.New("there are no templates")
}

func TestMain(m *testing.M) {
	if os.Getenv(registryChild) != "" {
		if err := compileBesideTheHost(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// compileBesideTheHost compiles the first template of the process while other goroutines, such as
// those of the program that embeds us, compile templates of pongo2.
func compileBesideTheHost() error {
	const goroutines, templates = 8, 200
	var wg sync.WaitGroup
	errs := make(chan error, goroutines+1)
	begin := make(chan struct{})
	for range goroutines {
		wg.Go(func() {
			<-begin
			for i := range templates {
				if _, err := pongo2.NewSet("host",
					noTemplates{}).FromString(fmt.Sprintf("{%% if a%d %%}{{ b|upper }}{%% endif %%}",
					i)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Go(func() {
		<-begin
		if _, err := Compile("{% if a %}{{ b }}{% endif %}", Options{}); err != nil {
			errs <- err
		}
	})
	close(begin)
	wg.Wait()
	close(errs)
	return <-errs
}

// TestTheFirstCompileBesideTheHost runs a process in which the embedding program uses pongo2
// itself. The race detector sees a registration that is too late every time; without it, the
// process dies in some runs.
func TestTheFirstCompileBesideTheHost(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process, which takes a few hundredths of a second of CPU time")
	}
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), registryChild+"=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Run(), "%s", &out)
	assert.NotContains(t, out.String(), "DATA RACE")
}

// TestTheHostMayReplaceWhatItHas shows that what a program replaces and bans in pongo2 changes
// nothing here, and the other way round. It must not run while other tests do: it changes what the
// process shares.
func TestTheHostMayReplaceWhatItHas(t *testing.T) {
	silly := func(*pongo2.Parser, *pongo2.Token, *pongo2.Parser) (pongo2.INodeTag, *pongo2.Error) {
		return nil, &pongo2.Error{Sender: "host", OrigError: ErrForbidden}
	}
	const own = "set" // pongo2 has it too, and no other test uses pongo2's
	require.NoError(t, pongo2.ReplaceTag(own, silly))
	require.NoError(t, pongo2.ReplaceFilter("cut",
		func(*pongo2.Value, *pongo2.Value) (*pongo2.Value, *pongo2.Error) {
			return pongo2.AsValue("replaced"), nil
		}))
	pongo2.SetAutoescape(false)
	t.Cleanup(func() { pongo2.SetAutoescape(true) })

	got, err := render(t, "{% set x = '<' %}{{ x }}", nil, Options{Format: FormatHTML})
	require.NoError(t, err)
	assert.Equal(t, "&lt;", got)

	host := pongo2.NewSet("host", noTemplates{})
	require.NoError(t, host.BanFilter("upper"))
	require.NoError(t, host.BanTag("if"))
	got, err = render(t, "{% if 'a'|upper == 'A' %}yes{% endif %}", nil, Options{})
	require.NoError(t, err)
	assert.Equal(t, "yes", got)

	host = pongo2.NewSet("host", noTemplates{})
	tpl, err := host.FromString("{% if a %}{{ a|upper }}{% endif %}")
	require.NoError(t, err)
	got, err = tpl.Execute(pongo2.Context{"a": "x"})
	require.NoError(t, err)
	assert.Equal(t, "X", got)
}
