package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
	"github.com/belaydev/belay/test/bench/figure"
	"github.com/belaydev/belay/test/bench/rig"
)

const perSecond = 200

// blueGreen is a normal configuration. What differs from the defaults are times before the new release has
// traffic and after it has lost it, so that many runs fit into minutes, and the number of rollbacks that the loop
// guard allows. How fast belay looks and decides is not touched.
const blueGreen = `
server: {listen: "{{server}}"}
proxies:
  edge:
    listen: "{{front}}"
    admin: "{{admin}}"
    slots: {blue: "{{blue}}", green: "{{green}}"}
services:
  shop:
    health: [{http: /healthz, interval: 100ms}]
    rollout: {proxy: edge, steps: [100%]}
    watch: {min_time: 1s}
    rollback: {max_per_hour: 60}
    verify: {release: /version, front_door: "http://{{front}}/", proof_time: 1s}
`

// harm measures from the first bad answer that a user gets to the last one.
func harm(ctx context.Context, b *bench) error {
	r, err := rig.New(ctx, b.belay, blueGreen, nil)
	if err != nil {
		return err
	}
	b.clean = append(b.clean, r.Close)
	defer r.Stop()
	users := rig.NewUsers(r.Front+"/", perSecond)
	defer users.Stop()
	if err := r.Adopted(ctx); err != nil {
		return err
	}
	var h harmed
	for i := range b.times(15, 4) {
		if err := h.rollback(ctx, b, r, users, fmt.Sprintf("2.0.%d", i)); err != nil {
			return fmt.Errorf("run %d: %w", i+1, err)
		}
	}
	var script harmed
	for i := range b.times(3, 1) {
		if err := script.byHand(ctx, b, r, users, fmt.Sprintf("3.0.%d", i)); err != nil {
			return fmt.Errorf("script, run %d: %w", i+1, err)
		}
	}
	b.data = filepath.Join(r.Dir, "belay-data")
	h.write(b, script)
	return nil
}

// harmed is what was measured of some runs, in seconds and requests.
type harmed struct {
	whole, detect, move, rest, bad, proof figure.Series
	by                                    map[string]int // runs by who decided
}

func (h *harmed) rollback(ctx context.Context, b *bench, r *rig.Rig, users *rig.Users, version string) error {
	// Looks and streamed counts have a rhythm: runs must not all begin at the same beat of it.
	if err := pause(ctx, rand.N(500*time.Millisecond)); err != nil { //nolint:gosec // not for secrets
		return err
	}
	users.Mark()
	d, err := r.Deploy(ctx, version, 0.5)
	if err != nil {
		return err
	}
	d, rb, err := r.TakenBack(ctx, d.ID)
	if err != nil {
		return err
	}
	if rb.State != belay.RollbackVerified {
		return fmt.Errorf("the rollback of %s is %s: %s", version, rb.State, rb.Reason)
	}
	s := rig.Sum(users.Answers(), rig.Stable)
	if s.Bad == 0 || s.Back.IsZero() {
		return fmt.Errorf("release %s harmed %d requests of %d and was taken back nevertheless: %s", version, s.Bad, s.Total, d.Reason)
	}
	h.add(s)
	h.detect.Add(d.DetectedAt.Sub(s.First).Seconds())
	h.move.Add(s.Back.Sub(d.DetectedAt).Seconds())
	h.rest.Add(s.Last.Sub(s.Back).Seconds())
	h.proof.Add(rb.Certificate.Took.D().Seconds())
	if h.by == nil {
		h.by = map[string]int{}
	}
	by := "?"
	if d.Card != nil {
		by = d.Card.DecidedBy
	}
	h.by[by]++
	b.say("   %s: %s first to last bad, %d harmed; first bad to verdict %s, to the old release %s; by %s", version,
		figure.Seconds(s.Seconds()), s.Bad, figure.Seconds(last(h.detect)), figure.Seconds(last(h.move)), by)
	return nil
}

func (h *harmed) add(s rig.Harm) {
	h.whole.Add(s.Seconds())
	h.bad.Add(float64(s.Bad))
}

// decided says who decided in how many runs.
func (h *harmed) decided() string {
	var parts []string
	for _, by := range slices.Sorted(maps.Keys(h.by)) {
		parts = append(parts, fmt.Sprintf("the %s in %d runs", by, h.by[by]))
	}
	return strings.Join(parts, ", ")
}

