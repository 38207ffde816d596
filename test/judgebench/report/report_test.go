package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay/test/judgebench/report"
	"github.com/belaydev/belay/test/judgebench/rival"
	"github.com/belaydev/belay/test/judgebench/track"
)

// measured plays a corner of a track.
func measured(t *testing.T, name string, g track.Grid) report.Measured {
	t.Helper()
	g.Tick, g.Runs = 1, 3
	for _, tr := range track.All() {
		if tr.Name != name {
			continue
		}
		if tr.Name == "A" || tr.Name == "B" {
			tr.Rivals = rival.Products()
		}
		m := report.Measured{Track: tr}
		cells, err := tr.Cells(g)
		if err != nil {
			m.Missing = err.Error()
			return m
		}
		for i := range cells {
			cells[i].Prepare(nil, tr.Rivals)
			r, err := cells[i].Measure(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			m.Results = append(m.Results, r)
		}
		return m
	}
	t.Fatalf("no track %s", name)
	return report.Measured{}
}

func TestDocumentSaysWhatWasMeasuredAndWhatWasNot(t *testing.T) {
	run := report.Run{Command: "make bench-judge", Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Machine: [][2]string{{"Go", "1.26"}}}
	text, charts := report.Document(run, []report.Measured{
		measured(t, "A", track.Grid{Rates: []float64{200}, Shares: []float64{0.1}, Onsets: []float64{0}, Bads: []float64{0.02, 0.05}}),
		measured(t, "B", track.Grid{Rates: []float64{200}, Pasts: []string{"none"}, Names: []string{"iid", "ramp"}}),
		measured(t, "C", track.Grid{Rates: []float64{200}, Names: []string{"x2"}}),
		measured(t, "E", track.Grid{Pasts: []string{"none"}, Names: []string{"+100% 3v3"}}),
		measured(t, "D", track.Grid{}),
		measured(t, "G", track.Grid{}),
	})
	for _, want := range []string{
		"# Decision quality", "make bench-judge", "2026-01-02", "**belay**", "argo99", "*limit at margin 1.25*", "| ramp |", "images/decision-harm.svg",
		"+100% 3v3", "## Real arrivals\n\nNot measured", "BELAY_BENCH_DATA", "| Go | 1.26 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("does not say %q", want)
		}
	}
	for _, never := range []string{"NaN", "Inf", "%!"} {
		if strings.Contains(text, never) {
			t.Errorf("says %q", never)
		}
	}
	for _, name := range []string{"decision-harm.svg", "decision-delay.svg", "decision-false.svg"} {
		if charts[name] == "" {
			t.Errorf("no chart %s", name)
		}
	}
}

func TestAPartIsADocumentToo(t *testing.T) {
	text, charts := report.Document(report.Run{Changes: "margin=1.5"}, []report.Measured{measured(t, "C", track.Grid{Rates: []float64{200}, Names: []string{"x2"}})})
	if len(charts) != 0 || !strings.Contains(text, "Not the default policy") || strings.Contains(text, "How often a good release") {
		t.Errorf("%d charts, text:\n%s", len(charts), text)
	}
}
