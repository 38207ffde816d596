package past

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/session"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge/stream"
	"github.com/belaydev/belay/internal/learn/backtest"
	"github.com/belaydev/belay/internal/observe/health"
	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi"
	"github.com/belaydev/belay/internal/observe/metric/past"
)

// Metrics is the memory of a Prometheus-compatible server.
type Metrics struct {
	Reader metric.Reader
	Config *config.Config
	Step   time.Duration // between two looks; 15 s when zero
	Length time.Duration // of each record; the longest watch of the service's policies when zero
	// More are further sections of the configuration: what any of them judges is read.
	More []config.Service
	Now  time.Time
}

// Server is the Prometheus-compatible server at an address, or that of the configuration when it is empty. The token
// of the configuration goes to the server of the configuration and to no other.
func Server(cfg *config.Config, address string, token belay.Secret) (*metric.Remote, error) {
	switch {
	case address == "" && cfg.Metrics.URL == "":
		return nil, belay.Errorf(belay.CodeInvalid, "the configuration names no Prometheus server").WithNext("name one with --prometheus URL, or as metrics.url")
	case address == "":
		address = cfg.Metrics.URL
	}
	if token == "" && address == cfg.Metrics.URL {
		token = cfg.Metrics.BearerToken.Value
	}
	return metric.NewRemote(metric.RemoteOptions{URL: address, BearerToken: token})
}

// Only keeps the entries of a service and an environment, empty meaning any, and of the time since a moment.
func Only(cfg *config.Config, entries []Entry, of belay.Ref, since time.Time) []Entry {
	var out []Entry
	for _, e := range entries {
		ref := e.Ref
		if s, err := service(cfg, ref); err == nil {
			ref = s.Ref()
		}
		if (of.Service == "" || ref.Service == of.Service) && (of.Environment == "" || ref.Environment == of.Environment) && !e.Time.Before(since) {
			out = append(out, e)
		}
	}
	return out
}

// defaultStep is the usual time between two scrapes.
const defaultStep = 15 * time.Second

// Cases makes a case of each entry. What an entry does not say is taken from the configuration: the only service, and
// its environment.
func (m Metrics) Cases(ctx context.Context, entries []Entry) ([]backtest.Case, error) {
	if err := m.Reader.Ready(ctx); err != nil {
		return nil, err
	}
	if m.Step <= 0 {
		m.Step = defaultStep
	}
	services := make([]config.Service, len(entries))
	for i := range entries {
		s, err := service(m.Config, entries[i].Ref)
		if err != nil {
			return nil, fmt.Errorf("deployment of %s, line %d: %w", entries[i].Time.Format(time.RFC3339), entries[i].Line, err)
		}
		services[i], entries[i].Ref = s, s.Ref()
	}
	ids := map[string]int{}
	var out []backtest.Case
	for i, e := range entries {
		end := e.Time.Add(m.length(services[i]))
		for _, later := range entries[i+1:] { // entries are in order of time
			if later.Ref == e.Ref && later.Time.After(e.Time) {
				end = earlier(end, later.Time)
				break
			}
		}
		// What comes after a rollback is the old release again.
		end = earlier(earlier(end, e.BackAt), m.Now)
		c := backtest.Case{
			ID: e.Service + "@" + e.Time.Format("2006-01-02T15:04:05"), Ref: e.Ref, Release: e.Version, Previous: e.Previous, At: e.Time,
			Truth: e.Label, Actual: backtest.Actual{Fate: e.Outcome, By: "the list"},
		}
		if ids[c.ID]++; ids[c.ID] > 1 {
			c.ID = fmt.Sprintf("%s-%d", c.ID, ids[c.ID])
		}
		if !e.BackAt.IsZero() {
			c.Actual.T = since(e.Time, e.BackAt)
		}
		if !e.FirstBad.IsZero() {
			c.FirstBad = since(e.Time, e.FirstBad)
		}
		c.Ticks = m.ticks(ctx, services[i], e, end)
		out = append(out, c)
	}
	return out, nil
}

// earlier is the first of two moments; a zero one is none.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

func since(start, at time.Time) *float64 {
	v := at.Sub(start).Seconds()
	return &v
}

