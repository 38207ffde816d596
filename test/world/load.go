//go:build story

package world

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Load sends requests at a steady rate until the test ends.
type Load struct {
	Total, Bad atomic.Int64
	cancel     context.CancelFunc
	wg         sync.WaitGroup
	once       sync.Once
	client     *http.Client
	slots      chan struct{}

	mu    sync.Mutex
	first string // the first failure, in words
}

// Request is one kind of request of a load.
type Request struct {
	Method, Path string
	Share        int // of 100
}

// Load begins to send requests.
func (w *World) Load(base string, perSecond int, mix []Request) *Load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Load{
		cancel: cancel, slots: make(chan struct{}, 128),
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	l.wg.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			r, n := mix[0], (i*37)%100
			for _, m := range mix {
				if r = m; n < m.Share {
					break
				}
				n -= m.Share
			}
			select {
			case l.slots <- struct{}{}:
				l.wg.Go(func() {
					defer func() { <-l.slots }()
					l.send(ctx, r.Method, base+r.Path)
				})
			default: // the service is that slow: users wait
			}
		}
	})
	w.T.Cleanup(l.Stop)
	return l
}

func (l *Load) send(ctx context.Context, method, url string) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return
	}
	resp, err := l.client.Do(req)
	if ctx.Err() != nil {
		if err == nil {
			resp.Body.Close()
		}
		return
	}
	l.Total.Add(1)
	if err != nil {
		l.failed(err.Error())
		return
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	switch {
	case resp.StatusCode >= 400:
		l.failed(url + ": " + resp.Status)
	case err != nil && ctx.Err() == nil:
		l.failed(err.Error())
	}
}

func (l *Load) failed(why string) {
	l.Bad.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == "" {
		l.first = why
	}
}

// FirstFailure says what the first failed request met.
func (l *Load) FirstFailure() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

// Stop ends the load and waits for its requests.
func (l *Load) Stop() {
	l.once.Do(func() {
		l.cancel()
		l.wg.Wait()
		l.client.CloseIdleConnections()
	})
}
