// Package follow stays with a deployment or a rollback until it has settled: it reads the server's stream, reads
// again what the stream does not carry, waits for a server that restarts, and shows what it knows. It ends with the
// exit code of what happened. It asks the server for nothing but news.
package follow

import (
	"context"
	"sync"
	"time"

	"github.com/belaydev/belay"
)

const (
	frameEvery   = 150 * time.Millisecond // between two frames
	readEvery    = time.Second            // between two reads of what the stream does not carry
	readPause    = 200 * time.Millisecond // the least time between two reads
	readTimeout  = 10 * time.Second
	retryPause   = 500 * time.Millisecond // before a broken stream is asked for again
	reconnectFor = time.Minute            // a server that is away so long is not just restarting
)

// change is a piece of news, to be put into what is known. It runs in the loop that owns the knowledge.
type change func()

// subject is something to follow.
type subject struct {
	stream func(ctx context.Context, see func(change) bool) error // news as it comes, until it ends
	read   func(ctx context.Context) (change, error)              // everything, now
	over   func() bool                                            // nothing more is to be waited for
	draw   func(now time.Time, away *outage)                      // shows what is known; away when the server does not answer
}

// outage is a server that does not answer.
type outage struct {
	since time.Time
	err   error
}

// track follows s until it is over, ctx ends, the server says that it cannot go on, or it stays away. Whatever the
// stream does, a read every second notices the end: a stream that stays open and silent is not waited for.
func track(ctx context.Context, s subject) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	news, trouble, wanted := make(chan change), make(chan error), make(chan struct{}, 1)
	wg.Go(func() { keepStreaming(ctx, s, news, trouble) })
	wg.Go(func() { keepReading(ctx, s, wanted, news, trouble) })
	frames := time.NewTicker(frameEvery)
	defer frames.Stop()
	var away *outage
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case apply := <-news:
			away = nil
			apply()
			if s.over() {
				return nil
			}
			select {
			case wanted <- struct{}{}:
			default:
			}
		case err := <-trouble:
			if belay.CodeOf(err) != belay.CodeUnavailable {
				return err
			}
			if away == nil {
				away = &outage{since: time.Now(), err: err}
			}
			if time.Since(away.since) >= reconnectFor {
				return err
			}
		case now := <-frames.C:
			s.draw(now, away)
		}
	}
}

// keepStreaming reads the stream and asks for it again when it breaks.
func keepStreaming(ctx context.Context, s subject, news chan<- change, trouble chan<- error) {
	for {
		err := s.stream(ctx, func(c change) bool { return send(ctx, news, c) })
		if ctx.Err() != nil {
			return
		}
		// Whether the server is away, or has only ended the stream, is for reading to find out.
		if err != nil && belay.CodeOf(err) != belay.CodeUnavailable && !send(ctx, trouble, err) {
			return
		}
		if !pause(ctx, retryPause, nil) {
			return
		}
	}
}

// keepReading reads at an interval, and sooner after news.
func keepReading(ctx context.Context, s subject, wanted <-chan struct{}, news chan<- change, trouble chan<- error) {
	for {
		rctx, cancel := context.WithTimeout(ctx, readTimeout)
		c, err := s.read(rctx)
		if err != nil && rctx.Err() != nil && ctx.Err() == nil {
			err = belay.Errorf(belay.CodeUnavailable, "the server has not answered for %s", belay.Duration(readTimeout))
		}
		cancel()
		if err != nil && !send(ctx, trouble, err) || err == nil && !send(ctx, news, c) {
			return
		}
		if !pause(ctx, readPause, nil) || !pause(ctx, readEvery-readPause, wanted) {
			return
		}
	}
}

func send[T any](ctx context.Context, to chan<- T, v T) bool {
	select {
	case to <- v:
		return true
	case <-ctx.Done():
		return false
	}
}

// pause waits for d, or less when wake comes, and tells whether ctx still lives.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
	case <-wake:
	}
	return true
}
