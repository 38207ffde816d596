package state

import (
	"fmt"
	"slices"
	"time"

	"github.com/belaydev/belay"
)

// staged tells whether belay itself moves the traffic: there is a proxy, and an older release to share it with.
func (m *machine) staged() bool { return m.d.Slot != "" && m.d.PreviousSlot != "" }

// steps are the weights to go through; the last is always 100. A release without an older one beside it has
// nobody to share with.
func (m *machine) steps() []int {
	if !m.staged() || len(m.p.Steps) == 0 {
		return []int{100}
	}
	if s := m.p.Steps; s[len(s)-1] != 100 {
		return append(slices.Clone(s), 100)
	}
	return m.p.Steps
}

// watch begins the observation. Evidence from before does not count as proof: it may be that of the old release,
// which was replaced in place.
func (m *machine) watch(format string, args ...any) {
	m.to(belay.StateWatching, belayActor, format, args...)
	m.startClock()
	if m.mayServe() {
		m.weigh(0)
	}
}

func (m *machine) startClock() {
	if m.d.DeployedAt.IsZero() {
		m.d.DeployedAt = m.now
	}
	m.d.HealthyAt, m.d.ProvenAt, m.d.DetectedAt = time.Time{}, time.Time{}, time.Time{}
	m.d.Step, m.d.StepAt, m.d.StepPaused = 0, m.now, 0
	m.d.Weight, m.d.Serving = 0, 0
	if m.d.Slot == "" { // traffic is the deploy command's business
		m.d.Weight, m.d.Serving, m.d.FullTrafficAt = 100, 100, m.now
	}
}

// mayServe tells whether the new release may get its first traffic.
func (m *machine) mayServe() bool {
	return m.d.Slot != "" && m.d.Weight == 0 && !m.blind() && (!m.p.HealthFirst || !m.d.HealthyAt.IsZero())
}

func (m *machine) blind() bool { return m.d.Card != nil && m.d.Card.Verdict == belay.VerdictBlind }

func (m *machine) weigh(step int) {
	m.d.Step = step
	m.d.Weight = m.steps()[step]
	m.d.StepAt, m.d.StepPaused = m.now, 0
	m.do(SetWeight{m.d.Weight})
}

// confirmed tells whether the traffic layer has the weight.
func (m *machine) confirmed() bool { return m.d.Slot == "" || m.d.Serving == m.d.Weight }

// askAgain asks for the weight that the traffic layer has not confirmed; but not while blind: a weight that was
// wanted before must not come true unobserved. In baking full traffic has been decided.
func (m *machine) askAgain() {
	if m.d.State == belay.StateBaking || m.d.State == belay.StateWatching && !m.blind() {
		m.do(SetWeight{m.d.Weight})
	}
}

func (m *machine) trafficSet(in TrafficSet) {
	if in.Weight != m.d.Weight || m.confirmed() {
		return // the answer to an older wish, or one more to this
	}
	if in.Err != nil {
		if m.d.Serving >= 0 { // said once; asking again comes with each look
			m.record(belay.EventTraffic, belayActor, "slot %s could not be given %d %% of the traffic: %v", m.d.Slot, in.Weight, in.Err)
		}
		m.d.Serving = -1
		return
	}
	m.d.Serving, m.d.StepAt, m.d.StepPaused = in.Weight, m.now, 0
	if in.Weight == 100 && m.d.FullTrafficAt.IsZero() {
		m.d.FullTrafficAt = m.now
	}
	m.record(belay.EventTraffic, belayActor, "slot %s has %d %% of the traffic", m.d.Slot, in.Weight)
	if m.d.Promoted != "" && m.d.State == belay.StateBaking && in.Weight == 100 {
		m.succeed(m.d.Promoted, "promoted by "+m.d.Promoted)
	}
}

// foresee tells once what the watch will be able to see. After the verdict nobody asks.
func (m *machine) foresee(in Looked) {
	if in.Outlook == "" || m.d.Outlook != "" || in.Card.Verdict == belay.VerdictRegressed {
		return
	}
	m.d.Outlook = in.Outlook
	m.record(belay.EventEvidence, belayActor, "what this watch can see: %s", in.Outlook)
}

// see keeps the evidence and tells of a changed verdict.
func (m *machine) see(card belay.Card) {
	before := belay.VerdictNone
	if m.d.Card != nil {
		before = m.d.Card.Verdict
	}
	m.d.Card = &card
	if m.d.HealthyAt.IsZero() && allHealthy(card) {
		m.d.HealthyAt = m.now
	}
	if m.d.ProvenAt.IsZero() && card.Verdict == belay.VerdictHealthy {
		m.d.ProvenAt = m.now
	}
	if m.d.DetectedAt.IsZero() && card.Verdict == belay.VerdictRegressed {
		m.d.DetectedAt = m.now
	}
	if card.Verdict != before {
		m.record(belay.EventVerdict, belayActor, "%s%s", named(card.Verdict), because(card.Reason))
	}
}

func named(v belay.Verdict) string {
	if v == belay.VerdictNone {
		return "undecided"
	}
	return string(v)
}

// allHealthy tells whether the card proves the health of the new release: by its checks, or without any by the
// verdict.
func allHealthy(card belay.Card) bool {
	checks := 0
	for _, h := range card.Health {
		if h.Arm != belay.ArmCandidate {
			continue
		}
		if checks++; h.State != belay.HealthHealthy {
			return false
		}
	}
	return checks > 0 || card.Verdict == belay.VerdictHealthy
}

// neverHealthy tells whether checks looked at the new release and it never passed them all. Checks that could
// not look, while monitoring is down, say nothing.
func (m *machine) neverHealthy() bool {
	checks, unknown := 0, 0
	for _, h := range m.d.Card.Health {
		if h.Arm != belay.ArmCandidate {
			continue
		}
		checks++
		if h.State == belay.HealthUnknown {
			unknown++
		}
	}
	return m.d.HealthyAt.IsZero() && checks > 0 && (unknown < checks || !m.blind())
}

