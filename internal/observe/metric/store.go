package metric

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/flock"
)

// Options say how to open a Store. Only Dir is needed.
type Options struct {
	Dir        string                // folder of the store, created if need be
	Retention  time.Duration         // how long samples are kept; 15 days when zero
	MaxBytes   int64                 // of the blocks on disk, the oldest are deleted first; 2 GiB when zero, no limit when negative
	Logger     *slog.Logger          // only what the engine warns of is logged
	Registerer prometheus.Registerer // for the engine's own prometheus_* metrics; nil keeps them to itself

	BodyLimit   int64 // bytes of one scrape's answer, decompressed; 32 MiB when zero
	SampleLimit int   // samples of one scrape; 50,000 when zero
	LabelLimit  int   // labels of one series; 64 when zero. Names may have 256 bytes, values 4096

	// OutOfOrder is how far behind the newest sample of its series one may come and still be kept, so that a
	// clock that is set back does not stop scraping; 5 minutes when zero.
	OutOfOrder     time.Duration
	MaxSamples     int           // that one query may hold in memory at once; 10 million when zero
	QueryTimeout   time.Duration // 30 s when zero
	AllowLinkLocal bool          // scrape link-local and cloud metadata addresses too
}

func (o *Options) fill() {
	setDefault(&o.Retention, 15*24*time.Hour)
	setDefault(&o.MaxBytes, 2<<30)
	setDefault(&o.BodyLimit, 32<<20)
	setDefault(&o.SampleLimit, 50_000)
	setDefault(&o.LabelLimit, 64)
	setDefault(&o.OutOfOrder, 5*time.Minute)
	setDefault(&o.MaxSamples, 10_000_000)
	setDefault(&o.QueryTimeout, 30*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Store is the embedded Prometheus: a time series database in a folder, its query engine and its scraping.
type Store struct {
	opts    Options
	db      *tsdb.DB
	engine  *promql.Engine
	parser  parser.Parser
	scraper *scraper
	unlock  func() error

	closed atomic.Bool
	use    sync.RWMutex // held for reading while the database is asked: its files are unmapped when it is closed
}

// Open opens the store in o.Dir, which no other process may have open. Nothing is scraped before SetJobs.
func Open(o Options) (*Store, error) {
	o.fill()
	if o.Dir == "" {
		return nil, belay.Errorf(belay.CodeInvalid, "open metrics store: no folder is named")
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("create metrics folder: %w", err)
	}
	unlock, err := flock.Lock(filepath.Join(o.Dir, "belay.lock"))
	if errors.Is(err, flock.ErrHeld) {
		return nil, belay.Errorf(belay.CodeConflict, "open metrics store: %w", err).WithNext("stop the other belay, or give this one another data folder")
	} else if err != nil {
		return nil, fmt.Errorf("open metrics store: %w", err)
	}
	s := &Store{opts: o, parser: newParser(), unlock: unlock}
	log := slog.New(atLeast{o.Logger.Handler(), slog.LevelWarn})
	if s.db, err = tsdb.Open(o.Dir, log, o.Registerer, dbOptions(o), nil); err != nil {
		return nil, errors.Join(fmt.Errorf("open metrics store in %s: %w", o.Dir, err), unlock())
	}
	s.engine = promql.NewEngine(promql.EngineOpts{
		Logger: log, Reg: o.Registerer, MaxSamples: o.MaxSamples, Timeout: o.QueryTimeout,
		EnableAtModifier: true, EnableNegativeOffset: true, Parser: s.parser,
	})
	if s.scraper, err = newScraper(o, log, s.db); err != nil {
		return nil, errors.Join(err, s.engine.Close(), s.db.Close(), unlock())
	}
	return s, nil
}

// dbOptions keeps what the store holds in memory small: belay watches some services, not a data centre.
func dbOptions(o Options) *tsdb.Options {
	d := tsdb.DefaultOptions()
	d.RetentionDuration = o.Retention.Milliseconds()
	d.MaxBytes = max(o.MaxBytes, 0)
	d.MaxBlockDuration = max(d.MinBlockDuration, min(d.RetentionDuration/10, (31*24*time.Hour).Milliseconds()))
	d.NoLockfile = true // our own lock is never stale; theirs warns after each kill
	d.StripeSize = 512
	d.HeadChunksWriteBufferSize = chunks.MinWriteBufferSize
	d.WALSegmentSize = 32 << 20
	d.WALCompression = compression.Snappy
	d.OutOfOrderTimeWindow = o.OutOfOrder.Milliseconds()
	return d
}

// Close stops scraping and closes the database. When ctx ends first, Close returns its error and goes on in
// the background: what the log does not hold yet is lost at most. A second Close does nothing.
func (s *Store) Close(ctx context.Context) error {
	if s.closed.Swap(true) {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		s.scraper.close()
		s.use.Lock()
		defer s.use.Unlock()
		done <- errors.Join(s.engine.Close(), s.db.Close(), s.unlock())
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("close metrics store: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close metrics store: %w", context.Cause(ctx))
	}
}

// Ready returns an error once the store is closed.
func (s *Store) Ready(context.Context) error {
	if s.closed.Load() {
		return belay.Errorf(belay.CodeUnavailable, "the embedded metrics store is closed")
	}
	return nil
}

// Samples implements Reader.
func (s *Store) Samples(ctx context.Context, selector string, from, to time.Time) ([]Series, error) {
	ms, err := matchers(selector)
	if err != nil {
		return nil, err
	}
	mint, maxt := from.UnixMilli()+1, to.UnixMilli()
	if maxt < mint {
		return nil, nil
	}
	s.use.RLock()
	defer s.use.RUnlock()
	if err := s.Ready(ctx); err != nil {
		return nil, err
	}
	q, err := s.db.Querier(mint, maxt)
	if err != nil {
		return nil, fmt.Errorf("read metrics store: %w", err)
	}
	defer q.Close() //nolint:errcheck // it only releases what was read
	var (
		out   []Series
		it    chunkenc.Iterator
		count int
		set   = q.Select(ctx, true, &storage.SelectHints{Start: mint, End: maxt}, ms...)
	)
	for set.Next() {
		series := set.At()
		it = series.Iterator(it)
		points, err := readPoints(it)
		if err != nil {
			return nil, fmt.Errorf("read metrics store: series %s: %w", series.Labels(), err)
		}
		if count += len(points); count > s.opts.MaxSamples {
			return nil, belay.Errorf(belay.CodeInvalid, "metric selector %q matches more than %d samples", selector, s.opts.MaxSamples).
				WithNext("narrow the selector")
		}
		if len(points) > 0 {
			out = append(out, Series{Labels: series.Labels().Map(), Points: points})
		}
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("read metrics store: %w", err)
	}
	return out, ctx.Err()
}

func readPoints(it chunkenc.Iterator) ([]Point, error) {
	var points []Point
	for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
		switch vt {
		case chunkenc.ValFloat:
			if t, v := it.At(); !value.IsStaleNaN(v) {
				points = append(points, Point{T: time.UnixMilli(t), V: v})
			}
		case chunkenc.ValHistogram, chunkenc.ValFloatHistogram:
			if t, fh := it.AtFloatHistogram(nil); !value.IsStaleNaN(fh.Sum) {
				points = append(points, Point{T: time.UnixMilli(t), H: flatten(fh)})
			}
		case chunkenc.ValNone:
		}
	}
	return points, it.Err()
}

// Eval implements Reader.
func (s *Store) Eval(ctx context.Context, expr string, at time.Time) ([]Series, error) {
	s.use.RLock()
	defer s.use.RUnlock()
	if err := s.Ready(ctx); err != nil {
		return nil, err
	}
	q, err := s.engine.NewInstantQuery(ctx, s.db, promql.NewPrometheusQueryOpts(false, 0, nil), expr, at)
	if err != nil {
		return nil, belay.Errorf(belay.CodeInvalid, "read PromQL expression %q: %w", expr, err)
	}
	defer q.Close()
	r := q.Exec(ctx)
	if r.Err != nil {
		return nil, evalError(expr, r.Err)
	}
	s.warn(expr, r.Warnings)
	at = at.Truncate(time.Millisecond)
	switch v := r.Value.(type) {
	case promql.Scalar:
		return []Series{{Labels: map[string]string{}, Points: []Point{{T: at, V: v.V}}}}, nil
	case promql.Vector:
		out := make([]Series, 0, len(v))
		for _, x := range v {
			p := Point{T: time.UnixMilli(x.T), V: x.F}
			if x.H != nil {
				p = Point{T: time.UnixMilli(x.T), H: flatten(x.H)}
			}
			out = append(out, Series{Labels: x.Metric.Map(), Points: []Point{p}})
		}
		sortSeries(out)
		return out, nil
	}
	return nil, notAValue(expr, string(r.Value.Type()))
}

// Range returns the values of a PromQL expression at from, from+step and so on up to to.
func (s *Store) Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Series, error) {
	s.use.RLock()
	defer s.use.RUnlock()
	if err := s.Ready(ctx); err != nil {
		return nil, err
	}
	q, err := s.engine.NewRangeQuery(ctx, s.db, promql.NewPrometheusQueryOpts(false, 0, nil), expr, from, to, step)
	if err != nil {
		return nil, belay.Errorf(belay.CodeInvalid, "read PromQL expression %q: %w", expr, err)
	}
	defer q.Close()
	r := q.Exec(ctx)
	if r.Err != nil {
		return nil, evalError(expr, r.Err)
	}
	s.warn(expr, r.Warnings)
	m, ok := r.Value.(promql.Matrix)
	if !ok {
		return nil, notAValue(expr, string(r.Value.Type()))
	}
	out := make([]Series, 0, len(m))
	for _, x := range m {
		points := make([]Point, 0, len(x.Floats))
		for _, p := range x.Floats {
			points = append(points, Point{T: time.UnixMilli(p.T), V: p.F})
		}
		if len(points) > 0 { // native histograms are no values
			out = append(out, Series{Labels: x.Metric.Map(), Points: points})
		}
	}
	sortSeries(out)
	return out, nil
}

