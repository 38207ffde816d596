package state

import (
	"fmt"
	"strings"

	"github.com/belaydev/belay"
)

// Transition is one row of the chart: the input On leads From one state To another.
type Transition struct {
	From belay.State
	On   string // the kind of the input, as Kind gives it
	To   belay.State
	When string
}

// Kind names the kind of an input: "looked", "asked: pause".
func Kind(in Input) string { return in.kind() }

// Transitions lists every change of state that Next can make.
func Transitions() []Transition {
	const (
		pending, deploying, watching = belay.StatePending, belay.StateDeploying, belay.StateWatching
		baking, paused, held         = belay.StateBaking, belay.StatePaused, belay.StateHeld
		back, failed                 = belay.StateRollingBack, belay.StateDeployFailed
		done, over                   = belay.StateSucceeded, belay.StateSuperseded
	)
	t := []Transition{
		{pending, "accepted", deploying, "the deploy command begins, or the pipeline said that its own has begun"},
		{pending, "accepted", watching, "it was registered as deployed"},
		{pending, "accepted", back, "it is a person's rollback of a service"},
		{pending, "asked: abort", belay.StateRefused, "nothing was done yet"},

		{deploying, "deploy ended", watching, "it ended well"},
		{deploying, "deploy ended", back, "it failed"},
		{deploying, "deploy ended", held, "it failed and automatic rollback is off"},
		{deploying, "deploy ended", failed, "it failed and nothing was changed, or there is nothing to go back to"},
		{deploying, "asked: deployed", watching, "the pipeline reports its end"},
		{deploying, "looked", watching, "a registered deploy is seen healthy, or its end was not reported in time"},
		{deploying, "looked", back, "what users get from the new release regressed"},
		{deploying, "restarted", watching, "the end of the deploy command is unknown: judged by what is seen"},

		{watching, "looked", baking, "proven healthy at full traffic, or the deadline passed and the policy says promote"},
		{watching, "looked", done, "the same, without a bake"},
		{baking, "looked", done, "the bake is over, or full traffic is confirmed after a person's promotion"},
		{baking, "traffic set", done, "full traffic is confirmed after a person's promotion"},
		{watching, "looked", held, "the deadline passed and the policy says hold, or it regressed and automatic rollback is off"},
		{baking, "looked", held, "blind when the bake ended and the policy says hold, or it regressed and automatic rollback is off"},
		{paused, "looked", held, "it regressed and automatic rollback is off"},
		{watching, "looked", back, "it regressed, or the deadline passed and the policy says rollback"},
		{baking, "looked", back, "it regressed, or blind when the bake ended and the policy says rollback"},
		{paused, "looked", back, "it regressed: a pause stops the clock, not the hard evidence"},
		{held, "looked", back, "it regressed"},

		{watching, "asked: pause", paused, "a person stops the clock"},
		{baking, "asked: pause", paused, "a person stops the clock"},
		{paused, "asked: resume", watching, "a person lets it go on"},
		{paused, "asked: resume", baking, "a person lets it go on"},
		{held, "asked: resume", watching, "a person lets it go on; the step's clock starts over"},
		{held, "asked: resume", baking, "a person lets it go on; the step's clock starts over"},

		{back, "rollback ended", belay.StateRolledBack, "the certificate says verified"},
		{back, "rollback ended", belay.StateUnverified, "nothing contradicts it, but something could not be read"},
		{back, "rollback ended", belay.StateRollbackFailed, "it failed, or a person aborted it"},
		{back, "rollback refused", belay.StateRollbackFailed, "nothing to go back to, or the loop guard forbids it"},
	}
	for _, from := range []belay.State{pending, deploying, watching, baking, paused, held} {
		t = append(t, Transition{from, "superseded", over, "a newer deployment of the service was accepted"})
	}
	for _, from := range []belay.State{watching, baking, paused, held} {
		t = append(t, Transition{from, "asked: promote", done, "a person promotes it at full traffic"})
		if from != baking {
			t = append(t, Transition{from, "asked: promote", baking, "a person promotes it; full traffic is to be confirmed"})
		}
	}
	for _, from := range []belay.State{deploying, watching, baking, paused, held} {
		t = append(t, Transition{from, "asked: abort", back, "a person takes it back"},
			Transition{from, "asked: failed", back, "the pipeline reports a failed deploy"},
			Transition{from, "asked: failed", failed, "the same, and there is nothing to go back to"})
		if from != held {
			t = append(t, Transition{from, "asked: failed", held, "the same, and automatic rollback is off"})
		}
	}
	return t
}

// Chart writes docs/states.md.
func Chart() string {
	var b strings.Builder
	b.WriteString("# The states of a deployment\n\n" +
		"<!-- Made from internal/watch/state by `make generate`. Do not edit. -->\n\n" +
		"```mermaid\nstateDiagram-v2\n    [*] --> pending\n    [*] --> refused: a gate refused it\n")
	labels := map[[2]belay.State][]string{}
	var order [][2]belay.State
	for _, t := range Transitions() {
		k := [2]belay.State{t.From, t.To}
		if labels[k] == nil {
			order = append(order, k)
		}
		labels[k] = append(labels[k], strings.TrimPrefix(t.On, "asked: "))
	}
	ended := map[belay.State]bool{}
	for _, k := range order {
		fmt.Fprintf(&b, "    %s --> %s: %s\n", k[0], k[1], strings.Join(labels[k], ", "))
	}
	for _, k := range append(order, [2]belay.State{"", belay.StateRefused}) {
		if k[1].Final() && !ended[k[1]] {
			ended[k[1]] = true
			fmt.Fprintf(&b, "    %s --> [*]\n", k[1])
		}
	}
	b.WriteString("```\n\n| from | input | to | when |\n| --- | --- | --- | --- |\n")
	for _, t := range Transitions() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", t.From, t.On, t.To, t.When)
	}
	return b.String()
}
