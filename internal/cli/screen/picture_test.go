package screen_test

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/belaydev/belay/internal/cli/screen"
)

const picture = "../../../docs/images/rollback.svg"

// TestPicture holds the picture of the README to what belay draws: of a recorded run of the demonstration, as
// "belay show --output json" gave it. UPDATE=1 rewrites it.
func TestPicture(t *testing.T) {
	b, err := os.ReadFile("testdata/rollback.json")
	if err != nil {
		t.Fatal(err)
	}
	var r screen.Report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	text := "\x1b[1m$ belay deploy shop --version 1.2.0\x1b[m\n\n" + screen.Style{Width: 100, Color: true}.Final(r)
	got := svg(text, 100)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(picture, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what belay draws; run make generate and look at it", picture)
	}
}

const (
	cell   = 8.4
	lineHt = 19
	margin = 18
)

// svg draws text with the few control sequences that package screen uses.
func svg(text string, width int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	w, h := int(float64(width)*cell)+2*margin, len(lines)*lineHt+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="belay takes a bad release back and proves it">`+"\n", w, h, w, h)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="8" fill="#0d1117"/>`+"\n", w, h)
	b.WriteString(`<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14" fill="#c9d1d9" xml:space="preserve">` + "\n")
	for i, l := range lines {
		column := 0
		for _, run := range runs(l) {
			if strings.TrimSpace(run.text) != "" {
				n := ansi.StringWidth(run.text)
				fmt.Fprintf(&b, `<text x="%.1f" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</text>`+"\n",
					margin+float64(column)*cell, margin+14+i*lineHt, float64(n)*cell, run.attributes(), html.EscapeString(run.text))
			}
			column += ansi.StringWidth(run.text)
		}
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

type run struct{ text, style string }

// runs splits a line at its control sequences.
func runs(line string) []run {
	var out []run
	style := ""
	for line != "" {
		before, after, found := strings.Cut(line, "\x1b[")
		if before != "" {
			out = append(out, run{before, style})
		}
		if !found {
			break
		}
		style, line, _ = strings.Cut(after, "m")
	}
	return out
}

func (r run) attributes() string {
	var out string
	for s := range strings.SplitSeq(r.style, ";") {
		out += map[string]string{
			"1": ` font-weight="bold"`, "2": ` fill="#8b949e"`, "31": ` fill="#ff7b72"`, "32": ` fill="#56d364"`, "33": ` fill="#e3b341"`, "36": ` fill="#79c0ff"`,
		}[s]
	}
	return out
}
