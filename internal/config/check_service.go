package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config/bind"
	"github.com/belaydev/belay/internal/config/mask"
	"github.com/belaydev/belay/internal/config/unit"
)

func (s section) checkService(svc Service) {
	proxy := s.checkRollout(svc)
	s.checkTargets(svc, proxy)
	s.checkWatch(svc)
	s.checkSignals(svc)
	s.checkHardStops(svc)
	s.checkHealth(svc)
	for name := range svc.Deploy.Env {
		if strings.HasPrefix(name, "BELAY_") {
			s.fault("names that begin with BELAY_ are set by belay", "choose another name", bind.Join("deploy.env", name))
		}
	}
	if len(svc.Deploy.Env) > 0 && len(svc.Deploy.Command) == 0 {
		s.fault("env is for the deploy command, and there is none", "give deploy.command, or remove env", "deploy.env", "deploy.command")
	}
	s.checkRollback(svc)
	if svc.Verify.ProofTime > svc.Rollback.ProofTimeout {
		s.fault(fmt.Sprintf("proving needs %s of good readings but may last %s", human(svc.Verify.ProofTime), human(svc.Rollback.ProofTimeout)),
			"lower proof_time, or raise rollback.proof_timeout", "verify.proof_time", "rollback.proof_timeout")
	}
}

// checkRollout returns the proxy of the service, or nil.
func (s section) checkRollout(svc Service) *Proxy {
	ro := svc.Rollout
	if ro.Proxy == "" {
		if len(ro.Steps) > 0 {
			s.fault("steps need a proxy to move the traffic", "give rollout.proxy, or remove steps", "rollout.steps", "rollout.proxy")
		}
		return nil
	}
	p, ok := s.config.Proxy(ro.Proxy)
	if !ok {
		s.fault(fmt.Sprintf("there is no proxy %q", ro.Proxy), s.proxyHint(ro.Proxy), "rollout.proxy")
		return nil
	}
	if len(ro.Steps) > maxSteps {
		s.fault(fmt.Sprintf("%d steps are too many; the most is %d", len(ro.Steps), maxSteps), "", "rollout.steps")
	}
	for i, w := range ro.Steps {
		at := fmt.Sprintf("rollout.steps[%d]", i)
		switch {
		case w < 1:
			s.fault("a step without traffic shows nothing", "the least is 1%", at)
		case i > 0 && w <= ro.Steps[i-1]:
			s.fault(fmt.Sprintf("%s comes after %s: steps must rise", w, ro.Steps[i-1]), "write for example [10%, 50%, 100%]", at)
		case i == len(ro.Steps)-1 && w != 100:
			s.fault(fmt.Sprintf("the last step is %s, so the release would never get all traffic", w), "end with 100%", at)
		}
	}
	if n := len(ro.Steps); n > 1 && n <= maxSteps && ro.StepTime > svc.Watch.Deadline/time.Duration(n-1) {
		s.fault(fmt.Sprintf("%d steps of %s do not fit into watch.deadline, %s", n, human(ro.StepTime), human(svc.Watch.Deadline)),
			"lower rollout.step_time, or raise watch.deadline", "rollout.step_time", "watch.deadline", "rollout.steps")
	}
	return &p
}

func (s section) proxyHint(name string) string {
	var known []string
	for _, p := range s.config.Proxies {
		known = append(known, p.Name)
	}
	switch best := bind.Nearest(name, known); {
	case best != "":
		return fmt.Sprintf("did you mean %q?", best)
	case len(known) == 0:
		return "define it under proxies"
	}
	return "the proxies are " + strings.Join(known, ", ")
}

func (s section) checkTargets(svc Service, proxy *Proxy) {
	seen := map[string]bool{}
	for i, t := range svc.Targets {
		at := fmt.Sprintf("targets[%d]", i)
		if seen[t.Address] && t.Address != "" {
			s.fault(fmt.Sprintf("%s is listed twice, and would be counted twice", t.Address), "remove one", at+".address")
		}
		seen[t.Address] = true
		if t.Slot == "" || (proxy == nil && svc.Rollout.Proxy != "") {
			continue
		}
		if proxy == nil {
			s.fault("a slot needs a proxy", "give rollout.proxy, or remove slot", at+".slot", "rollout.proxy")
			continue
		}
		var slots []string
		for _, slot := range proxy.Slots {
			slots = append(slots, slot.Name)
		}
		if !slices.Contains(slots, t.Slot) {
			hint := "its slots are " + strings.Join(slots, ", ")
			if best := bind.Nearest(t.Slot, slots); best != "" {
				hint = fmt.Sprintf("did you mean %q?", best)
			}
			s.fault(fmt.Sprintf("proxy %s has no slot %q", proxy.Name, t.Slot), hint, at+".slot")
		}
	}
}

