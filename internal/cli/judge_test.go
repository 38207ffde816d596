package cli_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belaydev/belay"
)

// evidence is a stream of n seconds in which the new release has the error rate bad.
func evidence(n int, bad float64) string {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	var b strings.Builder
	for t := range n {
		for _, arm := range []belay.Arm{belay.ArmCandidate, belay.ArmBaseline} {
			p, x := 0.005, 0
			if arm == belay.ArmCandidate {
				p = bad
			}
			for range 100 {
				if r.Float64() < p {
					x++
				}
			}
			fmt.Fprintf(&b, `{"t":%d,"signal":"error_rate","kind":"events","arm":"%s","n":100,"x":%d}`+"\n", t, arm, x)
		}
	}
	return b.String()
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestJudgeVerdicts(t *testing.T) {
	for _, c := range []struct {
		text string
		code int
		says string
	}{
		{evidence(60, 0.06), 3, "REGRESSED at "},
		{evidence(300, 0.005), 0, "HEALTHY since "},
		{evidence(8, 0.005), 5, "INSUFFICIENT"},
		{evidence(5, 0) + `{"t":9,"kind":"source","source":"metrics","ok":false,"detail":"refused"}` + "\n" + `{"t":99,"kind":"source","source":"metrics","ok":false,"detail":"refused"}`, 5, "BLIND"},
	} {
		name := file(t, "e.jsonl", c.text)
		got := runner{}.run(t, "judge", name)
		if got.code != c.code || !strings.HasPrefix(got.out, c.says) || got.errors != "" {
			t.Errorf("exit code %d, want %d and %q:\n%s%s", got.code, c.code, c.says, got.out, got.errors)
		}
		if piped := (runner{stdin: c.text}).run(t, "judge", "-"); piped != got {
			t.Errorf("from standard input: %+v\nfrom a file: %+v", piped, got)
		}
		var card struct {
			Verdict   belay.Verdict `json:"verdict"`
			DecidedAt *float64      `json:"decided_at"`
		}
		js := runner{}.run(t, "judge", name, "--output", "json")
		if err := json.Unmarshal([]byte(js.out), &card); err != nil || js.code != c.code || !strings.HasPrefix(got.out, strings.ToUpper(string(card.Verdict))) {
			t.Errorf("as JSON: exit code %d, %v\n%s", js.code, err, js.out)
		}
		picture := filepath.Join(t.TempDir(), "card.svg")
		svg := runner{}.run(t, "judge", name, "--output", "svg", "--svg", picture)
		if kept, err := os.ReadFile(picture); svg.code != c.code || !strings.HasPrefix(svg.out, "<svg ") || err != nil || string(kept) != svg.out {
			t.Errorf("as a picture: exit code %d, %v\n%s", svg.code, err, svg.out)
		}
	}
}

func TestJudgeByAPolicy(t *testing.T) {
	stream := file(t, "e.jsonl", evidence(60, 0.06))
	for _, c := range []struct {
		policy string
		args   []string
		code   int
		says   string // on either side
	}{
		{"signals: {error_rate: {compare: false, threshold: 20%}}", nil, 0, "HEALTHY"},
		{"signals: {error_rate: {compare: false, threshold: 1%}}", nil, 3, "by threshold"},
		{"services: {shop: {signals: {error_rate: {compare: false}}}}", nil, 0, "HEALTHY"},
		{"services: {shop: {signals: {error_rate: {compare: false}}}, mail: {}}", []string{"--service", "mail"}, 3, "REGRESSED"},
		{"services: {shop: {}, mail: {}}", nil, 2, "choose one with --service"},
		{"services: {shop: {}, mail: {}}", []string{"--service", "blog"}, 2, "has no service blog"},
		{"signals: {error_rate: {treshold: 1%}}", nil, 2, "threshold"},
		{"signals: {error_rate: {threshold: 1%}}", []string{"--service", "x", "--output", "xml"}, 2, "use text or json or svg"},
	} {
		got := runner{}.run(t, append([]string{"judge", stream, "--policy", file(t, "p.yaml", c.policy)}, c.args...)...)
		if got.code != c.code || !strings.Contains(got.out+got.errors, c.says) {
			t.Errorf("%s %v: exit code %d, want %d and %q:\n%s%s", c.policy, c.args, got.code, c.code, c.says, got.out, got.errors)
		}
	}
}

func TestJudgeRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"judge"}, []string{"one file"}},
		{[]string{"judge", "none.jsonl"}, []string{"there is no file none.jsonl", "belay record"}},
		{[]string{"judge", t.TempDir()}, []string{"is a folder"}},
		{[]string{"judge", file(t, "e.jsonl", evidence(60, 0.06)+"{")}, []string{"e.jsonl:121: "}},
		{[]string{"judge", file(t, "e.jsonl", evidence(2, 0)), "--service", "shop"}, []string{"add --policy"}},
		{[]string{"judge", file(t, "e.jsonl", evidence(2, 0)), "--policy", "none.yaml"}, []string{"none.yaml"}},
		{[]string{"judge", file(t, "e.jsonl", evidence(2, 0)), "--svg", "-"}, []string{"--output svg"}},
		{[]string{"status", "--output", "svg"}, []string{"use text or json"}},
	} {
		got := runner{}.run(t, c.args...)
		for _, want := range c.says {
			if got.code != 2 || !strings.Contains(got.errors, want) || got.out != "" {
				t.Errorf("%v: exit code %d, want 2 and %q:\n%s%s", c.args, got.code, want, got.out, got.errors)
			}
		}
	}
}

