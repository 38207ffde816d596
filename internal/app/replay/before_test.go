package replay_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/replay"
)

// A stream in which nothing runs side by side: three days of minutes of the old release, then an hour and a half of the
// new one, longer than a watch usually lasts.
func TestAValueIsJudgedBeforeAndAfter(t *testing.T) {
	for _, c := range []struct {
		name  string
		shift float64 // from the 50th minute on
		want  belay.Verdict
	}{{"good", 0, belay.VerdictHealthy}, {"bad", 40, belay.VerdictRegressed}, {"bad, downwards", -40, belay.VerdictRegressed}} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 1))
			var b bytes.Buffer
			for i := -3 * 1440; i < 90; i++ {
				arm, v := "baseline", 100+30*math.Sin(2*math.Pi*float64(i)/1440)+3*r.NormFloat64()
				if i >= 0 {
					arm = "candidate"
				}
				if i >= 50 {
					v += c.shift
				}
				fmt.Fprintf(&b, `{"t":%d,"signal":"kpi","kind":"gauge","arm":%q,"value":%.4f}`+"\n", 60*i, arm, v)
			}
			src := replay.Source{Name: "stream", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }}
			j, err := replay.File(src)
			if err != nil {
				t.Fatal(err)
			}
			if j.Verdict != c.want || j.Signals[0].Against != belay.AgainstPast {
				t.Fatalf("%s: %s", j.Verdict, j.Reason)
			}
			if c.shift != 0 && (*j.FirstBad < 40*60 || *j.DecidedAt > 75*60) {
				t.Errorf("first bad at %v s, decided at %v s", *j.FirstBad, *j.DecidedAt)
			}
		})
	}
}
