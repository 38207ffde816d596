package rig

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// Answer is what one user got.
type Answer struct {
	Sent, Done time.Time
	Bad        bool   // no answer, or one with status 5xx
	Version    string // of the release that answered; empty when none did
}

// Users send requests at a steady rate, whatever the answers are.
type Users struct {
	client *http.Client
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	answers []Answer // since Mark, as they came
}

// NewUsers begins to send requests.
func NewUsers(url string, perSecond int) *Users {
	ctx, cancel := context.WithCancel(context.Background())
	u := &Users{cancel: cancel, client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	u.wg.Go(func() {
		gap := time.Second / time.Duration(perSecond)
		// By the clock and not by a ticker, which drops ticks on a busy machine.
		for next := time.Now(); ctx.Err() == nil; next = next.Add(gap) {
			time.Sleep(time.Until(next))
			u.wg.Go(func() { u.send(ctx, url) })
		}
	})
	return u
}

func (u *Users) send(ctx context.Context, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return
	}
	a := Answer{Sent: time.Now()}
	resp, err := u.client.Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		a.Version = resp.Header.Get("X-Version")
		a.Bad = resp.StatusCode >= 500
	}
	a.Done, a.Bad = time.Now(), a.Bad || err != nil
	if ctx.Err() != nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answers = append(u.answers, a)
}

// Mark begins a new list of answers.
func (u *Users) Mark() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answers = nil
}

// Answers returns all answers since Mark, in the order in which they came.
func (u *Users) Answers() []Answer {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]Answer(nil), u.answers...)
}

// Stop ends sending and waits.
func (u *Users) Stop() {
	u.cancel()
	u.wg.Wait()
	u.client.CloseIdleConnections()
}

// Harm is what users suffered in a list of answers.
type Harm struct {
	Total, Bad  int
	First, Last time.Time // bad answers
	Back        time.Time // the first answer by the old release again
}

// Sum adds up answers; old is the version that users should be on.
func Sum(answers []Answer, old string) Harm {
	var h Harm
	for _, a := range answers {
		h.Total++
		if a.Bad {
			h.Bad++
			if h.First.IsZero() {
				h.First = a.Done
			}
			h.Last = a.Done
		}
	}
	for _, a := range answers {
		// What was under way to the old release when the new one began to fail is no sign of a way back.
		if a.Version == old && h.Bad > 0 && a.Sent.After(h.First) {
			h.Back = a.Done
			break
		}
	}
	return h
}

// Seconds is the time from the first bad answer to the last.
func (h Harm) Seconds() float64 { return h.Last.Sub(h.First).Seconds() }
