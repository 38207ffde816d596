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