func notAValue(expr, kind string) error {
	return belay.Errorf(belay.CodeInvalid, "PromQL expression %q gives a %s, not a value at one moment", expr, kind).
		WithNext("wrap a range in a function such as rate(...)")
}

func evalError(expr string, err error) error {
	var (
		timeout  promql.ErrQueryTimeout
		canceled promql.ErrQueryCanceled
		broken   promql.ErrStorage
	)
	if errors.As(err, &timeout) || errors.As(err, &canceled) || errors.As(err, &broken) {
		return belay.Errorf(belay.CodeUnavailable, "evaluate PromQL expression %q: %w", expr, err)
	}
	return belay.Errorf(belay.CodeInvalid, "evaluate PromQL expression %q: %w", expr, err)
}

func (s *Store) warn(expr string, ws annotations.Annotations) {
	for _, w := range ws.AsErrors() {
		s.opts.Logger.Debug("query warning", "query", expr, "error", w)
	}
}

// Sample is one number to be written by Append.
type Sample struct {
	Labels map[string]string
	T      time.Time
	V      float64
}

// Append writes samples that were not scraped. It takes all or none.
func (s *Store) Append(ctx context.Context, samples []Sample) error {
	s.use.RLock()
	defer s.use.RUnlock()
	if err := s.Ready(ctx); err != nil {
		return err
	}
	app := s.db.AppenderV2(ctx)
	for _, x := range samples {
		if math.IsNaN(x.V) && value.IsStaleNaN(x.V) {
			x.V = math.NaN() // only the engine may end a series
		}
		l := labels.FromMap(x.Labels)
		if _, err := app.Append(0, l, 0, x.T.UnixMilli(), x.V, nil, nil, storage.AppendV2Options{}); err != nil {
			return errors.Join(fmt.Errorf("append sample of %s at %s: %w", l, x.T.UTC().Format(time.RFC3339Nano), err), app.Rollback())
		}
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("append %d samples: %w", len(samples), err)
	}
	return nil
}

// atLeast passes on records of a level or above.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(as []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(as), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}
