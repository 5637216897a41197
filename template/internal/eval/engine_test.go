package eval

import (
	"strings"
	"testing"

	"github.com/flosch/pongo2/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOurTagsDoNothingElsewhere(t *testing.T) {
	t.Parallel()
	set := pongo2.NewSet("theirs", noLoader{})
	for _, source := range []string{"{% " + printTag + ` "1:1:0:200:MQ==" %}`,
		"{% " + printTag + ` "x" %}`, "{% " + printTag + " %}",
		"{% " + rootTag + " %}{% " + endTag + " %}"} {
		tpl, err := set.FromString(source)
		if err == nil {
			_, err = tpl.Execute(nil)
		}
		require.Error(t, err, source)
	}
}

// TestAllPongo2TagsAreBanned: a new version of pongo2 may bring new ones.
func TestAllPongo2TagsAreBanned(t *testing.T) {
	t.Parallel()
	for _, name := range pongoTags() {
		require.Error(t, pongo2.RegisterTag(name, nil), "%s is no tag of pongo2 any more", name)
	}
	set, err := newSet()
	require.NoError(t, err)
	for _, name := range pongoTags() {
		_, err := set.FromString("{% " + name + " %}")
		require.ErrorContains(t, err, "sandbox", name)
	}
}

func TestTheTagsHaveAPrefixOfTheirOwn(t *testing.T) {
	t.Parallel()
	env, err := Shared()
	require.NoError(t, err)
	nothing := func(*pongo2.Parser, *pongo2.Token, *pongo2.Parser) (pongo2.INodeTag,
		*pongo2.Error) {
		return nil, nil
	}
	for name, kind := range env.Blocks {
		if kind.compile == nil {
			continue
		}
		assert.True(t, strings.HasPrefix(tagPrefix+name, "mixpeek_webhooks_"))
		assert.Error(t, pongo2.RegisterTag(tagPrefix+name, nothing), "%s is registered", name)
	}
}
