// Package learning learns, while nothing is deployed, what is usual of each service: by how much its instances differ,
// and whether its errors come one by one. Every hour that is over is shown to a judge of its own, whose sums are stored
// and given to the next watch. It is part of the composition root; what is learned, and what is made of it, is the
// judge's business.
package learning

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/session"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/observe/metric"
)

// Store is where deployments are looked up and what was learned is kept.
type Store interface {
	Stable(ctx context.Context, ref belay.Ref) (belay.StableRelease, bool, error)
	Deployment(ctx context.Context, id string) (belay.Deployment, error)
	Deployments(ctx context.Context, f belay.DeploymentFilter) ([]belay.Deployment, error)
	Rollbacks(ctx context.Context, f belay.RollbackFilter) ([]belay.Rollback, error)
	Learned(ctx context.Context, ref belay.Ref) (belay.Learned, bool, error)
	LearnedBefore(ctx context.Context, ref belay.Ref, at time.Time) (belay.Learned, bool, error)
	SetLearned(ctx context.Context, ref belay.Ref, l belay.Learned) error
	ForgetLearned(ctx context.Context, ref belay.Ref, actor string) error
}

// Options are the parts of a Learner; all are needed, except Reg, Interval and Now.
type Options struct {
	Config func() *config.Config
	Store  Store
	Reader metric.Reader
	Memory func(ref belay.Ref) *session.History // what the proxy in front of a service counted
	Actor  func(name string) string             // who it is for the record, from what a request says
	Log    *slog.Logger
	Reg    prometheus.Registerer

	Interval time.Duration // between two looks whether an hour is over; a minute when zero
	Now      func() time.Time
}

// What is learned from, and when.
const (
	hour       = time.Hour
	lag        = time.Minute     // after its end an hour is complete: samples may come late
	reach      = 24 * time.Hour  // an hour that could not be read for so long is given up
	retry      = 5 * time.Minute // after an hour could not be read
	oneService = 30 * time.Second
)

// Learner learns of all configured services.
type Learner struct {
	o     Options
	hours *prometheus.CounterVec

	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex // guards places and what is in them; never held while waiting
	places map[belay.Ref]*place
}

// place is how far the learning of one service has come.
type place struct {
	since   time.Time // seen by this process
	due     time.Time // there is nothing to do before
	problem string    // why learning does not go on; "" when it does
}

// New returns a Learner that does nothing before Start.
func New(o Options) (*Learner, error) {
	if o.Interval <= 0 {
		o.Interval = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Learner{o: o, places: map[belay.Ref]*place{}, hours: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "belay_learned_hours_total", Help: "Hours of services that were looked at for what is usual, by what came of it: learned, deployment (something was being deployed or rolled back), sick, quiet (nothing was seen), failed (could not be read, and is tried again).",
	}, []string{"result"})}
	if o.Reg != nil {
		if err := o.Reg.Register(l.hours); err != nil {
			return nil, fmt.Errorf("register learning metrics: %w", err)
		}
	}
	return l, nil
}

// Start begins to learn in the background.
func (l *Learner) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.meet()
	l.wg.Go(func() {
		tick := time.NewTicker(l.o.Interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				l.Once(ctx)
			}
		}
	})
}

// Stop ends the learning and waits.
func (l *Learner) Stop() {
	if l.cancel != nil {
		l.cancel()
	}
	l.wg.Wait()
}

// Sources says what keeps a service from being learned of; nothing when all is well.
func (l *Learner) Sources(ref belay.Ref) []belay.SourceStatus {
	if p := l.problem(ref); p != "" {
		return []belay.SourceStatus{{Source: "learning", Detail: p}}
	}
	return nil
}

func (l *Learner) problem(ref belay.Ref) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.places[ref]; p != nil {
		return p.problem
	}
	return ""
}

// anew forgets what kept a service from being learned of.
func (l *Learner) anew(ref belay.Ref) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.places[ref]; p != nil {
		p.problem = ""
	}
}

// meet makes a place for every configured service that has none, and forgets those of services that are gone.
func (l *Learner) meet() {
	now := l.o.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := map[belay.Ref]*place{}
	for _, s := range l.o.Config().Services {
		p := l.places[s.Ref()]
		if p == nil {
			p = &place{since: now}
		}
		kept[s.Ref()] = p
	}
	l.places = kept
}

// Once learns, of each service, from one hour that is over, if there is one.
func (l *Learner) Once(ctx context.Context) {
	l.meet()
	for _, s := range l.o.Config().Services {
		if ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		p := l.places[s.Ref()]
		l.mu.Unlock()
		if p != nil {
			l.look(ctx, s, p)
		}
	}
}