// human writes a duration as in the file.
func human(d time.Duration) string { return unit.FormatDuration(d) }

func (s section) checkWatch(svc Service) {
	w := svc.Watch
	for _, part := range []struct {
		name  string
		value time.Duration
	}{{"min_time", w.MinTime}, {"start_deadline", w.StartDeadline}, {"interval", w.Interval}} {
		if part.value > w.Deadline {
			s.fault(fmt.Sprintf("%s is %s, longer than the deadline of %s", part.name, human(part.value), human(w.Deadline)),
				"lower it, or raise watch.deadline", "watch."+part.name, "watch.deadline")
		}
	}
}

func (s section) checkHealth(svc Service) {
	names := map[string]bool{}
	for i, h := range svc.Health {
		at := fmt.Sprintf("health[%d]", i)
		if names[h.Name] && h.Name != "" {
			s.fault(fmt.Sprintf("two checks are named %q", h.Name), "", at+".name")
		}
		names[h.Name] = true
		if h.HTTP != nil && h.HTTP.TLSExpiry > 0 && strings.HasPrefix(h.HTTP.URL, "http:") {
			s.fault("an http URL has no certificate that could expire", "use https, or remove tls_expiry", at+".http.tls_expiry", at+".http.url")
		}
	}
}

func (s section) checkRollback(svc Service) {
	rb := svc.Rollback
	if len(rb.Steps) > maxSteps {
		s.fault(fmt.Sprintf("%d steps are too many; the most is %d", len(rb.Steps), maxSteps), "", "rollback.steps")
		return
	}
	for i, step := range rb.Steps {
		s.checkStep(svc, step, fmt.Sprintf("rollback.steps[%d]", i))
	}
	for _, rung := range rb.Rungs() {
		names := map[string]bool{}
		for i, step := range rung {
			if names[step.Name] && step.Name != "" {
				s.fault(fmt.Sprintf("two steps are named %q", step.Name), "the name is part of a step's key, so give each its own", fmt.Sprintf("rollback.steps[%d].name", i))
			}
			names[step.Name] = true
		}
	}
	if needs := rb.Needs(); rb.Budget < needs {
		s.fault(fmt.Sprintf("the budget is %s, but the steps and the proof of every rung may take %s", human(rb.Budget), human(needs)),
			"raise the budget, or lower deadlines and proof_timeout", "rollback.budget", "rollback.steps", "rollback.proof_timeout")
	}
}

func (s section) checkStep(svc Service, step Step, at string) {
	if len(step.Inspect) > 0 && len(step.Command) == 0 {
		s.fault("inspect is for a command", "an http step has its own: http.inspect; a proxy is always read back", at+".inspect", at+".command")
	}
	if h := step.HTTP; h != nil {
		urls := map[string]string{"url": h.URL}
		if h.Inspect != nil {
			urls["inspect.url"] = h.Inspect.URL
		}
		for _, path := range mask.Open(h.Headers, urls) {
			s.fault("a secret in the clear would be stored and shown with every plan",
				"put it in token: {env: NAME}, which is sent as a bearer token; where that does not do, use a command", at+".http."+path)
		}
	}
	if step.Proxy != "" {
		if _, ok := s.config.Proxy(step.Proxy); !ok {
			s.fault(fmt.Sprintf("there is no proxy %q", step.Proxy), s.proxyHint(step.Proxy), at+".proxy")
		} else if step.Proxy != svc.Rollout.Proxy {
			s.fault(fmt.Sprintf("proxy %s is not in front of %s, so there is no slot to go back to", step.Proxy, svc.Ref()), "give it as rollout.proxy", at+".proxy", "rollout.proxy")
		}
		if step.Kind != belay.StepTraffic && step.Kind != "" {
			s.fault("a proxy takes back traffic, nothing else", "remove kind", at+".kind")
		}
	}
	if pauses := time.Duration(step.Attempts-1) * step.Backoff; step.Attempts > 1 && pauses >= step.Deadline {
		s.fault(fmt.Sprintf("%d attempts with %s between them take longer than the step's deadline, %s", step.Attempts, human(step.Backoff), human(step.Deadline)),
			"lower attempts or backoff, or raise deadline", at+".backoff", at+".deadline", at+".attempts")
	}
	if step.Next != nil {
		s.checkStep(svc, *step.Next, at+".next")
	}
}
