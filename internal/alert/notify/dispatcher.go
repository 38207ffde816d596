package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	belay "github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/id"
)

// Options of New. Outbox must be set; the rest has defaults.
type Options struct {
	Outbox      Outbox
	Logger      *slog.Logger          // nil: silent
	Registerer  prometheus.Registerer // nil: no metrics
	Concurrency int                   // deliveries under way at once, per channel; default 4
	GiveUpAfter time.Duration         // after the event; default 24h
	Backoff     Backoff               // default 1s to 5m
}

const (
	pollIdle    = time.Minute     // looks this often although nobody woke it
	pollBusy    = time.Second     // ... while deliveries are under way
	pollBroken  = 5 * time.Second // ... while the outbox cannot be read
	maxAskedFor = time.Hour       // a receiver may ask to be left alone this long, not longer
	lastWrite   = 5 * time.Second // to record an outcome that came as belay stopped
)

// Dispatcher takes deliveries from the outbox to the notifiers. Each channel has a worker of its own, so that a
// receiver that hangs holds up no other channel.
type Dispatcher struct {
	opts    Options
	told    *prometheus.CounterVec
	pending *prometheus.GaugeVec

	mu       sync.Mutex
	channels map[string]Notifier
	state    state
	cancel   context.CancelFunc // of the workers
	workers  sync.WaitGroup
}

type state int

const (
	created state = iota
	running
	stopped
)

// New makes a dispatcher without channels; see SetChannels.
func New(opts Options) (*Dispatcher, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Concurrency <= 0 {
		opts.Concurrency = 4
	}
	if opts.GiveUpAfter <= 0 {
		opts.GiveUpAfter = 24 * time.Hour
	}
	if opts.Backoff.First <= 0 {
		opts.Backoff.First = time.Second
	}
	if opts.Backoff.Max <= 0 {
		opts.Backoff.Max = 5 * time.Minute
	}
	if opts.Backoff.Chance == nil {
		opts.Backoff.Chance = rand.Float64
	}
	d := &Dispatcher{
		opts: opts,
		told: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belay_notifications_total", Help: "Attempts to tell a channel of an event, by outcome: delivered, retried or given_up.",
		}, []string{"channel", "outcome"}),
		pending: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "belay_notifications_pending", Help: "Events that a channel has yet to be told of.",
		}, []string{"channel"}),
	}
	if opts.Registerer != nil {
		for _, c := range []prometheus.Collector{d.told, d.pending} {
			if err := opts.Registerer.Register(c); err != nil {
				return nil, fmt.Errorf("register metrics of notifications: %w", err)
			}
		}
	}
	return d, nil
}

// SetChannels says which channels there are. Workers of the earlier ones end first; what waits for a channel that
// is no longer there stays in the outbox.
func (d *Dispatcher) SetChannels(channels map[string]Notifier) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.halt()
	for name := range d.channels {
		if _, stays := channels[name]; !stays {
			d.pending.DeleteLabelValues(name)
		}
	}
	d.channels = maps.Clone(channels)
	if d.state == running {
		d.launch()
	}
}

// Start begins to tell. A dispatcher that was stopped stays so.
func (d *Dispatcher) Start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state == created {
		d.state = running
		d.launch()
	}
}

// Stop ends all workers and waits for them. A delivery that is cut off counts as not attempted and is told again
// after the next start.
func (d *Dispatcher) Stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state = stopped
	d.halt()
}

func (d *Dispatcher) launch() {
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	for name, n := range d.channels {
		for _, outcome := range []string{"delivered", "retried", "given_up"} {
			d.told.WithLabelValues(name, outcome) // so that a rate over it has a beginning
		}
		w := &worker{Dispatcher: d, name: name, notifier: n, underWay: map[int64]bool{}, log: d.opts.Logger.With("channel", name)}
		d.workers.Go(func() { w.run(ctx) })
	}
}

func (d *Dispatcher) halt() {
	if d.cancel != nil {
		d.cancel()
		d.workers.Wait()
		d.cancel = nil
	}
}

// worker serves one channel.
type worker struct {
	*Dispatcher
	name     string
	notifier Notifier
	log      *slog.Logger
	underWay map[int64]bool
	broken   bool // the outbox could not be read last time
}

func (w *worker) run(ctx context.Context) {
	woken, cancel := w.opts.Outbox.Subscribe() // before the first look: nothing falls between the two
	defer cancel()
	ended := make(chan int64, w.opts.Concurrency) // room for all: a send that ends after the loop does not wait for it
	var sends sync.WaitGroup
	defer sends.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-woken:
		case <-timer.C:
		case id := <-ended:
			delete(w.underWay, id)
		}
		due, wait := w.look(ctx)
		for _, dl := range due {
			w.underWay[dl.ID] = true
			sends.Go(func() {
				w.deliver(ctx, dl)
				ended <- dl.ID
			})
		}
		timer.Reset(wait)
	}
}

