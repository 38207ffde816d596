package rollback

import (
	"fmt"
	"strings"
	"time"

	"github.com/belaydev/belay"
)

// DefaultMaxPerHour is how many automatic rollbacks a service may have in one hour.
const DefaultMaxPerHour = 2

// Limits are the loop guard of one service: what belay may not do by itself.
type Limits struct {
	MaxPerHour      int  // 0 is DefaultMaxPerHour
	AllowUnverified bool // go back to a release that belay never saw healthy
}

// Facts are what the guard judges by.
type Facts struct {
	Now        time.Time
	Recent     []belay.Rollback      // of the same service and environment
	Stable     []belay.StableRelease // likewise
	Quarantine *belay.Quarantine     // of the release to go back to, if any
}

// Automatic tells whether a rule, not a person, asks for the rollback.
func Automatic(actor string) bool { return actor == "" || actor == "belay" }

// Check returns why belay must not run the plan by itself; nothing means that it may. A person may overrule all
// of it; then the objections are recorded.
func (l Limits) Check(p belay.Plan, f Facts) (objections []string) {
	most := l.MaxPerHour
	if most == 0 {
		most = DefaultMaxPerHour
	}
	recent := 0
	for _, r := range f.Recent {
		counts := r.Plan.Ref == p.Ref && r.ID != p.ID && Automatic(r.Actor) && r.Plan.Trigger != "drill"
		if counts && f.Now.Sub(r.StartedAt) < time.Hour {
			recent++
		}
	}
	if recent >= most {
		objections = append(objections, fmt.Sprintf("%s was rolled back automatically %s in the past hour and %d is the limit", p.Ref, times(recent), most))
	}
	if q := f.Quarantine; q != nil {
		objections = append(objections, fmt.Sprintf("%s is in quarantine: %s", p.To, q.Reason))
	}
	if !l.AllowUnverified && !verified(p.To, f.Stable) {
		objections = append(objections, fmt.Sprintf("%s was never verified", p.To))
	}
	return objections
}

func verified(r belay.Release, stable []belay.StableRelease) bool {
	for _, s := range stable {
		if s.Verified && (s.Release.Key() == r.Key() || r.Digest == "" && s.Release.Version == r.Version) {
			return true
		}
	}
	return false
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func refusal(p belay.Plan, objections []string) error {
	return belay.Errorf(belay.CodeConflict, "belay does not roll back %s to %s by itself: %s", p.Ref, p.To, strings.Join(objections, "; ")).
		WithNext("look at what is wrong, then run \"belay rollback %s\" or deploy a repaired release", p.Service)
}