// length is how long a record must be for the longest watch.
func (m Metrics) length(s config.Service) time.Duration {
	if m.Length > 0 {
		return m.Length
	}
	longest := s.Watch.Deadline + s.Watch.Bake
	for _, o := range m.More {
		longest = max(longest, o.Watch.Deadline+o.Watch.Bake)
	}
	return longest
}

// ticks looks at a deployment as a watch would have, in pretended time.
func (m Metrics) ticks(ctx context.Context, s config.Service, e Entry, end time.Time) iter.Seq2[stream.Tick, error] {
	d := belay.Deployment{Ref: e.Ref, CreatedAt: e.Time, Release: belay.Release{Version: e.Version}, Previous: belay.Release{Version: e.Previous}}
	d.Targets = translate.Targets(s, m.Config)
	return func(yield func(stream.Tick, error) bool) {
		reader := &noting{Reader: m.Reader}
		subject := translate.Subject(s, d, m.specs(s))
		watch := session.New(session.Options{Key: "backtest", Start: e.Time, After: math.Inf(-1), Metrics: kpi.New(reader, subject), Health: health.NewMonitor(health.Options{}), Days: m.days(ctx, reader, subject)})
		defer watch.Close()
		require := requiring{}
		seen := false
		for now := e.Time.Add(m.Step); ctx.Err() == nil; now = now.Add(m.Step) {
			if now.After(end) {
				break
			}
			tick, err := watch.Collect(ctx, now)
			if err == nil {
				err = reader.err // a server that cannot be read now is not one that could not be read then
			}
			if err != nil {
				yield(stream.Tick{}, err)
				return
			}
			for i := range tick.Samples {
				seen = seen || tick.Samples[i].Arm == belay.ArmCandidate
			}
			if !yield(require.tick(tick), nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(stream.Tick{}, err)
		} else if !seen {
			yield(stream.Tick{}, belay.Errorf(belay.CodeNotFound, "the server has nothing of the new release between %s and %s, looked for by %s",
				e.Time.Format(time.RFC3339), end.Format(time.RFC3339), whom(s, d)))
		}
	}
}

// days gives what was before a deployment, with the first tick.
func (m Metrics) days(ctx context.Context, reader *noting, subject kpi.Subject) func() []belay.Sample {
	source, ok := m.Reader.(past.Source)
	return func() []belay.Sample {
		if !ok {
			return nil
		}
		ok = false
		h := past.Read(ctx, past.Options{Source: source, Subject: subject})
		reader.note(h.Failed)
		return h.Samples
	}
}

// whom says by what the series of a service are found.
func whom(s config.Service, d belay.Deployment) string {
	if len(s.Metrics.Selector) > 0 {
		var labels []string
		for _, k := range sorted(s.Metrics.Selector) {
			labels = append(labels, k+"="+s.Metrics.Selector[k])
		}
		return "metrics.selector {" + strings.Join(labels, ", ") + "}"
	}
	var instances []string
	for _, t := range d.Targets {
		instances = append(instances, t.Address)
	}
	return "targets " + strings.Join(instances, ", ")
}

// specs are the signals of all policies. A proxy's counts are not on the server: what it would have counted is taken
// from the metrics of the application.
func (m Metrics) specs(s config.Service) []kpi.Spec {
	var out []kpi.Spec
	have := map[string]bool{}
	for _, s := range append([]config.Service{s}, m.More...) {
		s.Rollout.Proxy = ""
		for _, spec := range translate.Specs(s) {
			if !have[spec.Name] {
				have[spec.Name] = true
				out = append(out, spec)
			}
		}
	}
	return out
}

// noting is a reader that remembers the first question that was not answered.
type noting struct {
	metric.Reader
	err error
}

func (n *noting) note(err error) {
	if err != nil && n.err == nil {
		n.err = err
	}
}

// Samples implements metric.Reader.
func (n *noting) Samples(ctx context.Context, selector string, from, to time.Time) ([]metric.Series, error) {
	out, err := n.Reader.Samples(ctx, selector, from, to)
	n.note(err)
	return out, err
}

// Eval implements metric.Reader.
func (n *noting) Eval(ctx context.Context, expr string, at time.Time) ([]metric.Series, error) {
	out, err := n.Reader.Eval(ctx, expr, at)
	n.note(err)
	return out, err
}