// look learns from the next hour of a service, unless it is not over. The place belongs to this goroutine, except for
// its problem, which is told.
func (l *Learner) look(ctx context.Context, s config.Service, p *place) {
	now := l.o.Now()
	if now.Before(p.due) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, oneService)
	defer cancel()
	log := l.o.Log.With("service", s.Name, "environment", s.Environment)
	known, _, err := l.o.Store.Learned(ctx, s.Ref())
	if err == nil && known.Until.After(now.Add(hour)) {
		err = belay.Errorf(belay.CodeConflict, "what was learned reaches until %s, and now is earlier: was the clock set back?", known.Until.Format(time.RFC3339)).
			WithNext("belay learned %s --forget begins anew", s.Name)
	}
	from := beginning(known.Until, p.since, now)
	to := from.Add(hour)
	if due := to.Add(lag); err == nil && now.Before(due) {
		p.due = due
		return
	}
	result := failed
	if err == nil {
		result, err = l.learn(ctx, s, known, span{from, to})
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return // belay stops, and the next process goes on
	}
	l.mu.Lock()
	was := p.problem
	p.problem = ""
	if err != nil {
		p.problem, p.due = err.Error(), now.Add(retry)
	}
	l.mu.Unlock()
	switch {
	case err != nil && was == "":
		log.Warn("service not learned of, tried again", "error", err, "from", from, "until", to)
		l.hours.WithLabelValues(string(failed)).Inc()
	case err != nil:
	default:
		if was != "" {
			log.Info("service is learned of again")
		}
		log.Debug("hour looked at", "result", string(result), "from", from, "until", to)
		l.hours.WithLabelValues(string(result)).Inc()
	}
}

// beginning is when the next hour begins to be learned from: where learning ended, but never long before belay began
// to watch the service, for nobody knows what was deployed then. Whole minutes let every piece of what is remembered
// belong to one hour.
func beginning(until, since, now time.Time) time.Time {
	earliest := since.Truncate(time.Minute).Add(-hour)
	if t := now.Add(-reach); earliest.Before(t) {
		earliest = t
	}
	if until.After(earliest) {
		earliest = until
	}
	if t := earliest.Truncate(time.Minute); t.Before(earliest) {
		return t.Add(time.Minute)
	}
	return earliest
}

// span is a piece of time, its end not included.
type span struct{ from, to time.Time }

// meets tells whether something that lasted from begin to end, or still lasts, has to do with the span.
func (s span) meets(begin, end time.Time) bool {
	return begin.Before(s.to) && (end.IsZero() || end.After(s.from))
}

// result is what came of looking at an hour.
type result string

const (
	learned  result = "learned"
	deployed result = "deployment"
	sick     result = "sick"
	quiet    result = "quiet"
	failed   result = "failed"
)

// learn adds an hour to what is known. Only when that is stored is the hour over: a process that is killed before
// learns from it again, and one that is killed after never does.
func (l *Learner) learn(ctx context.Context, s config.Service, known belay.Learned, h span) (result, error) {
	stable, _, err := l.o.Store.Stable(ctx, s.Ref())
	if err != nil {
		return failed, err
	}
	policy := translate.JudgePolicy(s, belay.Deployment{Ref: s.Ref(), Previous: stable.Release}, false)
	busy, err := l.busy(ctx, s.Ref(), h)
	if err != nil {
		return failed, err
	}
	outcome := deployed
	var samples []belay.Sample
	if !busy {
		if samples, err = l.samples(ctx, s, stable, h); err != nil {
			return failed, err
		}
		switch {
		case len(samples) == 0:
			outcome = quiet
		case unwell(policy, samples):
			outcome, samples = sick, nil
		default:
			outcome = learned
		}
	}
	return outcome, l.o.Store.SetLearned(ctx, s.Ref(), relearned(policy, known, samples, h))
}

// relearned is what is known with what the samples of an hour say. What is older counts less, also when the hour says
// nothing.
func relearned(policy judge.Policy, known belay.Learned, samples []belay.Sample, h span) belay.Learned {
	passed := 0.0
	if !known.Until.IsZero() {
		passed = max(0, h.to.Sub(known.Until).Seconds())
	}
	j := judge.New(policy)
	j.Relearn(thinned(known, samples), passed)
	j.Take(belay.Tick{T: -0.001, Samples: samples})
	out := j.Learned(known, passed)
	out.Until = h.to.UTC()
	out.Seconds += observed(samples) - passed // of all that passed, so much was seen
	if out.Signals == nil {
		out.Signals = []belay.LearnedSignal{}
	}
	return out
}

// busy tells whether something was being deployed or rolled back.
func (l *Learner) busy(ctx context.Context, ref belay.Ref, h span) (bool, error) {
	deployments, err := l.o.Store.Deployments(ctx, belay.DeploymentFilter{Service: ref.Service, Environment: ref.Environment, Limit: recent})
	if err != nil {
		return false, err
	}
	for _, d := range deployments {
		if d.State != belay.StateRefused && h.meets(d.CreatedAt, d.EndedAt) {
			return true, nil
		}
	}
	rollbacks, err := l.o.Store.Rollbacks(ctx, belay.RollbackFilter{Service: ref.Service, Environment: ref.Environment, Limit: recent})
	if err != nil {
		return false, err
	}
	for _, r := range rollbacks {
		if h.meets(r.StartedAt, r.EndedAt) {
			return true, nil
		}
	}
	return false, nil
}

// recent is how many of the newest deployments are looked at: those of an hour are among them.
const recent = 200
