// Package notify tells the outside of events, at least once and in the order of each deployment. It takes what is
// to be told from an outbox that outlives the process, gives it to the notifier of each channel, and tries again
// until it is told or a day has passed. It does not decide what is worth telling (the outbox's owner does), and it
// speaks no protocol: each folder below is one channel.
package notify

import (
	"context"
	"time"

	belay "github.com/belaydev/belay"
)

// Notifier tells one channel of one event. The id of the event is the idempotency key: after a crash, or when an
// answer was lost, the same event is told again.
type Notifier interface {
	// Notify tells of e; attempt counts from 1. With an error, retry says whether trying again may help. An error
	// that has a method RetryAfter() time.Duration says how long to leave the channel alone.
	Notify(ctx context.Context, e belay.Event, attempt int) (retry bool, err error)
}

// Outbox holds what is to be told. It has more than three methods because a delivery has one life with several
// ends, and whoever stores it must offer all of them.
type Outbox interface {
	// NextDeliveries returns deliveries that are due, and of each deployment at most the oldest.
	NextDeliveries(ctx context.Context, channel string, now time.Time, limit int) ([]belay.Delivery, error)
	Backlog(ctx context.Context, channel string) (belay.Backlog, error)
	MarkDelivered(ctx context.Context, id int64, at time.Time) error
	MarkFailed(ctx context.Context, id int64, nextAttempt time.Time, errText string) error
	// GiveUp ends a delivery without success and stores the event that says so, both or neither.
	GiveUp(ctx context.Context, id int64, at time.Time, errText string, e belay.Event) error
	// Subscribe returns a channel that is woken after events were stored.
	Subscribe() (woken <-chan struct{}, cancel func())
}

// Backoff says how long to wait after a failed attempt: First, then twice as long each time, at most Max; of that
// time half is certain and half is chance, so that many belays do not come back to a receiver at once.
type Backoff struct {
	First, Max time.Duration
	Chance     func() float64 // in [0, 1)
}

// After returns the wait after the attempt with this number, from 1.
func (b Backoff) After(attempt int) time.Duration {
	wait := b.First
	for range attempt - 1 {
		if wait >= b.Max/2 {
			wait = b.Max
			break
		}
		wait *= 2
	}
	half := min(wait, b.Max) / 2
	return half + time.Duration(b.Chance()*float64(half))
}
