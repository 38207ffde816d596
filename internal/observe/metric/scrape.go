package metric

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/units"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/outbound"
)

// Job is a set of targets that are scraped alike. Its name is the "job" label of their samples. To change how
// often targets are scraped, change Interval and keep the name: moved to a job of another name, they would be
// other series.
type Job struct {
	Name        string
	Targets     []string          // host:port, host:port/path or URL
	Path        string            // of targets without one; /metrics when empty
	Scheme      string            // of targets without one; http when empty
	Interval    time.Duration     // 15 s when zero
	Timeout     time.Duration     // 10 s when zero, never longer than Interval
	Labels      map[string]string // added to all samples; they win over the application's own
	BearerToken belay.Secret
}

// TargetStatus is what is known of a target.
type TargetStatus struct {
	Job, Instance, URL string
	Health             TargetHealth
	LastError          string
	LastScrape         time.Time // start of the newest scrape; zero before the first
	Duration           time.Duration
}

// TargetHealth is the outcome of the newest scrape of a target.
type TargetHealth string

// The outcomes.
const (
	TargetUp      TargetHealth = "up"
	TargetDown    TargetHealth = "down"
	TargetUnknown TargetHealth = "unknown" // not scraped yet
)

// initialRush is taken off the delay by which the engine spreads first scrapes over an interval: a target that
// is watched every second is read at once, and targets read seldom are still spread.
const initialRush = -5 * time.Second

// scraper owns the engine's scrape manager: one goroutine runs it, one brings it what SetJobs wants, because
// applying may wait for a name service.
type scraper struct {
	opts    Options
	log     *slog.Logger
	manager *scrape.Manager
	base    *config.Config
	groups  chan map[string][]*targetgroup.Group
	wake    chan struct{}
	done    chan struct{}
	wait    sync.WaitGroup

	mu   sync.Mutex
	jobs []Job // wanted, filled and checked
}

