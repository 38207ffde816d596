package judge

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/belaydev/belay"
)

// days is a watch of a service with a daily season, of whose past so many seconds come along with the tick at late.
func days(seed uint64, history, late, slower float64) belay.Card {
	r := rand.New(rand.NewPCG(seed, 7))
	season := func(t float64) float64 { return 1 + 0.5*math.Sin(2*math.Pi*t/86400) }
	sample := func(t, every float64, arm belay.Arm, instance string, factor float64) []belay.Sample {
		n := math.Round(20 * every * season(t))
		x := 0.0
		for range int(n) {
			if r.Float64() < 0.01*season(t) {
				x++
			}
		}
		mean := 0.1 * season(t) * factor * (1 + 0.05*r.NormFloat64())
		return []belay.Sample{
			{T: t, Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, Instance: instance, N: n, X: x},
			{T: t, Signal: "response_time", Kind: belay.KindHistogram, Arm: arm, Instance: instance, N: n, Sum: mean * n},
		}
	}
	j := New(Policy{Deadline: 1800, Signals: []SignalPolicy{{Name: "error_rate", Kind: belay.KindEvents, Compare: true}, {Name: "response_time", Kind: belay.KindHistogram, Compare: true}}})
	var past []belay.Sample
	for t := -history; t < 0; t += 60 {
		past = append(past, sample(t, 60, belay.ArmBaseline, belay.AllInstances, 1)...)
	}
	for t := 1.0; t <= 1800 && !j.Regressed(); t += 5 {
		tick := belay.Tick{T: t}
		if past != nil && t >= late {
			tick.Samples, past = past, nil
		}
		tick.Samples = append(tick.Samples, sample(t, 5, belay.ArmCandidate, "a", slower)...)
		j.Take(tick)
	}
	return j.Card()
}

func TestThePastOfAllInstancesTogether(t *testing.T) {
	for _, c := range []struct {
		name                  string
		history, late, slower float64
		want                  string // in the notes
		regressed             bool
	}{
		{"a release that is no slower, on a daily ramp", 3 * 86400, 0, 1, "by time of day", false},
		{"a slower one", 3 * 86400, 0, 1.6, "by time of day", true},
		{"it comes with a later tick, in time", 3 * 86400, 8, 1.6, "by time of day", true},
		{"it comes too late", 3 * 86400, 120, 1.6, "the history came after the comparison had begun", false},
		{"it is too short", 3 * 3600, 0, 1.6, "too little history (have 3 h", false},
	} {
		card := days(1, c.history, c.late, c.slower)
		notes := ""
		for _, s := range card.Signals {
			notes += s.Signal + ": " + s.Note + "\n"
		}
		if (card.Verdict == belay.VerdictRegressed) != c.regressed || !strings.Contains(notes, c.want) {
			t.Errorf("%s: %s, %s; want %q in\n%s", c.name, card.Verdict, card.Reason, c.want, notes)
		}
	}
}
