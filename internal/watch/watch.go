package watch

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/watch/state"
)

// ErrNothingChanged is what a Deployer's error wraps when the deploy failed before anything could have changed:
// the command was not found, say. Such a deployment is not rolled back.
var ErrNothingChanged = errors.New("nothing was changed")

// Store keeps deployments. It has one method for each thing that must outlive the process; an implementation is
// the store of the whole program, so splitting it would buy nothing.
type Store interface {
	// SaveDeployment stores d and appends the events in one transaction. An event that is there already is
	// left alone: a save whose answer was lost is repeated.
	SaveDeployment(ctx context.Context, d belay.Deployment, events ...belay.Event) error
	Deployment(ctx context.Context, id string) (belay.Deployment, error)
	Deployments(ctx context.Context, f belay.DeploymentFilter) ([]belay.Deployment, error) // newest first
	Stable(ctx context.Context, ref belay.Ref) (belay.StableRelease, bool, error)
	SetStable(ctx context.Context, s belay.StableRelease) error
	Quarantined(ctx context.Context, ref belay.Ref, key string) (belay.Quarantine, bool, error)
	Quarantine(ctx context.Context, q belay.Quarantine) error
	AppendTick(ctx context.Context, deployment string, t belay.Tick) error
	// Ticks returns the stored ticks from time fromT on, oldest first.
	Ticks(ctx context.Context, deployment string, fromT float64) ([]belay.Tick, error)
}

// Observer opens the observation of a deployment; once more when its deploy has ended, after the first was closed.
type Observer interface {
	// Observe is told the time, in seconds from the deployment's CreatedAt, of the newest tick that was gathered by this
	// process, whether or not it could be stored; -Inf when there is none. What belongs to it must not come again.
	Observe(ctx context.Context, d belay.Deployment, gathered float64) (Session, error)
}

// Session observes one deployment.
type Session interface {
	// Collect gathers one tick. Its T counts seconds from the deployment's CreatedAt, also after a restart.
	Collect(ctx context.Context, now time.Time) (belay.Tick, error)
	// Updated receives when there is news that is worth a look before the next interval. It may be nil.
	Updated() <-chan struct{}
	Close()
}

// Judge weighs evidence, tick by tick. The same ticks lead to the same card.
type Judge interface {
	Observe(t belay.Tick) belay.Card
}

// Deployer runs the service's deploy command to its end.
type Deployer interface {
	Deploy(ctx context.Context, d belay.Deployment) error
}

// Traffic gives d.Slot pct percent of the traffic and d.PreviousSlot the rest. It may be asked again.
type Traffic interface {
	SetWeight(ctx context.Context, d belay.Deployment, pct int) error
}

// Reverter runs rollbacks.
type Reverter interface {
	// Revert begins the rollback d.Rollback, or finds it begun, and returns its id, which is d.Rollback. An
	// error of belay.CodeUnavailable is tried again, and an internal one for a while; any other means that no
	// rollback can begin.
	Revert(ctx context.Context, d belay.Deployment, trigger, reason, actor string) (rollbackID string, err error)
	// Wait returns the rollback when it has ended.
	Wait(ctx context.Context, id string) (belay.Rollback, error)
}

// Gate looks at a deployment before anything is done.
type Gate interface {
	Check(ctx context.Context, d belay.Deployment) ([]Finding, error)
}

// Finding is what a gate has to say: a warning, or a refusal unless it is overridden.
type Finding struct {
	Name    string // "plan", "monitoring"
	Refuse  bool
	Message string // one sentence
}

// Settings are what the configuration says of a service.
type Settings struct {
	Policy  state.Policy
	Slots   []string       // of its proxy; none without one
	Targets []belay.Target // the configured instances, of all slots
}

// Options are the parts of a Conductor. Gate and Registerer may be nil; Now is time.Now when nil.
type Options struct {
	Store      Store
	Observer   Observer
	Deployer   Deployer
	Traffic    Traffic
	Reverter   Reverter
	Judge      func(d belay.Deployment) Judge // a fresh one, in which stored ticks are replayed after a restart
	Policies   func(ref belay.Ref) (Settings, error)
	Foresee    func(d belay.Deployment, t belay.Tick, c belay.Card) string // for state.Looked; may be nil
	Gate       Gate
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
}

const (
	storeTimeout   = 5 * time.Second
	trafficTimeout = 10 * time.Second
	lookTimeout    = 10 * time.Second
	replayTimeout  = 2 * time.Minute        // for what was stored before a restart: it may be a day of looks
	recordPatience = 2 * time.Second        // how long a rollback waits for a store that refuses its record
	revertPatience = time.Minute            // how long a rollback that cannot begin for an internal error is tried
	hurryEvery     = 100 * time.Millisecond // looks asked for by Session.Updated are at least so far apart
	saveEvery      = 5 * time.Second        // a look that changed nothing but numbers is saved at most so often
	backlogLimit   = 3600                   // ticks kept in memory while the store refuses them
)

// backoff is the wait after another failure: it doubles from 100 ms to 10 s.
func backoff(last time.Duration) time.Duration {
	return min(max(2*last, 100*time.Millisecond), 10*time.Second)
}

// sleep waits, and tells whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
