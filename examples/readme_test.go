package examples_test

import (
	"context"
	"encoding/json"
	"fmt"
	"go/format"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	return string(text)
}

// snippets are the blocks of the README in a language.
func snippets(t *testing.T, language string) []string {
	t.Helper()
	fence := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$")
	var found []string
	for _, match := range fence.FindAllStringSubmatch(readme(t), -1) {
		found = append(found, match[1])
	}
	require.NotEmpty(t, found)
	return found
}

// The programs of the README can be pasted: they are whole, formatted, and compile, and the
// publisher can be started twice.
func TestReadmePrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	here, err := os.Getwd()
	require.NoError(t, err)
	arrived := make(chan struct{}, 2)
	endpoint := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
	}))
	t.Cleanup(endpoint.Close)

	folder := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	args := []string{"build", withoutDebugInfo, "-o", folder + string(filepath.Separator)}
	overlayFile := filepath.Join(folder, "overlay.json")
	args = append(args, "-overlay", overlayFile)
	for i, program := range snippets(t, "go") {
		formatted, err := format.Source([]byte(program))
		require.NoError(t, err)
		assert.Equal(t, string(formatted), program, "gofmt would change program %d", i)
		name := fmt.Sprintf("readme%d", i)
		file := filepath.Join(folder, name+".go")
		program = strings.ReplaceAll(program, "http://127.0.0.1:8081/webhooks", endpoint.URL)
		require.NoError(t, os.WriteFile(file, []byte(program), 0o600))
		overlay.Replace[filepath.Join(here, name, "main.go")] = file
		args = append(args, "./"+name)
	}
	text, err := json.Marshal(overlay)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlayFile, text, 0o600))
	output, err := exec.Command("go", args...).CombinedOutput()
	require.NoError(t, err, string(output))

	database := t.TempDir()
	for range 2 {
		cmd := programs(folder).command(context.Background(), t, "readme0",
			[]string{"WEBHOOK_SECRET=" + secret}, nil)
		cmd.Dir = database
		publisher := start(t, "publisher", cmd)
		select {
		case <-arrived:
		case <-publisher.ended:
			require.Fail(t, "the publisher ended before its event arrived")
		}
		publisher.stop()
	}
}

// The commands of the README can be pasted too.
func TestReadmeCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for _, tool := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("no %s, which CI=true requires", tool)
			}
			t.Skipf("%s is not installed: the README's commands are not tested", tool)
		}
	}
	programs := build(t)
	receiver := programs.start(t, "receiver", []string{"RECEIVER_SECRET=correct-horse-battery"},
		"-addr=127.0.0.1:0", "-dev")
	emitter := programs.start(t, "emitter", []string{"EMITTER_API_KEY=battery-horse"},
		"-addr=127.0.0.1:0", "-dev", "-db="+filepath.Join(t.TempDir(), "emitter.db"))

	blocks := snippets(t, "sh")
	require.Len(t, blocks, 2)
	const wait = `until curl -s -H "$auth" $api/$id/deliveries | grep -q succeeded; do sleep 0.05; done` + "\n"
	script := strings.NewReplacer(
		"http://127.0.0.1:8080", emitter.url(""), "http://127.0.0.1:8081", receiver.url(""),
		"curl ", "curl -sS --fail-with-body --max-time 300 ",
	).Replace(blocks[0] + wait + blocks[1])
	output, err := exec.CommandContext(t.Context(), "sh", "-ec", script).CombinedOutput()
	require.NoError(t, err, string(output))
	for _, want := range []string{
		`[{"webhook_id":"wh_`, `"succeeded":true`, `{"event_id":"evt_`, `"status":"succeeded"`,
		`{"replayed":1`,
	} {
		assert.Contains(t, string(output), want)
	}
	emitter.stop()
	receiver.stop()
}

func TestReadmeLinks(t *testing.T) {
	t.Parallel()
	text := readme(t)
	for _, match := range regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(text, -1) {
		_, err := os.Stat(filepath.Join("..", match[1]))
		assert.NoError(t, err)
	}
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 100, line)
	}
}