// failing names the first check of the new release that does not pass, and why; "" when none says.
func failing(card belay.Card) string {
	for _, h := range card.Health {
		if h.Arm == belay.ArmCandidate && h.State != belay.HealthHealthy && h.Detail != "" {
			return h.Check + " says " + h.Detail
		}
	}
	return ""
}

func (m *machine) looked(card belay.Card) {
	m.see(card)
	if m.d.Promoted != "" && m.d.State == belay.StateBaking { // a person has decided: evidence is kept, not acted on
		if !m.confirmed() {
			m.askAgain()
			return
		}
		m.succeed(m.d.Promoted, "promoted by "+m.d.Promoted)
		return
	}
	if card.Verdict == belay.VerdictRegressed {
		m.takeBackByRule(TriggerRegressed, card.Reason)
		return
	}
	confirmed := m.confirmed()
	switch {
	case m.mayServe() && m.d.State == belay.StateWatching:
		m.weigh(0)
		return
	case m.d.State == belay.StateWatching:
		m.lookedWhileWatching(card)
	case m.d.State == belay.StateBaking:
		m.lookedWhileBaking(card)
	default: // paused or held: the clock stands and so does the weight
	}
	if !confirmed {
		m.askAgain()
	}
}

func (m *machine) lookedWhileWatching(card belay.Card) {
	confirmed, onStep := m.confirmed(), since(m.now, m.d.StepAt)-m.d.StepPaused.D()
	served := confirmed && m.d.Weight > 0
	last := m.d.Step == len(m.steps())-1
	switch {
	case served && card.Verdict == belay.VerdictHealthy:
		switch {
		case !last && onStep >= m.p.StepTime:
			m.weigh(m.d.Step + 1)
		case last && since(m.now, m.d.DeployedAt)-m.d.PausedFor.D() >= m.p.MinTime:
			m.bake("proven healthy at full traffic", belayActor)
		}
	case m.neverHealthy():
		if m.p.StartDeadline > 0 && onStep >= m.p.StartDeadline {
			m.timeOut(m.p.OnTimeout.NeverHealthy, fmt.Sprintf("%s was never healthy within %s%s", m.d.Release, belay.Duration(m.p.StartDeadline), because(failing(card))))
		}
	case m.p.Deadline <= 0 || onStep < m.p.Deadline:
	case !served && card.Verdict == belay.VerdictHealthy || !confirmed && card.Verdict != belay.VerdictBlind:
		m.hold(fmt.Sprintf("slot %s was not given its %d %% of the traffic within %s", m.d.Slot, m.d.Weight, belay.Duration(m.p.Deadline)))
	case m.blind():
		m.timeOut(m.p.OnTimeout.Blind, fmt.Sprintf("monitoring was down and nothing was proven within %s", belay.Duration(m.p.Deadline)))
	default:
		m.timeOut(m.p.OnTimeout.Insufficient, fmt.Sprintf("too little was seen to prove anything within %s", belay.Duration(m.p.Deadline)))
	}
}

// bake begins the time of watching at full traffic.
func (m *machine) bake(reason, actor string) {
	if m.p.Bake <= 0 && m.d.Serving == m.d.Weight && m.d.Promoted == "" {
		m.succeed(actor, reason)
		return
	}
	m.to(belay.StateBaking, actor, "%s", reason)
	m.d.StepAt, m.d.StepPaused = m.now, 0
}

func (m *machine) lookedWhileBaking(card belay.Card) {
	confirmed, baked := m.confirmed(), since(m.now, m.d.StepAt)-m.d.StepPaused.D()
	switch {
	case baked < m.p.Bake:
	case !confirmed:
		if m.p.Deadline > 0 && baked >= m.p.Bake+m.p.Deadline {
			m.hold(fmt.Sprintf("slot %s was not given all of the traffic", m.d.Slot))
		}
	case card.Verdict != belay.VerdictBlind:
		m.succeed(belayActor, fmt.Sprintf("baked for %s", belay.Duration(m.p.Bake)))
	case baked >= m.p.Bake+m.p.Deadline:
		// Blind at the very end is waited out; blindness that lasts must not pass for proof.
		m.timeOut(m.p.OnTimeout.Blind, "monitoring was down when the bake ended")
	}
}

func (m *machine) timeOut(f Fallback, reason string) {
	switch f {
	case Rollback:
		m.takeBackByRule(TriggerDeadline, reason)
	case Promote:
		reason += "; the policy says promote"
		if m.d.State == belay.StateBaking {
			m.succeed(belayActor, reason)
			return
		}
		m.fullWeight()
		m.bake(reason, belayActor)
	case Hold:
		m.hold(reason)
	default:
		m.hold(reason)
	}
}

func (m *machine) fullWeight() {
	if m.d.Slot != "" && m.d.Weight < 100 {
		m.weigh(len(m.steps()) - 1)
	}
}

func (m *machine) succeed(actor, reason string) {
	m.markStable()
	m.to(belay.StateSucceeded, actor, "%s", reason)
}

// verified tells whether belay itself judged the release healthy, and still does not judge it regressed.
func (m *machine) verified() bool {
	regressed := m.d.Card != nil && m.d.Card.Verdict == belay.VerdictRegressed
	return !m.d.ProvenAt.IsZero() && !regressed
}

func (m *machine) markStable() {
	m.do(MarkStable{belay.StableRelease{
		Ref: m.d.Ref, Release: m.d.Release, Slot: m.d.Slot, Deployment: m.d.ID, Verified: m.verified(), Since: m.now,
	}})
}
