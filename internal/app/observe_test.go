package app_test

import (
	"math"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app"
)

// TestWhatWasJudgedIsNotGivenAgain: an observation that is opened anew goes by what was judged, also when the store
// refused all of it.
func TestWhatWasJudgedIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	a := started(t, newEdge(t).options(t, ""))
	d := belay.Deployment{ID: "d-1", Ref: belay.Ref{Service: "shop", Environment: "production"}, CreatedAt: time.Now()}
	if err := app.Knew(t.Context(), a, d.Ref, usual(time.Now().Add(-2*time.Hour))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		gathered float64
		want     bool
	}{{math.Inf(-1), true}, {4, false}} {
		s, err := a.Observe(t.Context(), d, c.gathered)
		if err != nil {
			t.Fatal(err)
		}
		tick, err := s.Collect(t.Context(), time.Now())
		s.Close()
		if err != nil || (tick.Learned != nil) != c.want {
			t.Errorf("judged up to %v s: what was known before is given out: %v (%v), want %v", c.gathered, tick.Learned != nil, err, c.want)
		}
	}
}
