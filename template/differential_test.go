package template

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// differentialCount returns how many random templates are compared. TEMPLATE_DIFFERENTIAL_COUNT and
// TEMPLATE_DIFFERENTIAL_SEED change what a run looks at.
func differentialCount(t *testing.T) int {
	t.Helper()
	if thorough() {
		return environmentNumber(t, "TEMPLATE_DIFFERENTIAL_COUNT", 1000)
	}
	return environmentNumber(t, "TEMPLATE_DIFFERENTIAL_COUNT", 300)
}

type oracleCase struct {
	Template string          `json:"template"`
	Data     json.RawMessage `json:"data"`
	HTML     bool            `json:"html"`
}

type oracleResult struct {
	Result  *string `json:"result"`
	Error   string  `json:"error"`
	Detail  string  `json:"detail"`
	Version string  `json:"version"`
}

// askOracle renders all cases with the real Jinja2, in one process.
func askOracle(t *testing.T, cases []oracleCase) []oracleResult {
	t.Helper()
	const python = "python3"
	if err := exec.Command(python, "-c", "import jinja2").Run(); err != nil {
		const missing = "python3 with jinja2 (Debian: python3-jinja2) is not installed, nothing to compare with"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	var in bytes.Buffer
	for _, c := range cases {
		line, err := json.Marshal(c)
		require.NoError(t, err)
		in.Write(append(line, '\n'))
	}
	cmd := exec.CommandContext(t.Context(), python, "-W", "ignore", "testdata/oracle.py")
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	lines := bufio.NewReader(bytes.NewReader(out))
	var results []oracleResult
	for d := json.NewDecoder(lines); d.More(); {
		var r oracleResult
		require.NoError(t, d.Decode(&r))
		results = append(results, r)
	}
	require.Len(t, results, len(cases)+1)
	t.Logf("compared with Jinja2 %s", results[0].Version)
	return results[1:]
}

// generatorInput is all that the random templates look at.
func generatorInput(t *testing.T) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(generatorData())
	require.NoError(t, err)
	return json.RawMessage(generatorJSON[:len(generatorJSON)-1] + "," + string(b[1:]))
}

func environmentNumber(t *testing.T, name string, otherwise int) int {
	t.Helper()
	if s := os.Getenv(name); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		return n
	}
	return otherwise
}

// TestDifferential compares random templates with the real Jinja2: the same text, or an error from
// both.
func TestDifferential(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	g := newTemplateGenerator(uint64(environmentNumber(t, "TEMPLATE_DIFFERENTIAL_SEED", 1)))
	input := generatorInput(t)
	data := dataInOrder(t, input)
	cases := make([]oracleCase, differentialCount(t))
	for i := range cases {
		cases[i] = oracleCase{g.template(), input, i%4 == 3}
	}
	differences, failed := 0, 0
	for i, want := range askOracle(t, cases) {
		got, err := render(t, cases[i].Template, data, Options{Format: htmlIf(cases[i].HTML)})
		require.NotErrorIs(t, err, ErrInternal, cases[i].Template)
		if want.Result == nil {
			failed++
		}
		if (err == nil) == (want.Result != nil) && (err != nil || got == *want.Result) {
			continue
		}
		differences++
		wanted := want.Error + ": " + want.Detail
		if want.Result != nil {
			wanted = *want.Result
		}
		t.Logf("html %t: %q\n  Jinja2: %q\n  ours:   %q, %v", cases[i].HTML, cases[i].Template, wanted,
			got, err)
	}
	t.Logf("%d of %d templates differ; %d fail in Jinja2", differences, len(cases), failed)
	require.LessOrEqual(t, differences*200, len(cases), "more than 0.5% differ")
}

// htmlIf is the format of a case that is HTML or not.
func htmlIf(html bool) Format {
	if html {
		return FormatHTML
	}
	return FormatPlain
}
