package replay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/replay"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/stream"
)

func source(text string) replay.Source {
	return replay.Source{Name: "evidence.jsonl", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

// made is a stream of n seconds at 100 requests/s a side; from second on the candidate has the error rate bad.
func made(n, second int, bad float64) string {
	r := rand.New(rand.NewPCG(uint64(n), uint64(second)))
	var b strings.Builder
	for t := range n {
		for _, arm := range []belay.Arm{belay.ArmCandidate, belay.ArmBaseline} {
			p, x := 0.005, 0
			if arm == belay.ArmCandidate && t >= second {
				p = bad
			}
			for range 100 {
				if r.Float64() < p {
					x++
				}
			}
			fmt.Fprintf(&b, `{"t":%d,"signal":"error_rate","kind":"events","arm":"%s","instance":"i","n":100,"x":%d}`+"\n", t, arm, x)
		}
		fmt.Fprintf(&b, `{"t":%d,"signal":"cpu_usage","kind":"gauge","arm":"candidate","instance":"i","value":0.4}`+"\n", t)
	}
	return b.String()
}

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		verdict belay.Verdict
		from    float64 // decided in this time
		to      float64
		says    string
	}{
		"regressed":           {made(120, 20, 0.06), belay.VerdictRegressed, 21, 40, "error_rate"},
		"healthy":             {made(300, 300, 0), belay.VerdictHealthy, 10, 200, "healthy"},
		"ends too soon":       {made(12, 12, 0), belay.VerdictInsufficient, 0, 12, "more requests"},
		"ends before a look":  {`{"t":0,"kind":"tick"}`, belay.VerdictInsufficient, -1, -1, ""},
		"bad and then better": {made(60, 5, 0.5) + strings.ReplaceAll(made(1, 1, 0), `"t":0`, `"t":400`), belay.VerdictRegressed, 5, 12, "error_rate"},
	} {
		j, err := replay.File(source(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		decided := -1.0
		if j.DecidedAt != nil {
			decided = *j.DecidedAt
		}
		if j.Verdict != c.verdict || j.Card.Verdict != c.verdict || decided < c.from || decided > c.to || !strings.Contains(j.Reason, c.says) {
			t.Errorf("%s: %s at %v: %s", name, j.Verdict, decided, j.Reason)
		}
	}
}

// TestSameInputSameBytes: the whole answer, as JSON and as a picture.
func TestSameInputSameBytes(t *testing.T) {
	text := made(60, 10, 0.06)
	var first []byte
	for range 5 {
		j, err := replay.File(source(text))
		if err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, j.SVG()...)
		if first == nil {
			first = out
		}
		if !bytes.Equal(out, first) {
			t.Fatalf("differs:\n%s\n%s", out, first)
		}
	}
}

// TestFieldsOfTheAnswer: what scripts read stands under its name.
func TestFieldsOfTheAnswer(t *testing.T) {
	j, err := replay.File(source(made(60, 10, 0.06)))
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Verdict   string   `json:"verdict"`
		DecidedAt *float64 `json:"decided_at"`
		Signals   []struct {
			Signal   string      `json:"signal"`
			EValue   float64     `json:"e_value"`
			Effect   float64     `json:"effect"`
			Interval [2]*float64 `json:"interval"`
		} `json:"signals"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	e := got.Signals[0]
	if got.Verdict != "regressed" || got.DecidedAt == nil || e.Signal != "error_rate" || e.EValue < 100 || e.Effect < 2 || e.Interval[0] == nil || *e.Interval[0] > e.Effect || *e.Interval[0] < 1 {
		t.Errorf("%s", out)
	}
	undecided, err := replay.File(source(`{"t":0,"kind":"tick"}`))
	if err != nil {
		t.Fatal(err)
	}
	if out, err = json.Marshal(undecided); err != nil || !bytes.Contains(out, []byte(`"decided_at":null`)) {
		t.Errorf("%v %s", err, out)
	}
}

// TestNothingIsHalfJudged: a stream that is wrong in its last line is not judged at all, although it was decided
// long before.
func TestNothingIsHalfJudged(t *testing.T) {
	text := made(60, 5, 0.5) + `{"t":60,"signal":"error_rate","kind":"events","arm":"candidate","n":1,"x":-1}`
	_, err := replay.File(source(text))
	if err == nil || !strings.Contains(err.Error(), "evidence.jsonl:181: \"x\" is -1, want 0 or more") || belay.CodeOf(err) != belay.CodeInvalid {
		t.Errorf("error %v", err)
	}
}

// TestOwnPolicy: the policy of the first line is what is judged by.
func TestOwnPolicy(t *testing.T) {
	limit := 0.5
	var b bytes.Buffer
	w := stream.NewWriter(&b)
	if err := w.Policy(judge.Policy{Candidate: "1.2.0", Baseline: "1.1.0", Signals: []judge.SignalPolicy{{Name: "cpu_usage", Kind: belay.KindGauge, Threshold: &limit}}}); err != nil {
		t.Fatal(err)
	}
	j, err := replay.File(source(b.String() + `{"t":-1,"kind":"require","signal":"orders"}` + "\n" + made(60, 5, 0.5)))
	if err != nil {
		t.Fatal(err)
	}
	if j.Verdict != belay.VerdictHealthy || j.Candidate != "1.2.0" || strings.Join(j.NotJudged, " ") != "error_rate orders" || len(j.Signals) != 1 {
		t.Errorf("%+v", j)
	}
	seen, err := replay.Survey(source(b.String() + made(5, 5, 0)))
	if err != nil || seen.Policy == nil || seen.Policy.Baseline != "1.1.0" || strings.Join(seen.Names(), " ") != "error_rate cpu_usage" {
		t.Errorf("%+v, %v", seen, err)
	}
}

// TestDefault: what no policy names is judged in the way of its kind, and what says most about users is needed.
func TestDefault(t *testing.T) {
	text := `{"t":0,"signal":"queue","kind":"gauge","arm":"candidate","value":1}
{"t":0,"signal":"throughput","kind":"gauge","arm":"candidate","value":1}
{"t":0,"signal":"response_time","kind":"histogram","arm":"candidate","le":[1],"count":[1],"n":1}
{"t":0,"signal":"error_rate","kind":"events","arm":"baseline","n":1,"x":0}`
	seen, err := replay.Survey(source(text))
	if err != nil {
		t.Fatal(err)
	}
	p := seen.Default()
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	var got []string
	for _, s := range p.Signals {
		got = append(got, fmt.Sprint(s.Name, " ", s.Kind, " ", s.Direction, " ", s.Compare, " ", s.Required, " ", s.HardStop != nil))
	}
	want := []string{"error_rate events higher_is_worse true false true", "response_time histogram higher_is_worse true true false",
		"queue gauge either true false false", "throughput gauge lower_is_worse true false false"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if math.Abs(p.FalseRollbackRate-0.01) > 1e-9 {
		t.Errorf("rate %v", p.FalseRollbackRate)
	}
}