func last(s figure.Series) float64 { return s[len(s)-1] }

// The hand-written script: what many pipelines end in.
const (
	scriptEvery  = 5 * time.Second
	scriptLimit  = 0.05
	scriptStrike = 3
)

// byHand lets the script do what belay does: the traffic is moved by the same admin API.
func (h *harmed) byHand(ctx context.Context, b *bench, r *rig.Rig, users *rig.Users, version string) error {
	r.Green.Become(version, 0.5)
	users.Mark()
	if _, err := r.Admin.SetWeights(ctx, map[string]int{"green": 100}, proxyclient.WeightOptions{}); err != nil {
		return err
	}
	before, err := r.Admin.Counts(ctx)
	if err != nil {
		return err
	}
	for strikes := 0; strikes < scriptStrike; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(scriptEvery):
		}
		now, err := r.Admin.Counts(ctx)
		if err != nil {
			return err
		}
		if healthy(ctx, r.Front+"/healthz") && errorShare(before, now) <= scriptLimit {
			strikes = 0
		} else {
			strikes++
		}
		before = now
	}
	if _, err := r.Admin.SetWeights(ctx, map[string]int{"blue": 100}, proxyclient.WeightOptions{}); err != nil {
		return err
	}
	if err := pause(ctx, 500*time.Millisecond); err != nil { // the last bad answers may be under way
		return err
	}
	s := rig.Sum(users.Answers(), rig.Stable)
	h.add(s)
	b.say("   script: %s first to last bad, %d harmed", figure.Seconds(s.Seconds()), s.Bad)
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func healthy(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// errorShare is the share of responses 5xx between two readings.
func errorShare(before, now proxyclient.Snapshot) float64 {
	sum := func(s proxyclient.Snapshot) (all, bad float64) {
		for _, c := range s.Counters {
			all += float64(c.Requests())
			bad += float64(c.Classes[4])
		}
		return all, bad
	}
	a0, b0 := sum(before)
	a1, b1 := sum(now)
	if a1 <= a0 {
		return 0
	}
	return (b1 - b0) / (a1 - a0)
}

func (h *harmed) write(b *bench, script harmed) {
	median := h.whole.Median()
	ratio := script.whole.Median() / median
	b.headline(headline{
		"first bad answer to the last, blue-green, 50 % errors at 200 requests/s", "median " + figure.Seconds(median), "1 s",
		figure.Met(median, 1), fmt.Sprintf("a script that asks every 5 s: %s, %s", figure.Seconds(script.whole.Median()), figure.Ratio(ratio)),
	})
	b.headline(headline{"the same, against the goal", "median " + figure.Seconds(median), "0.5 s (goal)", figure.Met(median, 0.5), "p90 " + figure.Seconds(h.whole.Quantile(0.9))})
	times := figure.NewTable("", "runs", "median", "p90", "min", "max").
		Spread("**first bad answer to the last**", h.whole, figure.Seconds).
		Spread("first bad answer to the verdict", h.detect, figure.Seconds).
		Spread("verdict to the first answer by the old release", h.move, figure.Seconds).
		Spread("from there to the last bad answer (negative: it came before)", h.rest, figure.Seconds).
		Spread("requests harmed", h.bad, figure.Count).
		Spread("proof afterwards, proof_time 1 s", h.proof, figure.Seconds).
		Spread("the script: first bad answer to the last", script.whole, figure.Seconds).
		Spread("the script: requests harmed", script.bad, figure.Count)
	b.part("How long users are harmed", `
`+"`belay serve`, `belay proxy`"+` and two instances of an application that answers in 5 ms; %d users' requests a
second through the proxy, open loop, whatever the answers are. The good release is stable; the bad one, whose health
check passes, gets all traffic in one step and fails half of the requests. Hard stop, looks and streaming of counts
are at their defaults. All times but that of the verdict are taken by the users' side. What decided: %s.

%s
The script is one common way to do this, not the best one: a loop that every %s asks `+"`/healthz`"+` through the front
door and the error rate of the time since it last asked, counts a failure when the health check fails or more than %s
are errors, and after %d failures in a row moves all traffic back by the same admin API. It begins when the traffic is
moved. It proves nothing afterwards.
`, perSecond, h.decided(), times, scriptEvery, figure.Percent(scriptLimit), scriptStrike)
}
