// Package past reads what the signals of a service showed in the days before a deployment, in steps of a minute, for
// all its instances together: what a release is compared with where no old one runs beside it. It asks range queries
// of the embedded store or of a Prometheus-compatible server, so that the server adds the instances up and the answer
// stays small. It judges nothing.
package past

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi"
)

// Source answers range queries: metric.Store and metric.Remote do.
type Source interface {
	// Range returns the values of a PromQL expression at from, from+step and so on up to to.
	Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]metric.Series, error)
}

// What is read.
const (
	Reach = 14 * 24 * time.Hour // how far back
	Step  = time.Minute
	// Near is the time right before the deployment that is left to the watch's first look, which reads it scrape by scrape.
	Near = 30 * time.Minute
)

// Bounds of the questions.
const (
	piece      = 2 * 24 * time.Hour // of one question, unless said otherwise: 2,880 steps
	leastPiece = 3 * time.Hour      // when the source refuses more at once
	maxSeries  = 2000               // of one answer
	maxSamples = 80_640             // in all: 14 days of four signals; of more signals, fewer days
)

// Span is a piece of time.
type Span struct{ From, To time.Time }

// Options say what to read. Source and Subject are needed.
type Options struct {
	Source  Source
	Subject kpi.Subject   // its Signals are those that are read
	Reach   time.Duration // how far back; 14 days when zero
	Piece   time.Duration // of one question; 2 days when zero. Shorter ones take less memory
	// Skip are times at which the service did not show what is usual: while a release that was taken back ran.
	Skip []Span
}

// History is what was read.
type History struct {
	// Samples have a negative T and stand for all instances together, oldest first. Steps in which nothing was scraped
	// have none.
	Samples []belay.Sample
	// Failed is why some of it is missing, the newest failure first; what was read before is kept.
	Failed error
}

// Read asks the source, the newest time first, until all is read or ctx ends.
func Read(ctx context.Context, o Options) History {
	if o.Reach <= 0 {
		o.Reach = Reach
	}
	if o.Piece <= 0 {
		o.Piece = piece
	}
	r := reader{Options: o, ctx: ctx, end: o.Subject.Start.Add(-Near)}
	matchers, err := o.Subject.Matchers()
	if err != nil {
		return History{Failed: err}
	}
	r.matchers = matchers
	if err := r.look(); err != nil {
		return History{Failed: err}
	}
	queries := r.queries()
	o.Reach = min(o.Reach, time.Duration(maxSamples/max(1, len(queries)))*Step)
	var failures []error
	for from, length := r.end, o.Piece; len(queries) > 0 && from.After(o.Subject.Start.Add(-o.Reach)); {
		to := from
		begin := to.Add(-length)
		if earliest := o.Subject.Start.Add(-o.Reach); begin.Before(earliest) {
			begin = earliest
		}
		samples, err := r.piece(queries, Span{begin, to})
		if err != nil {
			if half := length / 2; belay.CodeOf(err) == belay.CodeInvalid && half >= leastPiece {
				length = half
				continue
			}
			failures = append(failures, err)
			break // what is further back would leave a hole
		}
		r.out = append(r.out, samples...)
		from = begin
	}
	slices.SortStableFunc(r.out, func(a, b belay.Sample) int {
		return cmp.Or(cmp.Compare(a.T, b.T), cmp.Compare(a.Signal, b.Signal))
	})
	return History{Samples: r.out, Failed: errors.Join(failures...)}
}

// reader is the work on one history.
type reader struct {
	Options
	ctx      context.Context //nolint:containedctx // it lives for one call
	matchers string
	end      time.Time
	there    map[string]family
	ups      bool // the source has the series up
	out      []belay.Sample
}

// step is what was read of one signal in one step.
type step struct {
	n, x, sum, value float64
	has              [3]bool // by column
}

// piece asks all queries for a piece of time. A signal is all there or, with an error, not at all.
func (r *reader) piece(queries []query, s Span) ([]belay.Sample, error) {
	alive, err := r.alive(s)
	if err != nil {
		return nil, err
	}
	var out []belay.Sample
	for _, q := range queries {
		steps := map[int64]*step{}
		for i, expr := range q.exprs {
			found, err := r.ask(expr, s)
			if err != nil {
				return nil, err
			}
			q.take(i, found, steps)
		}
		for _, ms := range sorted(steps) {
			at := time.UnixMilli(ms)
			if q.scraped && alive != nil && !alive[ms] || r.skipped(at) {
				continue
			}
			if m, ok := q.sample(steps[ms]); ok {
				m.T, m.Signal, m.Arm, m.Instance = at.Sub(r.Subject.Start).Seconds(), q.signal, belay.ArmBaseline, belay.AllInstances
				out = append(out, m)
			}
		}
	}
	return out, nil
}

func sorted(steps map[int64]*step) []int64 {
	out := make([]int64, 0, len(steps))
	for ms := range steps {
		out = append(out, ms)
	}
	slices.Sort(out)
	return out
}

// ask puts one question about a piece of time: its end belongs to it, its beginning to the one before.
func (r *reader) ask(expr string, s Span) ([]metric.Series, error) {
	found, err := r.Source.Range(r.ctx, expr, s.From.Add(Step), s.To, Step)
	if err == nil && len(found) > maxSeries {
		return nil, belay.Errorf(belay.CodeUnavailable, "the past of %s has %d series, more than %d", r.Subject.Ref, len(found), maxSeries).
			WithNext("aggregate in the query of the signal")
	}
	return found, err
}

// alive tells the steps in which anything was scraped: a counter that is held for want of newer samples did not stand
// still. Nil where the source does not know.
func (r *reader) alive(s Span) (map[int64]bool, error) {
	if !r.ups {
		return nil, nil
	}
	found, err := r.ask("count(count_over_time(up{"+r.matchers+"}[3m]))", s)
	if err != nil {
		return nil, err
	}
	out := map[int64]bool{}
	for _, f := range found {
		for _, p := range f.Points {
			out[p.T.UnixMilli()] = true
		}
	}
	return out, nil
}

func (r *reader) skipped(at time.Time) bool {
	return slices.ContainsFunc(r.Skip, func(s Span) bool { return !at.Before(s.From) && at.Add(-Step).Before(s.To) })
}

// round keeps what is stored short.
func round(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return v
	}
	scale := math.Pow(10, 6-math.Ceil(math.Log10(math.Abs(v))))
	if scale <= 0 || math.IsInf(scale, 0) {
		return v
	}
	return math.Round(v*scale) / scale
}
