package sqlstore_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var checkModel = flag.Bool("model", false, "run the model checker, which takes 90 seconds of CPU time")

// Properties of model/protocol.pml, as the checker prints that they are broken.
const (
	oneOwner  = `assertion violated ( !(((((lease[`
	covered   = `assertion violated ( !(((((state[`
	leased    = `==lease[((p*2)`
	fenced    = `assertion violated (token[d]==settledToken[p])`
	once      = `assertion violated (counted[d]==1)`
	received  = `assertion violated (received[`
	delivered = `acceptance cycle`
)

// modelBugs are the bugs that the model can have, and the property that each breaks.
var modelBugs = map[string]string{
	"NO_TOKEN":        fenced,
	"NO_STATE":        once,
	"EARLY_CLAIM":     leased,
	"EXTEND_STALE":    oneOwner,
	"NO_OWNS":         leased,
	"ROW_EARLY":       covered,
	"FORGET_FAILED":   covered,
	"ROW_UNSEEN":      covered,
	"NO_END":          delivered,
	"NO_PRUNE":        delivered,
	"NO_IDLE_TIMEOUT": delivered,
	"KEEP_EMPTY":      delivered,
	"EXACTLY_ONCE":    received, // not a bug: what is not promised
}

// TestModel checks the model of claims and leases, and that the checker finds each bug that the
// model can have.
func TestModel(t *testing.T) {
	if !*checkModel {
		t.Skip("runs with -model")
	}
	t.Parallel()
	for _, tool := range []string{"spin", "gcc"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				require.NoError(t, err)
			}
			t.Skip("needs ", tool)
		}
	}
	for name, flags := range map[string][]string{
		"safety":    {"-DFAULTS=1", "-DFAILURES=1"},
		"delivered": {"-DFAULTS=1", "-DFAILURES=0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := runModel(t, name == "delivered", flags...)
			assert.Contains(t, out, "errors: 0", "%s", out)
			assert.NotContains(t, out, "Search not completed")
		})
	}
	for bug, property := range modelBugs {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			out := runModel(t, property == delivered, "-DFAILURES=0", "-D"+bug)
			assert.Contains(t, out, "errors: 1", "%s", out)
			assert.Contains(t, out, property, "%s", out)
		})
	}
}

// runModel runs the checker, for DELIVERED or for the other properties, and returns what it prints.
func runModel(t *testing.T, liveness bool, defines ...string) string {
	t.Helper()
	model, err := filepath.Abs("model/protocol.pml")
	require.NoError(t, err)
	dir := t.TempDir()
	run := func(name string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	run("spin", append([]string{"-a"}, append(defines, model)...)...)
	if liveness {
		run("gcc", "-O1", "-DCOLLAPSE", "-o", "pan", "pan.c")
		return run("./pan", "-a", "-f", "-m1000000")
	}
	run("gcc", "-O1", "-DCOLLAPSE", "-DSAFETY", "-DNOCLAIM", "-o", "pan", "pan.c")
	return run("./pan", "-m1000000")
}

// TestModelNamesFunctions checks the tables of model/README.md: the functions that the steps stand
// for, and the bugs.
func TestModelNamesFunctions(t *testing.T) {
	t.Parallel()
	readme := read(t, "model/README.md")
	protocol := read(t, "model/protocol.pml")
	quoted := regexp.MustCompile("`([^`]+)`")
	steps := 0
	for line := range strings.Lines(readme) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		names, files := quoted.FindAllStringSubmatch(cells[2], -1), quoted.FindAllStringSubmatch(cells[3], -1)
		step := quoted.FindStringSubmatch(cells[1])
		if step == nil || len(names) == 0 {
			continue
		}
		if _, ok := modelBugs[step[1]]; ok {
			continue
		}
		steps++
		assert.Contains(t, protocol, "inline "+step[1]+"(")
		require.Len(t, files, len(names), "%s", line)
		for i := range names {
			function := regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + names[i][1] + `\(`)
			assert.True(t, function.MatchString(read(t, files[i][1])), "%s in %s", names[i][1], files[i][1])
		}
	}
	assert.Positive(t, steps)
	for bug := range modelBugs {
		assert.Contains(t, readme, "`"+bug+"`")
	}
	for _, name := range regexp.MustCompile(`(?:ifdef|ifndef|defined\()\s*([A-Z_]+)`).
		FindAllStringSubmatch(protocol, -1) {
		if name[1] != "FAULTS" && name[1] != "FAILURES" {
			assert.Contains(t, modelBugs, name[1])
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}
