package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belaydev/belay"
)

func (w *world) Record(_ context.Context, id string, follow bool, out func([]byte) error) error {
	switch {
	case w.err != nil:
		return w.err
	case id == mailID:
		return belay.Errorf(belay.CodeConflict, "nothing was seen of deployment %s", id)
	case follow:
		return out([]byte(evidence(60, 0.06)))
	}
	return out([]byte(evidence(8, 0.005)))
}

func (w *world) Card(_ context.Context, id string) (belay.Card, error) {
	d, err := w.Deployment(context.Background(), id)
	if err != nil || d.Card == nil {
		return belay.Card{}, belay.Errorf(belay.CodeConflict, "nothing was seen")
	}
	card, v := *d.Card, 0.2
	card.Signals = []belay.SignalEvidence{{Signal: "error_rate", Kind: belay.KindEvents, Verdict: belay.VerdictRegressed, N: 10, X: 2, Limit: 100, EValue: 200,
		Trail: []belay.TrailPoint{{T: 1, EValue: 1, Candidate: &v}, {T: 2, EValue: 50, Candidate: &v}, {T: 3, EValue: 200, Candidate: &v}}}}
	return card, w.err
}

func (w *world) CardSVG(context.Context, string) ([]byte, error) {
	return []byte("<svg>\n</svg>\n"), w.err
}

func TestRecord(t *testing.T) {
	r := runner{server: newWorld().serve(t)}
	got := r.run(t, "record", "shop")
	if got.code != 0 || got.out != evidence(60, 0.06) || got.errors != "" {
		t.Errorf("exit code %d, %d bytes\n%s", got.code, len(got.out), got.errors)
	}
	if judged := (runner{stdin: got.out}).run(t, "judge", "-"); judged.code != 3 {
		t.Errorf("judged: exit code %d\n%s%s", judged.code, judged.out, judged.errors)
	}
	name := filepath.Join(t.TempDir(), "e.jsonl")
	got = r.run(t, "record", shopID, "--no-follow", "--file", name)
	if kept, err := os.ReadFile(name); err != nil || string(kept) != evidence(8, 0.005) || got.code != 0 || !strings.Contains(got.errors, "16 lines of "+shopID+" are in "+name) {
		t.Errorf("exit code %d, %v, %d bytes\n%s", got.code, err, len(kept), got.errors)
	}
	got = r.run(t, "record", "mail", "--file", name)
	if kept, _ := os.ReadFile(name); got.code != 7 || string(kept) != evidence(8, 0.005) || !strings.Contains(got.errors, "nothing was seen") {
		t.Errorf("of nothing: exit code %d, the older file has %d bytes\n%s", got.code, len(kept), got.errors)
	}
	got = r.run(t, "record", "shop", "--file", filepath.Join(name, "e.jsonl"))
	if got.code != 2 || !strings.Contains(got.errors, "another file with --file") {
		t.Errorf("nowhere to write to: exit code %d\n%s", got.code, got.errors)
	}
}

func TestShowCharts(t *testing.T) {
	r := runner{server: newWorld().serve(t)}
	if got := r.run(t, "show", "shop", "--chart"); got.code != 0 || !strings.HasPrefix(got.out, "REGRESSED") || !strings.Contains(got.out, "▁▇") || !strings.Contains(got.out, "1.5 ") {
		t.Errorf("%+v", got)
	}
	if got := r.run(t, "show", "shop", "--chart", "--output", "json"); got.code != 0 || !strings.Contains(got.out, `"trail": [`) {
		t.Errorf("%+v", got)
	}
	if got := r.run(t, "show", "shop", "--output", "svg"); got.code != 0 || got.out != "<svg>\n</svg>\n" {
		t.Errorf("%+v", got)
	}
	if got := r.run(t, "show", rbID, "--chart"); got.code != 2 || !strings.Contains(got.errors, "no decision card") {
		t.Errorf("%+v", got)
	}
}
