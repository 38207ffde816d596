package replay

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/stream"
)

// Source is a stream that can be read more than once.
type Source struct {
	Name string // for messages
	Open func() (io.ReadCloser, error)
}

// Seen is what a stream holds, as far as a policy must know.
type Seen struct {
	Signals []SeenSignal  // those that say most about users first
	Policy  *judge.Policy // that the stream brings along; nil for none
	Seconds float64       // from the deployment to the end
}

// SeenSignal is one signal of a stream.
type SeenSignal struct {
	Name      string
	Kind      belay.SampleKind
	Candidate bool // the new release showed it
}

// Names are those of the signals.
func (s Seen) Names() []string {
	out := make([]string, len(s.Signals))
	for i, x := range s.Signals {
		out[i] = x.Name
	}
	return out
}

func (s Seen) find(name string) (SeenSignal, bool) {
	i := slices.IndexFunc(s.Signals, func(x SeenSignal) bool { return x.Name == name })
	if i < 0 {
		return SeenSignal{}, false
	}
	return s.Signals[i], true
}

// Survey reads a stream to its end and says what it holds. A stream that is not right to its last line is refused.
func Survey(src Source) (Seen, error) {
	var seen Seen
	var err error
	if seen.Policy, err = src.policy(); err != nil {
		return seen, err
	}
	index := map[string]int{}
	ticks := 0.0
	err = src.read(func(t stream.Tick) {
		if t.T >= 0 {
			ticks++
			seen.Seconds = t.T * (1 + 1/math.Max(1, ticks-1)) // the last tick lasts as long as the others
		}
		for _, m := range t.Samples {
			i, ok := index[m.Signal]
			if !ok {
				i = len(seen.Signals)
				index[m.Signal] = i
				seen.Signals = append(seen.Signals, SeenSignal{Name: m.Signal, Kind: m.Kind})
			}
			if m.Arm != belay.ArmBaseline && t.T >= 0 && m.T >= 0 {
				seen.Signals[i].Candidate = true
			}
		}
	})
	slices.SortFunc(seen.Signals, func(a, b SeenSignal) int {
		if x, y := rank(a.Name), rank(b.Name); x != y {
			return x - y
		}
		return strings.Compare(a.Name, b.Name)
	})
	return seen, err
}

// File judges a stream by the policy that it brings along, or by all that is in it.
func File(src Source) (Judgement, error) {
	own, err := src.policy()
	if err != nil {
		return Judgement{}, err
	}
	if own != nil {
		return Judge(src, *own)
	}
	seen, err := Survey(src)
	if err != nil {
		return Judgement{}, err
	}
	return Judge(src, seen.Default())
}

// policy reads the first line.
func (src Source) policy() (*judge.Policy, error) {
	in, err := src.Open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	p, err := stream.NewReader(in).Policy()
	if err != nil {
		return nil, src.explain(err)
	}
	return p, nil
}

// Judge judges a stream by a policy.
func Judge(src Source, p judge.Policy) (Judgement, error) {
	if err := p.Validate(); err != nil {
		return Judgement{}, err
	}
	run := newRun(p)
	if err := src.read(run.take); err != nil {
		return Judgement{}, err
	}
	return run.end(), nil
}

// read gives every tick to see.
func (src Source) read(see func(stream.Tick)) error {
	in, err := src.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	r := stream.NewReader(in)
	for {
		t, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return src.explain(err)
		}
		see(t)
	}
}

func (src Source) explain(err error) error {
	bad, ok := errors.AsType[*stream.Error](err)
	switch {
	case ok:
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, gzip.ErrChecksum):
		return belay.Errorf(belay.CodeInvalid, "%s is damaged or was cut off: %w", src.Name, err).WithNext("compress it again, or copy it again")
	default:
		return fmt.Errorf("%s: %w", src.Name, err)
	}
	e := belay.Errorf(belay.CodeInvalid, "%s:%d: %s", src.Name, bad.Line, bad.Message)
	if bad.Hint != "" {
		return e.WithNext("%s", bad.Hint)
	}
	return e
}

// run judges ticks until the release is called regressed, as a watch would.
type run struct {
	policy  judge.Policy
	judge   *judge.Judge
	named   map[string]bool
	card    belay.Card
	stopped bool
	ignored map[string]bool
}

func newRun(p judge.Policy) *run {
	r := &run{policy: p, judge: judge.New(p), named: map[string]bool{}, ignored: map[string]bool{}}
	for _, s := range p.Signals {
		r.named[s.Name] = true
	}
	return r
}

// take takes the next tick; what comes after the decision is only read, to know that it is right.
func (r *run) take(t stream.Tick) {
	for i := range t.Samples {
		if name := t.Samples[i].Signal; !r.named[name] {
			r.ignored[name] = true
		}
	}
	if r.stopped {
		return
	}
	for _, name := range t.Require {
		if !r.named[name] {
			r.ignored[name] = true
		}
		r.judge.Require(name)
	}
	r.card = r.judge.Observe(t.Tick)
	r.stopped = r.judge.Regressed()
	if r.stopped {
		r.card = r.judge.Detailed()
	}
}

// end is what it came to.
func (r *run) end() Judgement {
	if !r.stopped {
		r.card = r.judge.Detailed()
	}
	j := Judgement{Verdict: r.card.Verdict, DecidedAt: r.card.DecidedAt, Card: r.card, Candidate: r.policy.Candidate, Baseline: r.policy.Baseline}
	if j.Verdict == belay.VerdictNone {
		// Nothing more will come: what is not decided by now was not seen for long enough.
		j.Verdict, j.DecidedAt = belay.VerdictInsufficient, nil
		j.Reason = "the evidence ends before a verdict: " + strings.TrimPrefix(j.Reason, "watching: ")
	}
	j.Card.Verdict = j.Verdict
	for name := range r.ignored {
		j.NotJudged = append(j.NotJudged, name)
	}
	slices.Sort(j.NotJudged)
	return j
}
