package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay"
)

// staleAfter is how old a health status may be: one that nobody renews says nothing about now.
const staleAfter = 30 * time.Second

// family is the checks of one reader. A nil read is one that is not configured.
type family struct {
	name string
	want string // in words, for when nothing can be said about its members
	read func(context.Context) ([]reading, error)
}

// families lists the readers in the order in which a certificate shows them.
func (v *Verifier) families(s Subject, start time.Time) []family {
	weights := "weights"
	if v.o.Proxy != "" {
		weights = "weights of proxy " + v.o.Proxy
	}
	fs := []family{
		{name: "release", want: "every instance reports " + s.Release.String()},
		{name: weights, want: "all traffic goes to " + cmp.Or(s.Slot, s.Release.String())},
		{name: "health", want: "every health check passes"},
		{name: "signals", want: "back at the level from before the deployment"},
		{name: "front door", want: "a request is answered as configured"},
	}
	if v.o.Releases != nil {
		fs[0].read = func(ctx context.Context) ([]reading, error) { return v.readReleases(ctx, s) }
	}
	if v.o.Weights != nil {
		fs[1].read = func(ctx context.Context) ([]reading, error) { return v.readWeights(ctx, s, weights) }
	}
	if v.o.Health != nil {
		fs[2].read = func(ctx context.Context) ([]reading, error) { return v.readHealth(ctx, start) }
	}
	if v.o.Signals != nil {
		fs[3].read = v.readSignals
	}
	if v.o.FrontDoor != nil {
		fs[4].read = func(ctx context.Context) ([]reading, error) {
			d := v.o.FrontDoor.Knock(ctx, s.Release)
			return []reading{{Check: belay.Check{Name: "front door", Result: d.State, Want: d.Want, Got: d.Got}}}, nil
		}
	}
	return fs
}

func (v *Verifier) readReleases(ctx context.Context, s Subject) ([]reading, error) {
	switch {
	case s.Release.IsZero():
		return nil, errors.New("the release to come back to has no version")
	case len(s.Targets) == 0:
		return nil, errors.New("no instances are known to ask")
	}
	reported, err := v.o.Releases.Releases(ctx, s.Targets)
	if err != nil {
		return nil, err
	}
	byTarget := map[string]Reported{}
	for _, r := range reported {
		byTarget[r.Target] = r
	}
	out := make([]reading, 0, len(s.Targets))
	unmoved := 0
	for _, t := range s.Targets {
		r, ok := byTarget[t.Address]
		c := belay.Check{Name: "release of " + t.Address, Want: s.Release.String(), Got: r.Version}
		switch {
		case r.Version == "":
			c.Result, c.Got = belay.CheckUnknown, "could not be read: "+cmp.Or(r.Problem, "it reports no version")
			if !ok {
				c.Got = "not reported"
			}
		case reports(s.Release, r.Version):
			c.Result = belay.CheckPassed
		default:
			c.Result = belay.CheckFailed
			if !s.From.IsZero() && reports(s.From, r.Version) {
				c.Got += ", the release that was to be taken back"
				unmoved++
			}
		}
		out = append(out, reading{Check: c})
	}
	// One that has not moved may be restarting last; when none has, nothing happened.
	if unmoved == len(out) {
		for i := range out {
			out[i].grace = v.o.ReleaseGrace
		}
	}
	return out, nil
}

// reports tells whether a reported text names the release: its version, with or without a leading v, its
// digest, or its commit, which may be shortened.
func reports(r belay.Release, text string) bool {
	plain := func(s string) string {
		if rest, ok := strings.CutPrefix(s, "v"); ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return rest
		}
		return s
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return false
	}
	return plain(text) == plain(r.Version) || text == r.Digest ||
		r.Commit != "" && len(text) >= 7 && (strings.HasPrefix(r.Commit, text) || strings.HasPrefix(text, r.Commit) && len(r.Commit) >= 7)
}

func (v *Verifier) readWeights(ctx context.Context, s Subject, name string) ([]reading, error) {
	if s.Slot == "" {
		return nil, errors.New("the slot to come back to is not known")
	}
	weights, err := v.o.Weights.Weights(ctx)
	if err != nil {
		return nil, err
	}
	var parts []string
	for _, slot := range slices.Sorted(maps.Keys(weights)) {
		parts = append(parts, fmt.Sprintf("%s %d%%", slot, weights[slot]))
	}
	c := belay.Check{Name: name, Result: belay.CheckPassed, Want: s.Slot + " 100%", Got: cmp.Or(strings.Join(parts, ", "), "no slots")}
	if weights[s.Slot] != 100 {
		c.Result = belay.CheckFailed
	}
	return []reading{{Check: c, grace: v.o.Grace}}, nil
}

func (v *Verifier) readHealth(ctx context.Context, start time.Time) ([]reading, error) {
	statuses, err := v.o.Health.Health(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	out := make([]reading, 0, len(statuses))
	for _, s := range statuses {
		c := belay.Check{Name: "health " + s.Check + " of " + s.Target, Want: "healthy", Got: describe(s)}
		switch {
		case s.At.Before(start):
			c.Result, c.Got = belay.CheckUnknown, "not probed since the rollback"
		case now.Sub(s.At) > staleAfter:
			c.Result, c.Got = belay.CheckUnknown, fmt.Sprintf("last probed %s ago", short(now.Sub(s.At)))
		case s.State == belay.HealthUnhealthy || s.Fails > 0:
			c.Result = belay.CheckFailed // the newest probe counts, even while the state is still held by the fall count
		case s.State == belay.HealthHealthy:
			c.Result = belay.CheckPassed
		default:
			c.Result = belay.CheckUnknown
		}
		out = append(out, reading{Check: c})
	}
	sortByName(out)
	return out, nil
}

func describe(s belay.HealthStatus) string {
	state := string(s.State)
	if s.State == belay.HealthHealthy && s.Fails > 0 {
		state = "failing"
	}
	if s.Detail == "" {
		return state
	}
	return state + ": " + s.Detail
}

func (v *Verifier) readSignals(ctx context.Context) ([]reading, error) {
	signals, err := v.o.Signals.Recovered(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]reading, 0, len(signals))
	for _, s := range signals {
		out = append(out, reading{Check: belay.Check{Name: "signal " + s.Name, Result: s.State, Want: s.Want, Got: s.Got}})
	}
	sortByName(out)
	return out, nil
}

func sortByName(rs []reading) {
	slices.SortStableFunc(rs, func(a, b reading) int { return strings.Compare(a.Name, b.Name) })
}
