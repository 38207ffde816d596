// Package storetest is the one suite that every store of belay passes: what is stored comes back, what is
// acknowledged survives kill -9, the timeline only grows, and nobody overtakes in the outbox. It knows no database.
package storetest

import (
	"context"
	"testing"
	"time"

	belay "github.com/belaydev/belay"
)

// Store is all that belay asks of a store. It is large because it is the sum of the small interfaces that the
// users of a store declare; nothing but this suite takes it whole.
type Store interface {
	SaveDeployment(ctx context.Context, d belay.Deployment, events ...belay.Event) error
	Deployment(ctx context.Context, id string) (belay.Deployment, error)
	Deployments(ctx context.Context, f belay.DeploymentFilter) ([]belay.Deployment, error)

	SaveRollback(ctx context.Context, r belay.Rollback, events ...belay.Event) error
	Rollback(ctx context.Context, id string) (belay.Rollback, error)
	Rollbacks(ctx context.Context, f belay.RollbackFilter) ([]belay.Rollback, error)

	Append(ctx context.Context, events ...belay.Event) error
	Events(ctx context.Context, f belay.EventFilter) ([]belay.Event, error)
	Subscribe() (woken <-chan struct{}, cancel func())

	Stable(ctx context.Context, ref belay.Ref) (belay.StableRelease, bool, error)
	SetStable(ctx context.Context, r belay.StableRelease) error
	StableHistory(ctx context.Context, ref belay.Ref, limit int) ([]belay.StableRelease, error)

	Quarantine(ctx context.Context, q belay.Quarantine) error
	Quarantined(ctx context.Context, ref belay.Ref, key string) (belay.Quarantine, bool, error)
	Quarantines(ctx context.Context) ([]belay.Quarantine, error)
	LiftQuarantine(ctx context.Context, ref belay.Ref, key, actor string) error

	Learned(ctx context.Context, ref belay.Ref) (belay.Learned, bool, error)
	LearnedBefore(ctx context.Context, ref belay.Ref, at time.Time) (belay.Learned, bool, error)
	SetLearned(ctx context.Context, ref belay.Ref, l belay.Learned) error
	ForgetLearned(ctx context.Context, ref belay.Ref, actor string) error

	AppendTick(ctx context.Context, deployment string, tick belay.Tick) error
	Ticks(ctx context.Context, deployment string, fromT float64) ([]belay.Tick, error)

	SetChannels(channels map[string][]belay.EventKind)
	NextDeliveries(ctx context.Context, channel string, now time.Time, limit int) ([]belay.Delivery, error)
	Backlog(ctx context.Context, channel string) (belay.Backlog, error)
	MarkDelivered(ctx context.Context, id int64, at time.Time) error
	MarkFailed(ctx context.Context, id int64, nextAttempt time.Time, errText string) error
	GiveUp(ctx context.Context, id int64, at time.Time, errText string, e belay.Event) error

	Prune(ctx context.Context, before time.Time) error
	Health(ctx context.Context) error
	Close() error
}

// Open opens the store that is kept in a folder, empty for a folder not seen before. A store without files names
// its database after the folder.
type Open func(t testing.TB, dir string) Store

// Run runs the suite. It must be called from a top-level test: the crash test starts the test binary again and
// runs that one test, to be killed.
func Run(t *testing.T, open Open) {
	if victim(t, open) {
		return
	}
	for _, c := range []struct {
		name string
		run  func(t *testing.T, open Open)
	}{
		{"deployment_comes_back", testDeployment},
		{"deployment_by_prefix", testPrefix},
		{"deployments_filtered", testDeployments},
		{"rollback_comes_back", testRollback},
		{"rollbacks_filtered", testRollbacks},
		{"events_in_order", testEvents},
		{"events_by_cursor", testCursor},
		{"events_stored_once", testDuplicates},
		{"events_incomplete", testIncomplete},
		{"subscribers_woken", testSubscribe},
		{"stable", testStable},
		{"quarantine", testQuarantine},
		{"learned", testLearned},
		{"learned_forgotten", testForget},
		{"learned_pruned", testLearnedPruned},
		{"ticks", testTicks},
		{"ticks_reopened", testTicksReopened},
		{"outbox_order", testOutboxOrder},
		{"outbox_channels", testOutboxChannels},
		{"outbox_reopened", testOutboxReopened},
		{"outbox_given_up", testOutboxGiveUp},
		{"prune", testPrune},
		{"many_writers", testWriters},
		{"closed", testClosed},
		{"kill_minus_nine", testKill},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
}

// fresh opens an empty store that is closed at the end of the test.
func fresh(t *testing.T, open Open) Store {
	t.Helper()
	s := open(t, t.TempDir())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}
