package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// traffic sends what users would: 200 requests a second, whatever the answers are.
type traffic struct {
	client *http.Client

	mu            sync.Mutex
	total, harmed int // since mark
	firstBad      time.Time
	lastBad       time.Time
	byVersion     map[string]int // harmed, by the release that answered
}

const perSecond = 200

func newTraffic() *traffic {
	return &traffic{
		client:    &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		byVersion: map[string]int{},
	}
}

// start sends until ctx ends, each request in its own goroutine and at most a few hundred at once.
func (t *traffic) start(ctx context.Context, base string) {
	slots := make(chan struct{}, 400)
	go func() {
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			select {
			case slots <- struct{}{}:
				go func() {
					defer func() { <-slots }()
					t.one(ctx, base)
				}()
			default: // the shop hangs: more users would not tell us more
			}
		}
	}()
}

func (t *traffic) one(ctx context.Context, base string) {
	method, path := http.MethodGet, "/"
	switch n := rand.IntN(100); { //nolint:gosec // not for secrets
	case n >= 80:
		method, path = http.MethodPost, "/checkout"
	case n >= 50:
		path = fmt.Sprintf("/products/%d", n)
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, nil)
	if err != nil {
		return
	}
	resp, err := t.client.Do(req)
	version, bad := "none", err != nil
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		version, bad = resp.Header.Get("X-Shop-Version"), resp.StatusCode >= 500
	}
	if ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total++
	if bad {
		t.harmed++
		t.byVersion[version]++
		t.lastBad = time.Now()
		if t.firstBad.IsZero() {
			t.firstBad = t.lastBad
		}
	}
}

// mark begins a new count.
func (t *traffic) mark() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total, t.harmed, t.firstBad, t.lastBad, t.byVersion = 0, 0, time.Time{}, time.Time{}, map[string]int{}
}

// await polls until the address answers 200.
func await(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", url, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// summary prints what the users saw and what belay recorded of it.
func (d *director) summary(ctx context.Context, began time.Time) error {
	dep, rb, err := d.newest(ctx)
	if err != nil {
		return err
	}
	t := d.traffic
	t.mu.Lock()
	defer t.mu.Unlock()
	say("What happened")
	row := func(name, value string) { fmt.Printf("  %-34s %s\n", name, value) }
	if !dep.DetectedAt.IsZero() && !t.firstBad.IsZero() {
		row("first bad answer to verdict", round(dep.DetectedAt.Sub(t.firstBad)))
	}
	if rb != nil {
		last := rb.StartedAt
		for _, s := range rb.Steps {
			if s.Ended.After(last) {
				last = s.Ended
			}
		}
		row("verdict to users on 1.1.0 again", round(last.Sub(dep.DetectedAt)))
		if rb.Certificate != nil {
			row("proof that they are well", fmt.Sprintf("%s, %d readings: %s", round(rb.Certificate.Took.D()), len(rb.Certificate.Checks), rb.Certificate.Result))
		}
	}
	row("first bad answer to the last", round(t.lastBad.Sub(t.firstBad)))
	row("requests harmed", fmt.Sprintf("%d of %d", t.harmed, t.total))
	if n := t.harmed - t.byVersion["1.2.0"]; n > 0 {
		row("  of those not by 1.2.0", fmt.Sprint(n))
	}
	row("the whole demonstration", round(time.Since(began)))
	fmt.Printf(`
Where to look next
  make demo KEEP=1               the same, left running: then try bin/belay status, history, show shop
  examples/demo/belay.yaml       all that it took
  docs/quickstart.md             your own service, in five lines
`)
	return nil
}

func round(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