// TestJudgeReadsOnce: what can be read only once, and what is compressed, is judged as the file itself is.
func TestJudgeReadsOnce(t *testing.T) {
	text := evidence(60, 0.06)
	want := runner{}.run(t, "judge", file(t, "e.jsonl", text))
	var small bytes.Buffer
	z := gzip.NewWriter(&small)
	if _, err := z.Write([]byte(text)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	pipe, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	go func() {
		_, _ = io.WriteString(in, text)
		_ = in.Close()
	}()
	for name, got := range map[string]result{
		"a pipe":          runner{}.run(t, "judge", fmt.Sprintf("/dev/fd/%d", pipe.Fd())),
		"gzip":            runner{}.run(t, "judge", file(t, "e.jsonl.gz", small.String())),
		"gzip from stdin": runner{stdin: small.String()}.run(t, "judge", "-"),
	} {
		if got.code != want.code || got.out != want.out || got.errors != "" {
			t.Errorf("%s: exit code %d\n%s%s", name, got.code, got.out, got.errors)
		}
	}
	for _, broken := range []string{small.String()[:40], small.String()[:small.Len()/2]} {
		if got := (runner{}).run(t, "judge", file(t, "cut.jsonl.gz", broken)); got.code != 2 || got.out != "" || !strings.Contains(got.errors, "cut.jsonl.gz is damaged or was cut off") {
			t.Errorf("cut off: exit code %d\n%s%s", got.code, got.out, got.errors)
		}
	}
}

// TestJudgeIsInterrupted: also while it waits for the next line, which may never come.
func TestJudgeIsInterrupted(t *testing.T) {
	pipe, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer in.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{"-", file(t, "e.jsonl", evidence(60, 0.06)), fmt.Sprintf("/dev/fd/%d", pipe.Fd())} {
		if got := (runner{}).runCtx(t, ctx, "judge", name); got.code != 130 || got.out != "" {
			t.Errorf("%s: exit code %d\n%s%s", name, got.code, got.out, got.errors)
		}
	}
}

// TestJudgeOnATerminal: the card is painted, and fits.
func TestJudgeOnATerminal(t *testing.T) {
	got := runner{tty: true}.run(t, "judge", file(t, "e.jsonl", evidence(60, 0.06)))
	if got.code != 3 || !bytes.Contains([]byte(got.out), []byte("\x1b[")) || !strings.Contains(got.out, "▁") {
		t.Errorf("exit code %d\n%q", got.code, got.out)
	}
}
