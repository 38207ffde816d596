package judge

import (
	"testing"

	"github.com/belaydev/belay"
)

// TestWhatIsNotComparedFixesNoWeights: CPU can be read at the first scrape, requests are a difference of two. The
// signals that are compared do not come late for that.
func TestWhatIsNotComparedFixesNoWeights(t *testing.T) {
	p := DefaultPolicy()
	p.Signals = append(p.Signals, SignalPolicy{Name: "cpu_usage", Kind: belay.KindGauge})
	j := New(p)
	j.Take(belay.Tick{T: 0, Samples: []belay.Sample{{Signal: "cpu_usage", Kind: belay.KindGauge, Arm: belay.ArmCandidate, Instance: "a", Value: 1}}})
	var samples []belay.Sample
	for _, arm := range []belay.Arm{belay.ArmCandidate, belay.ArmBaseline} {
		samples = append(samples, belay.Sample{Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, Instance: string(arm), N: 10},
			belay.Sample{Signal: "response_time", Kind: belay.KindHistogram, Arm: arm, Instance: string(arm), N: 10, LE: []float64{1}, Count: []float64{10}})
	}
	card := j.Observe(belay.Tick{T: 1, Samples: samples})
	if got := card.Signals[0].Limit; got < 166 || got > 167 {
		t.Errorf("error_rate acts at %v, want 1/(0.6 of 1 %%)", got)
	}
}

// TestWhatWasLearnedIsTakenInOnce: an observation that is opened anew brings it again, and so does its recording.
func TestWhatWasLearnedIsTakenInOnce(t *testing.T) {
	known := &belay.Learned{Signals: []belay.LearnedSignal{{Signal: "error_rate", Kind: belay.KindEvents,
		Clumps: []belay.LearnedClumps{{Excess: 50, Usual: 50, Blocks: 50, Events: 50}, {Excess: 50, Usual: 50, Blocks: 50, Events: 50}}}}}
	var size [2]float64
	for times := range size {
		j := New(DefaultPolicy())
		for at := range 4 {
			tick := belay.Tick{T: float64(at)}
			if at <= times {
				tick.Learned = known
			}
			for _, arm := range []belay.Arm{belay.ArmCandidate, belay.ArmBaseline} {
				tick.Samples = append(tick.Samples, belay.Sample{Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, Instance: string(arm), N: 10})
			}
			j.Take(tick)
		}
		size[times] = j.Card().Signals[0].Habits[1].Value
	}
	if size[0] != size[1] {
		t.Errorf("clumps of %v, and of %v when it is told twice", size[0], size[1])
	}
}

// TestTheHabitCountsTheBaselineOnce: it is the newest part of the past.
func TestTheHabitCountsTheBaselineOnce(t *testing.T) {
	j := New(DefaultPolicy())
	for at := -60.0; at < 30; at++ {
		var samples []belay.Sample
		for _, arm := range []belay.Arm{belay.ArmCandidate, belay.ArmBaseline} {
			x := 0.0
			if at >= 0 && arm == belay.ArmBaseline {
				x = 3
			}
			if at >= 0 || arm == belay.ArmBaseline {
				samples = append(samples, belay.Sample{Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, Instance: string(arm), N: 10, X: x})
			}
		}
		j.Take(belay.Tick{T: at, Samples: samples})
	}
	s := j.byName["error_rate"]
	clump := s.cmp.Clump()
	if got, want := s.habit(), (90+clump)/(900+clump); got != want {
		t.Errorf("usual are %v, want %v: 90 of 900 events", got, want)
	}
}
