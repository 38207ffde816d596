package verify

import (
	"fmt"
	"time"

	"github.com/belaydev/belay"
)

// reading is one reading of one check.
type reading struct {
	belay.Check
	// grace, on a failed reading, says that it contradicts the rollback: lasting longer ends the proof.
	grace time.Duration
}

// proof is what has been read so far. It does no I/O and reads no clock.
type proof struct {
	subject  Subject
	start    time.Time
	families []string
	checks   map[string]*history // by family and name
	names    map[string][]string // names of a family, in the order of its readings
}

// history is what has been read of one check.
type history struct {
	last      reading
	goodSince time.Time // passed without a break since then; zero when it does not pass
	badSince  time.Time // contradicted without a break since then; zero when it does not
	lastBad   time.Time // newest reading that did not pass
	bad       belay.CheckResult
	relapsed  bool // it had passed before lastBad
	placehold bool // stands for a family of which nothing was ever read
}

func newProof(s Subject, start time.Time) *proof {
	return &proof{subject: s, start: start, checks: map[string]*history{}, names: map[string][]string{}}
}

func (p *proof) deadline() time.Time { return p.start.Add(p.subject.Timeout) }

// note takes in what a family said. A check that was there before and is not any more is unknown, so that
// nothing passes by falling silent.
func (p *proof) note(f family, readings []reading, err error, now time.Time) {
	if _, ok := p.names[f.name]; !ok {
		p.families = append(p.families, f.name)
		p.names[f.name] = nil
	}
	why := "no longer reported"
	if err != nil {
		readings, why = nil, "could not be read: "+err.Error()
	}
	if f.read == nil {
		readings = []reading{{Check: belay.Check{Name: f.name, Result: belay.CheckAbsent, Want: f.want, Got: "not configured"}}}
	}
	var names []string
	current := map[string]bool{}
	for _, r := range readings {
		// Two of one name must not hide each other.
		for n, name := 2, r.Name; current[r.Name]; n++ {
			r.Name = fmt.Sprintf("%s (%d)", name, n)
		}
		names = append(names, r.Name)
		current[r.Name] = true
		p.history(f.name, r.Name).take(r, now)
	}
	for _, name := range p.names[f.name] {
		h := p.history(f.name, name)
		if current[name] || h.placehold {
			continue // a stand-in is written anew below, or has become needless
		}
		names = append(names, name)
		h.take(reading{Check: belay.Check{Name: name, Result: belay.CheckUnknown, Want: h.last.Want, Got: why}}, now)
	}
	if len(names) == 0 {
		if err == nil {
			why = "nothing was reported"
		}
		names = []string{f.name}
		h := p.history(f.name, f.name)
		h.placehold = true
		h.take(reading{Check: belay.Check{Name: f.name, Result: belay.CheckUnknown, Want: f.want, Got: why}}, now)
	}
	p.names[f.name] = names
}

func (p *proof) history(family, name string) *history {
	key := family + "\x00" + name
	if p.checks[key] == nil {
		p.checks[key] = &history{}
	}
	return p.checks[key]
}

func (h *history) take(r reading, now time.Time) {
	r.At = now
	h.last = r
	if r.Result == belay.CheckPassed {
		if h.goodSince.IsZero() {
			h.goodSince = now
		}
	} else {
		h.relapsed = h.relapsed || !h.goodSince.IsZero()
		h.goodSince, h.lastBad, h.bad = time.Time{}, now, r.Result
	}
	switch {
	case r.Result != belay.CheckFailed || r.grace <= 0:
		h.badSince = time.Time{}
	case h.badSince.IsZero():
		h.badSince = now
	}
}

// all returns the checks in their order: by family, within it as its reader orders them.
func (p *proof) all() []*history {
	var out []*history
	for _, family := range p.families {
		for _, name := range p.names[family] {
			out = append(out, p.history(family, name))
		}
	}
	return out
}

// done tells whether the certificate can be issued.
func (p *proof) done(now time.Time) bool {
	held, passed := true, 0
	for _, h := range p.all() {
		switch h.last.Result {
		case belay.CheckPassed:
			passed++
			held = held && h.heldFor(now) >= p.subject.ProofTime
		case belay.CheckFailed:
			if !h.badSince.IsZero() && now.Sub(h.badSince) >= h.last.grace {
				return true
			}
			held = false
		case belay.CheckUnknown:
			held = false
		case belay.CheckAbsent:
		}
	}
	return held && passed > 0 || !now.Before(p.deadline()) || p.nothingToRead()
}

// nothingToRead tells that no reader is configured: waiting would change nothing.
func (p *proof) nothingToRead() bool {
	for _, h := range p.all() {
		if h.last.Result != belay.CheckAbsent {
			return false
		}
	}
	return true
}

func (h *history) heldFor(now time.Time) time.Duration {
	if h.goodSince.IsZero() {
		return 0
	}
	return now.Sub(h.goodSince)
}

// certificate writes down the last readings.
func (p *proof) certificate(now time.Time) belay.Certificate {
	s := p.subject
	c := belay.Certificate{
		Rollback: s.Rollback, Ref: s.Ref, Release: s.Release, Rung: s.Rung,
		IssuedAt: now, Took: belay.Duration(now.Sub(p.start)),
	}
	late := !now.Before(p.deadline())
	for _, h := range p.all() {
		c.Checks = append(c.Checks, h.check(now, s.ProofTime, late))
	}
	c.Result = c.Judge()
	return c
}

// check is the last reading as a certificate states it. One that passes now but has not held is not passed: it
// is as it was before if it has gone back and forth, and unknown if it came late.
func (h *history) check(now time.Time, proofTime time.Duration, late bool) belay.Check {
	c := h.last.Check
	if c.Result != belay.CheckPassed || h.heldFor(now) >= proofTime || h.lastBad.IsZero() && !late {
		return c
	}
	c.Result = belay.CheckUnknown
	before := ""
	if h.relapsed {
		c.Result = h.bad
		before = "; it has gone back and forth"
	}
	c.Got += fmt.Sprintf(", but only for %s%s; it must hold for %s", short(h.heldFor(now)), before, short(proofTime))
	return c
}

func short(d time.Duration) belay.Duration { return belay.Duration(d.Round(100 * time.Millisecond)) }