func newScraper(o Options, log *slog.Logger, db storage.AppendableV2) (*scraper, error) {
	dial := (outbound.Guard{AllowLinkLocal: o.AllowLinkLocal}).Dialer()
	m, err := scrape.NewManager(&scrape.Options{
		DiscoveryReloadOnStartup: true,
		DiscoveryReloadInterval:  model.Duration(10 * time.Millisecond),
		InitialScrapeOffset:      initialRush,
		HTTPClientOptions:        []promconfig.HTTPClientOption{promconfig.WithDialContextFunc(dial.DialContext)},
	}, log, nil, nil, db, o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("prepare scraping: %w", err)
	}
	base, err := config.Load("", log)
	if err != nil {
		return nil, fmt.Errorf("prepare scraping: %w", err)
	}
	s := &scraper{
		opts: o, log: o.Logger, manager: m, base: base,
		groups: make(chan map[string][]*targetgroup.Group), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	s.wait.Go(func() {
		if err := m.Run(s.groups); err != nil {
			s.log.Error("scraping ended", "error", err)
		}
	})
	s.wait.Go(s.loop)
	return s, nil
}

// SetJobs replaces all that is scraped. A wrong job changes nothing. Targets that were there before with the
// same job keep being scraped without a gap; new ones are scraped soon after. It does not wait for a scrape.
func (s *Store) SetJobs(jobs []Job) error {
	filled := make([]Job, 0, len(jobs))
	seen := map[string]bool{}
	for _, j := range jobs {
		if seen[j.Name] {
			return belay.Errorf(belay.CodeInvalid, "set scrape jobs: there are two jobs named %q", j.Name)
		}
		seen[j.Name] = true
		if err := j.fill(); err != nil {
			return err
		}
		if _, err := s.scraper.config(j); err != nil {
			return err
		}
		filled = append(filled, j)
	}
	s.scraper.mu.Lock()
	s.scraper.jobs = filled
	s.scraper.mu.Unlock()
	select {
	case s.scraper.wake <- struct{}{}:
	default: // the loop has not taken the last call yet and will see this one too
	}
	return nil
}

func (j *Job) fill() error {
	setDefault(&j.Path, "/metrics")
	setDefault(&j.Scheme, "http")
	setDefault(&j.Interval, 15*time.Second)
	setDefault(&j.Timeout, 10*time.Second)
	j.Targets, j.Labels = slices.Clone(j.Targets), maps.Clone(j.Labels)
	j.Timeout = min(j.Timeout, j.Interval)
	if j.Name == "" {
		return belay.Errorf(belay.CodeInvalid, "set scrape jobs: a job has no name")
	}
	if j.Timeout < 10*time.Millisecond {
		return belay.Errorf(belay.CodeInvalid, "set scrape job %q: interval %s and timeout %s: the least is 10ms", j.Name, j.Interval, j.Timeout)
	}
	for _, t := range j.Targets {
		if _, err := locate(t, *j); err != nil {
			return err
		}
	}
	for name, v := range j.Labels {
		if !model.LegacyValidation.IsValidLabelName(name) || strings.HasPrefix(name, "__") || name == model.InstanceLabel || name == model.JobLabel || !model.LabelValue(v).IsValid() {
			return belay.Errorf(belay.CodeInvalid, "set scrape job %q: label %s=%q cannot be added to samples", j.Name, name, v)
		}
	}
	return nil
}

// config writes a job in the engine's terms.
func (s *scraper) config(j Job) (*config.ScrapeConfig, error) {
	native := true
	c := config.DefaultScrapeConfig
	c.JobName, c.MetricsPath, c.Scheme = j.Name, j.Path, j.Scheme
	c.ScrapeInterval, c.ScrapeTimeout = model.Duration(j.Interval.Truncate(time.Millisecond)), model.Duration(j.Timeout.Truncate(time.Millisecond))
	c.ScrapeNativeHistograms = &native
	c.ScrapeFallbackProtocol = config.PrometheusText0_0_4 // hand-written endpoints often send no content type
	c.BodySizeLimit = units.Base2Bytes(s.opts.BodyLimit)
	c.SampleLimit, c.LabelLimit = uint(s.opts.SampleLimit), uint(s.opts.LabelLimit)
	c.LabelNameLengthLimit, c.LabelValueLengthLimit = 256, 4096
	c.NativeHistogramBucketLimit = 320
	if j.BearerToken != "" {
		c.HTTPClientConfig.Authorization = &promconfig.Authorization{Type: "Bearer", Credentials: promconfig.Secret(j.BearerToken.Reveal())}
	}
	if err := c.Validate(s.base.GlobalConfig); err != nil {
		return nil, belay.Errorf(belay.CodeInvalid, "set scrape job %q: %w", j.Name, err)
	}
	return &c, nil
}

func group(j Job) *targetgroup.Group {
	g := &targetgroup.Group{Source: j.Name, Labels: model.LabelSet{}}
	for k, v := range j.Labels {
		g.Labels[model.LabelName(k)] = model.LabelValue(v)
	}
	for _, t := range j.Targets {
		l, err := locate(t, j)
		if err != nil {
			continue // fill refused it
		}
		set := model.LabelSet{
			model.AddressLabel: model.LabelValue(l.host), model.SchemeLabel: model.LabelValue(l.scheme), model.MetricsPathLabel: model.LabelValue(l.path),
		}
		for k, v := range l.query {
			set[model.LabelName(model.ParamLabelPrefix+k)] = model.LabelValue(v[0])
		}
		g.Targets = append(g.Targets, set)
	}
	return g
}

func (s *scraper) loop() {
	for {
		select {
		case <-s.done:
			return
		case <-s.wake:
		}
		s.mu.Lock()
		jobs := s.jobs
		s.mu.Unlock()
		if err := s.apply(jobs); err != nil {
			s.log.Error("scrape jobs not applied", "error", err)
		}
	}
}

func (s *scraper) apply(jobs []Job) error {
	c := *s.base
	c.ScrapeConfigs = nil
	groups := map[string][]*targetgroup.Group{}
	for _, j := range jobs {
		sc, err := s.config(j)
		if err != nil {
			return err
		}
		c.ScrapeConfigs = append(c.ScrapeConfigs, sc)
		groups[j.Name] = []*targetgroup.Group{group(j)}
	}
	if err := s.manager.ApplyConfig(&c); err != nil {
		return fmt.Errorf("apply scrape jobs: %w", err)
	}
	select {
	case s.groups <- groups:
	case <-s.done:
	}
	return nil
}

// close stops all scraping and waits for it.
func (s *scraper) close() {
	close(s.done)
	// Without jobs first: a reload that is under way when the manager stops finds no job to start again.
	if err := s.manager.ApplyConfig(s.base); err != nil {
		s.log.Warn("scraping not stopped in order", "error", err)
	}
	s.manager.Stop()
	s.wait.Wait()
}

// Targets returns the state of all targets of the newest SetJobs, ordered by job and URL.
func (s *Store) Targets() []TargetStatus {
	active := map[string]*scrape.Target{}
	for job, ts := range s.scraper.manager.TargetsActive() {
		for _, t := range ts {
			active[job+" "+t.URL().String()] = t
		}
	}
	s.scraper.mu.Lock()
	defer s.scraper.mu.Unlock()
	var out []TargetStatus
	for _, j := range s.scraper.jobs {
		for _, addr := range j.Targets {
			l, err := locate(addr, j)
			if err != nil {
				continue // fill refused it
			}
			st := TargetStatus{Job: j.Name, Instance: l.host, URL: l.String(), Health: TargetUnknown}
			if t := active[j.Name+" "+(&url.URL{Scheme: l.scheme, Host: l.host, Path: l.path, RawQuery: l.query.Encode()}).String()]; t != nil {
				st.observe(t)
			}
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(a, b TargetStatus) int {
		return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.URL, b.URL))
	})
	return slices.CompactFunc(out, func(a, b TargetStatus) bool { return a.Job == b.Job && a.URL == b.URL })
}

func (st *TargetStatus) observe(t *scrape.Target) {
	st.LastScrape, st.Duration = t.LastScrape(), t.LastScrapeDuration()
	switch t.Health() {
	case scrape.HealthGood:
		st.Health = TargetUp
	case scrape.HealthBad:
		st.Health = TargetDown
	case scrape.HealthUnknown:
	}
	if err := t.LastError(); err != nil {
		st.LastError = err.Error()
	}
}
