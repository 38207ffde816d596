package rollback

import (
	"context"

	"github.com/belaydev/belay"
)

// Driver changes one kind of system.
//
// Both methods may be called again after a crash with the same Action; Action.Key is the idempotency key.
// Inspect changes nothing. Do returns once the system accepted the change; whether it took effect is for Inspect
// to say. An error of code invalid, denied or not_found is final; any other is tried again.
type Driver interface {
	Inspect(ctx context.Context, a belay.Action) (belay.Look, error)
	Do(ctx context.Context, a belay.Action) error
}

// Journal keeps rollbacks and the timeline. SaveRollback replaces the record and inserts the events in one
// transaction; an event whose id is there already is left as it is.
type Journal interface {
	SaveRollback(ctx context.Context, rb belay.Rollback, events ...belay.Event) error
	Rollback(ctx context.Context, id string) (belay.Rollback, error)
	Rollbacks(ctx context.Context, f belay.RollbackFilter) ([]belay.Rollback, error)
}

// History knows which releases may be gone back to. StableHistory is newest first; a limit of 0 is no limit.
type History interface {
	Quarantine(ctx context.Context, q belay.Quarantine) error
	Quarantined(ctx context.Context, ref belay.Ref, key string) (belay.Quarantine, bool, error)
	StableHistory(ctx context.Context, ref belay.Ref, limit int) ([]belay.StableRelease, error)
}

// Prover reads everything back from the real systems and says whether the rollback is complete. It waits up to
// the plan's ProofTimeout for users to be well again. When its context ends it returns what it has read.
type Prover interface {
	Prove(ctx context.Context, rb belay.Rollback) (belay.Certificate, error)
}

// final tells whether trying the same act again cannot help.
func final(err error) bool {
	switch belay.CodeOf(err) {
	case belay.CodeInvalid, belay.CodeDenied, belay.CodeNotFound:
		return true
	default:
		return false
	}
}