// look returns the deliveries to begin now and how long to wait before looking again unasked.
func (w *worker) look(ctx context.Context) (begin []belay.Delivery, wait time.Duration) {
	now := time.Now()
	backlog, err := w.opts.Outbox.Backlog(ctx, w.name)
	var due []belay.Delivery
	if err == nil {
		w.pending.WithLabelValues(w.name).Set(float64(backlog.Pending))
		due, err = w.opts.Outbox.NextDeliveries(ctx, w.name, now, w.opts.Concurrency)
	}
	if err != nil {
		if !w.broken && ctx.Err() == nil {
			w.log.Error("read the outbox", "error", err)
		}
		w.broken = true
		return nil, pollBroken
	}
	w.broken = false
	for _, dl := range due {
		if !w.underWay[dl.ID] && len(w.underWay)+len(begin) < w.opts.Concurrency {
			begin = append(begin, dl)
		}
	}
	switch {
	case backlog.Pending == 0:
		return begin, pollIdle
	case backlog.Due.After(now):
		return begin, min(backlog.Due.Sub(now), pollIdle)
	}
	return begin, pollBusy // the earliest is under way and hides when the next is due
}

func (w *worker) deliver(ctx context.Context, dl belay.Delivery) {
	retry, err := w.notifier.Notify(ctx, dl.Event, dl.Attempt)
	if err != nil && ctx.Err() != nil {
		return // cut off: not the receiver's fault
	}
	now := time.Now()
	deadline := dl.Created.Add(w.opts.GiveUpAfter)
	log := w.log.With("event", dl.Event.ID, "service", dl.Event.Service, "deployment", dl.Event.Deployment, "attempt", dl.Attempt)
	switch {
	case err == nil:
		log.Debug("notification delivered")
		w.told.WithLabelValues(w.name, "delivered").Inc()
		w.record(ctx, func(ctx context.Context) error { return w.opts.Outbox.MarkDelivered(ctx, dl.ID, now) })
	case retry && now.Before(deadline):
		level := slog.LevelDebug
		if dl.Attempt == 1 { // one line for the outage, not one for each attempt
			level = slog.LevelWarn
		}
		next := now.Add(w.wait(dl.Attempt, err))
		if next.After(deadline) {
			next = deadline // one last attempt
		}
		log.Log(ctx, level, "notification failed, will be tried again", "error", err, "next", next)
		w.told.WithLabelValues(w.name, "retried").Inc()
		w.record(ctx, func(ctx context.Context) error {
			return w.opts.Outbox.MarkFailed(ctx, dl.ID, next, err.Error())
		})
	default:
		log.Error("notification given up", "error", err)
		w.told.WithLabelValues(w.name, "given_up").Inc()
		e := givenUp(w.name, dl, err, now)
		w.record(ctx, func(ctx context.Context) error {
			return w.opts.Outbox.GiveUp(ctx, dl.ID, now, err.Error(), e)
		})
	}
}

func (w *worker) wait(attempt int, err error) time.Duration {
	wait := w.opts.Backoff.After(attempt)
	var asked interface{ RetryAfter() time.Duration }
	if errors.As(err, &asked) {
		wait = max(wait, min(asked.RetryAfter(), maxAskedFor))
	}
	return wait
}

// record writes an outcome down. It insists: an outcome that is not written is a notification told twice.
func (w *worker) record(ctx context.Context, write func(context.Context) error) {
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
		err := write(detached)
		cancel()
		if err == nil || belay.CodeOf(err) == belay.CodeNotFound { // not found: retention took it
			return
		}
		w.log.Error("record the outcome of a notification", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func givenUp(channel string, dl belay.Delivery, err error, now time.Time) belay.Event {
	attempts := "1 attempt"
	if dl.Attempt > 1 {
		attempts = fmt.Sprintf("%d attempts", dl.Attempt)
	}
	return belay.Event{
		ID: id.New("e", now), Time: now, Ref: dl.Event.Ref, Deployment: dl.Event.Deployment, Rollback: dl.Event.Rollback,
		Actor: "belay", Kind: belay.EventNotify,
		Message: fmt.Sprintf("%s was not told of %q: given up after %s: %v", channel, dl.Event.Message, attempts, err),
		Data:    map[string]any{"channel": channel, "event": dl.Event.ID, "attempts": dl.Attempt},
	}
}
