package rollback_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/rollback"
)

func TestTheLoopGuard(t *testing.T) {
	now := time.Unix(100_000, 0)
	shop := belay.Ref{Service: "shop", Environment: "production"}
	p := belay.Plan{ID: "r-9", Ref: shop, To: belay.Release{Version: "1.9", Digest: "sha256:19"}}
	past := func(id, actor string, ago time.Duration, change ...func(*belay.Rollback)) belay.Rollback {
		rb := belay.Rollback{ID: id, Plan: belay.Plan{Ref: shop}, Actor: actor, StartedAt: now.Add(-ago)}
		for _, c := range change {
			c(&rb)
		}
		return rb
	}
	drill := func(rb *belay.Rollback) { rb.Plan.Trigger = "drill" }
	staging := func(rb *belay.Rollback) { rb.Plan.Environment = "staging" }
	stable := func(r belay.Release, verified bool) []belay.StableRelease {
		return []belay.StableRelease{{Release: belay.Release{Version: "1.0"}, Verified: true}, {Release: r, Verified: verified}}
	}
	good := stable(p.To, true)
	for name, c := range map[string]struct {
		limits rollback.Limits
		facts  rollback.Facts
		want   string // in the objections; empty: none
	}{
		"nothing against it":       {rollback.Limits{}, rollback.Facts{Stable: good}, ""},
		"one before":               {rollback.Limits{}, rollback.Facts{Stable: good, Recent: []belay.Rollback{past("r-1", "belay", time.Minute)}}, ""},
		"two before":               {rollback.Limits{}, rollback.Facts{Stable: good, Recent: []belay.Rollback{past("r-1", "belay", time.Minute), past("r-2", "", 59*time.Minute)}}, "2 times in the past hour and 2 is the limit"},
		"two before, one long ago": {rollback.Limits{}, rollback.Facts{Stable: good, Recent: []belay.Rollback{past("r-1", "belay", time.Minute), past("r-2", "belay", time.Hour)}}, ""},
		"a person's do not count":  {rollback.Limits{}, rollback.Facts{Stable: good, Recent: []belay.Rollback{past("r-1", "user:ann", 0), past("r-2", "user:ann", 0), past("r-3", "ci", 0)}}, ""},
		"drills do not count":      {rollback.Limits{}, rollback.Facts{Stable: good, Recent: []belay.Rollback{past("r-1", "belay", 0, drill), past("r-2", "belay", 0, drill)}}, ""},
		"elsewhere does not count": {rollback.Limits{MaxPerHour: 1}, rollback.Facts{Stable: good, Recent: []belay.Rollback{past("r-1", "belay", 0, staging)}}, ""},
		"itself does not count":    {rollback.Limits{MaxPerHour: 1}, rollback.Facts{Stable: good, Recent: []belay.Rollback{past("r-9", "belay", 0)}}, ""},
		"a tighter limit":          {rollback.Limits{MaxPerHour: 1}, rollback.Facts{Stable: good, Recent: []belay.Rollback{past("r-1", "belay", 0)}}, "once in the past hour"},
		"quarantined":              {rollback.Limits{}, rollback.Facts{Stable: good, Quarantine: &belay.Quarantine{Reason: "it leaked"}}, "1.9 is in quarantine: it leaked"},
		"never seen":               {rollback.Limits{}, rollback.Facts{}, "1.9 was never verified"},
		"never verified":           {rollback.Limits{}, rollback.Facts{Stable: stable(p.To, false)}, "1.9 was never verified"},
		"another build of it":      {rollback.Limits{}, rollback.Facts{Stable: stable(belay.Release{Version: "1.9", Digest: "sha256:other"}, true)}, "1.9 was never verified"},
		"unverified is allowed":    {rollback.Limits{AllowUnverified: true}, rollback.Facts{}, ""},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			c.facts.Now = now
			got := strings.Join(c.limits.Check(p, c.facts), "; ")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
