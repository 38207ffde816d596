package watch

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/watch/state"
)

// Conductor watches deployments from their beginning to their end.
type Conductor struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	topics  topics

	// one lets one Deploy, Rollback or Start look at what is active and add to it.
	one sync.Mutex

	mu       sync.Mutex
	phase    phase
	watchers map[string]*watcher // the active ones, by deployment
	launch   func(run func(context.Context))
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

type phase int

const (
	fresh phase = iota
	running
	stopped
)

// New returns a Conductor that does nothing before Start.
func New(o Options) (*Conductor, error) {
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics of the watch: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Conductor{o: o, log: o.Logger, metrics: m, topics: newTopics(), watchers: map[string]*watcher{}}, nil
}

// Start goes on with all active deployments of the store. ctx bounds the loading only. A second Start does
// nothing; one after Stop is refused.
func (c *Conductor) Start(ctx context.Context) error {
	c.one.Lock()
	defer c.one.Unlock()
	if started, err := c.started(); started || err != nil {
		return err
	}
	active, err := c.o.Store.Deployments(ctx, belay.DeploymentFilter{Active: true})
	if err != nil {
		return fmt.Errorf("read active deployments: %w", err)
	}
	// Oldest first: each waits for, or supersedes, those of its service that came before it.
	slices.SortFunc(active, func(a, b belay.Deployment) int { return strings.Compare(a.ID, b.ID) })

	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.mu.Lock()
	if c.phase != fresh {
		c.mu.Unlock()
		cancel()
		return errStopped()
	}
	c.phase, c.cancel = running, cancel
	c.launch = func(f func(context.Context)) { c.wg.Go(func() { f(run) }) }
	c.mu.Unlock()

	for _, d := range active {
		settings, err := c.o.Policies(d.Ref)
		if err != nil {
			c.log.Warn("service of an active deployment is not configured any more, default policy applies",
				"service", d.Service, "environment", d.Environment, "deployment", d.ID, "error", err)
			settings = Settings{Policy: state.Default()}
		}
		c.conduct(d, settings, true)
	}
	return nil
}

func (c *Conductor) started() (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == stopped {
		return false, errStopped()
	}
	return c.phase == running, nil
}

func errStopped() error {
	return belay.Errorf(belay.CodeUnavailable, "belay is stopping").WithNext("try again when it is back")
}

// Stop ends all watching and waits until it has ended. What was active is active again after the next Start.
func (c *Conductor) Stop() {
	c.mu.Lock()
	c.phase = stopped
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
	c.wg.Wait()
	c.topics.closeAll()
}

// ready tells, as an error, why deployments cannot be taken on now.
func (c *Conductor) ready() error {
	started, err := c.started()
	if err == nil && !started {
		err = belay.Errorf(belay.CodeUnavailable, "belay is still starting").WithNext("try again in a moment")
	}
	return err
}

// conduct begins to watch d. The older active deployments of the same service are superseded; d begins when
// they have ended, which for one that is being rolled back may take a while.
func (c *Conductor) conduct(d belay.Deployment, settings Settings, resumed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != running {
		return // it is on record: the next Start finds it
	}
	w := newWatcher(c, d, settings)
	older := c.ofLocked(d.Ref)
	c.watchers[d.ID] = w
	c.metrics.active.Inc()
	c.topics.publish(d)
	ready := make(chan struct{})
	w.ready, w.waited = ready, len(older) > 0
	c.launch(func(ctx context.Context) {
		for _, o := range older {
			o.tell(ctx, request{in: state.Superseded{By: d.ID, Now: c.o.Now()}})
		}
		for _, o := range older {
			<-o.done // closed at the latest when ctx is done
		}
		if ctx.Err() == nil {
			close(ready)
		}
	})
	c.launch(func(ctx context.Context) {
		w.run(ctx, resumed)
		c.mu.Lock()
		delete(c.watchers, d.ID)
		c.mu.Unlock()
		c.metrics.active.Dec()
		close(w.done)
	})
}

// ofLocked returns the active watchers of a service, oldest first.
func (c *Conductor) ofLocked(ref belay.Ref) []*watcher {
	var ws []*watcher
	for _, w := range c.watchers {
		if w.ref == ref {
			ws = append(ws, w)
		}
	}
	slices.SortFunc(ws, func(a, b *watcher) int { return strings.Compare(a.id, b.id) })
	return ws
}

func (c *Conductor) of(ref belay.Ref) []*watcher {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ofLocked(ref)
}

// Unsaved is how many decisions the store has not taken: they are in memory only, and are tried again.
func (c *Conductor) Unsaved() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, w := range c.watchers {
		n += int(w.pending.Load())
	}
	return n
}

// Ask asks act of a deployment in the name of actor. It returns when the outcome is on record.
func (c *Conductor) Ask(ctx context.Context, id string, act belay.Act, actor, reason string) (belay.Deployment, error) {
	return c.ask(ctx, id, state.Asked{Act: act, Actor: actor, Reason: reason, Now: c.o.Now()})
}

func (c *Conductor) ask(ctx context.Context, id string, in state.Asked) (belay.Deployment, error) {
	if err := c.ready(); err != nil {
		return belay.Deployment{}, err
	}
	c.mu.Lock()
	w := c.watchers[id]
	c.mu.Unlock()
	if w != nil {
		reply := make(chan answer, 1)
		if w.tell(ctx, request{in: in, reply: reply}) {
			select {
			case a := <-reply:
				return a.d, a.err
			case <-ctx.Done():
				return belay.Deployment{}, fmt.Errorf("%s %s: %w", in.Act, id, ctx.Err())
			case <-w.done:
			}
			select {
			case a := <-reply: // its last word
				return a.d, a.err
			default:
			}
		}
		if ctx.Err() != nil {
			return belay.Deployment{}, fmt.Errorf("%s %s: %w", in.Act, id, ctx.Err())
		}
	}
	d, err := c.o.Store.Deployment(ctx, id)
	if err != nil {
		return d, fmt.Errorf("%s %s: %w", in.Act, id, err)
	}
	if !d.State.Final() {
		return d, belay.Errorf(belay.CodeUnavailable, "%s is not watched at this moment: belay is starting or stopping", id).
			WithNext("try again in a moment")
	}
	return d, state.Permits(d, in.Act)
}

// Subscribe delivers the newest state of a deployment after each change; a slow reader misses the ones between.
// The channel is closed after the final state, and at once for a deployment that does not exist.
func (c *Conductor) Subscribe(id string) (updates <-chan belay.Deployment, cancel func()) {
	if ch, cancel, ok := c.topics.subscribe(id); ok {
		return ch, cancel
	}
	ctx, done := context.WithTimeout(context.Background(), storeTimeout)
	defer done()
	ch := make(chan belay.Deployment, 1)
	if d, err := c.o.Store.Deployment(ctx, id); err == nil {
		ch <- d
	}
	close(ch)
	return ch, func() {}
}
