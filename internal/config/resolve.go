package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config/bind"
	"github.com/belaydev/belay/internal/config/secret"
	"github.com/belaydev/belay/internal/config/shape"
	"github.com/belaydev/belay/internal/config/signal"
	"github.com/belaydev/belay/internal/config/unit"
)

const (
	maxSteps      = 100      // of one plan
	maxSecret     = 64 << 10 // bytes of a secret's file
	defaultBudget = 10 * time.Minute
)

// resolve fills in what depends on other values: names, paths, secrets, plans.
func (r *reader) resolve() {
	c := r.config
	c.Server.Data = r.path(c.Server.Data)
	if c.Metrics.ScrapeTimeout == 0 {
		c.Metrics.ScrapeTimeout = min(10*time.Second, c.Metrics.ScrapeInterval)
	}
	r.secret(&c.Server.Token, r.places, "server.token")
	r.secret(&c.Metrics.BearerToken, r.places, "metrics.bearer_token")
	for i := range c.Notify.Webhooks {
		w := &c.Notify.Webhooks[i]
		if w.Name == "" {
			w.Name = "webhook-" + strconv.Itoa(i+1)
		}
		r.secret(&w.Secret, r.places, fmt.Sprintf("notify.webhooks[%d].secret", i))
	}
	for i := range c.Proxies {
		p := &c.Proxies[i]
		if p.State == "" {
			p.State = filepath.Join(c.Server.Data, "proxy-"+p.Name+".json")
		}
		p.State = r.path(p.State)
		r.secret(&p.Token, r.places, bind.Join("proxies."+p.Name, "token"))
	}
	for i := range c.Services {
		r.resolveService(&c.Services[i], r.services[i])
	}
}

func (r *reader) resolveService(s *Service, places bind.Places) {
	r.secret(&s.Metrics.BearerToken, places, "metrics.bearer_token")
	r.command(s.Deploy.Command, places, "deploy.command")
	if s.Watch.StartDeadline == 0 {
		s.Watch.StartDeadline = min(5*time.Minute, s.Watch.Deadline)
	}
	if s.Watch.MinTime == 0 && !places.Has("watch.min_time") {
		s.Watch.MinTime = min(10*time.Second, s.Watch.Deadline)
	}
	if p, ok := r.config.Proxy(s.Rollout.Proxy); ok {
		if len(s.Rollout.Steps) == 0 {
			s.Rollout.Steps = []unit.Weight{10, 50, 100}
		}
		if len(s.Targets) == 0 {
			for _, slot := range p.Slots {
				s.Targets = append(s.Targets, Target{Address: strings.TrimPrefix(slot.Address, "h2c://"), Slot: slot.Name})
			}
		}
	}
	for i := range s.Signals {
		sig := &s.Signals[i]
		if !places.Has("signals." + sig.Name + ".for") {
			sig.For = min(sig.For, s.Watch.Deadline)
		}
		if !sig.CountsEvents() && !places.Has("signals."+sig.Name+".compare") {
			sig.Compare = false // also of a built-in one that is measured by a query
		}
		if sig.Unit == "" && sig.Threshold != nil {
			sig.Unit = sig.Threshold.Unit
		}
	}
	if !slices.ContainsFunc(s.Signals, func(x Signal) bool { return x.Name == ErrorRate }) && !places.Has("hard_stops."+ErrorRate) {
		s.HardStops = slices.DeleteFunc(s.HardStops, func(h HardStop) bool { return h.Signal == ErrorRate })
	}
	builtInFirst(s.Signals, func(x Signal) string { return x.Name })
	builtInFirst(s.HardStops, func(x HardStop) string { return x.Signal })
	if len(s.HardStops) == 0 {
		s.HardStops = nil
	}
	r.resolveHealth(s, places)
	r.resolveRollback(s, places)
}

// builtInFirst orders a list by the built-in signals, then as written.
func builtInFirst[T any](list []T, name func(T) string) {
	order := signal.Names()
	rank := func(x T) int {
		if i := slices.Index(order, name(x)); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(list, func(a, b T) int { return rank(a) - rank(b) })
}

func (r *reader) resolveHealth(s *Service, places bind.Places) {
	count := map[string]int{}
	for i := range s.Health {
		h := &s.Health[i]
		at := fmt.Sprintf("health[%d]", i)
		kind := h.Kind()
		if count[kind]++; h.Name == "" && kind != "" {
			h.Name = kind
			if count[kind] > 1 {
				h.Name += "-" + strconv.Itoa(count[kind])
			}
		}
		if h.HTTP != nil && strings.HasPrefix(h.HTTP.URL, "/") && h.HTTP.Path == "" {
			h.HTTP.URL, h.HTTP.Path = "", h.HTTP.URL
		}
		if h.Command != nil {
			r.command(h.Command.Command, places, at+".command.command")
		}
	}
}

func (r *reader) resolveRollback(s *Service, places bind.Places) {
	rb := &s.Rollback
	var only Step
	shape.SetDefaults(reflect.ValueOf(&only).Elem())
	switch {
	case len(rb.Steps) > 0:
	case len(rb.Command) > 0:
		only.Command = rb.Command
		places["rollback.steps[0].command"] = places.Find("rollback.command")
		rb.Steps = []Step{only}
	case s.Rollout.Proxy != "":
		only.Proxy = s.Rollout.Proxy
		places["rollback.steps[0].proxy"] = places.Find("rollout.proxy")
		rb.Steps = []Step{only}
	}
	rb.Command = nil
	count := map[string]int{}
	for i := range rb.Steps {
		r.resolveStep(&rb.Steps[i], count, places, fmt.Sprintf("rollback.steps[%d]", i))
	}
	if rb.Budget == 0 {
		rb.Budget = max(defaultBudget, rb.Needs())
	}
}

func (r *reader) resolveStep(s *Step, count map[string]int, places bind.Places, at string) {
	driver := s.Driver()
	if driver == "" {
		return
	}
	if count[driver]++; s.Name == "" {
		s.Name = driver
		if count[driver] > 1 {
			s.Name += "-" + strconv.Itoa(count[driver])
		}
	}
	if s.Kind == "" {
		s.Kind = belay.StepWorkload
		if driver == "proxy" {
			s.Kind = belay.StepTraffic
		}
	}
	r.command(s.Command, places, at+".command")
	r.command(s.Inspect, places, at+".inspect")
	if s.HTTP != nil {
		r.secret(&s.HTTP.Token, places, at+".http.token")
	}
	if s.Next != nil {
		r.resolveStep(s.Next, count, places, at+".next")
	}
}

// path makes a file name absolute, from the folder of the configuration.
func (r *reader) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.config.Dir, name)
}

// command makes the program of c absolute when it is given by a path; a bare name is looked up in PATH when it
// runs. A program written as a shell line is refused: there is no shell.
func (r *reader) command(c Command, places bind.Places, at string) {
	if len(c) == 0 {
		return
	}
	where := places.Find(at)
	program := c[0]
	switch {
	case strings.TrimSpace(program) == "":
		r.add(where, "the program is empty", "write for example [./deploy.sh, --fast]")
	case slices.ContainsFunc(c, func(s string) bool { return strings.ContainsRune(s, 0) }):
		r.add(where, "an argument holds a zero byte", "")
	case len(c) == 1 && strings.ContainsAny(program, " \t\n|&;<>$`\"'"):
		r.add(where, fmt.Sprintf("%q looks like a shell line, and there is no shell", program), "write the program and its arguments as a list: "+asList(program))
	case strings.ContainsRune(program, '/'):
		c[0] = r.path(program)
	}
}

func asList(line string) string {
	if words := strings.Fields(line); !strings.ContainsAny(line, "|&;<>$`\"'\n") {
		return "[" + strings.Join(words, ", ") + "]"
	}
	return `[sh, -c, "..."]`
}

// secret reads the value of a secret that is named.
func (r *reader) secret(s *Secret, places bind.Places, at string) {
	s.File = r.path(s.File)
	if r.env == nil {
		return
	}
	switch {
	case s.Env != "" && s.File != "":
	case s.Env != "":
		value, ok := r.env(s.Env)
		if !ok || value == "" {
			r.add(places.Find(bind.Join(at, "env")), fmt.Sprintf("the environment variable %s is not set", s.Env), "set it where belay is started")
			return
		}
		s.Value = belay.Secret(value)
	case s.File != "":
		value, err := secret.Read(s.File)
		if err != nil {
			r.addErr(places.Find(bind.Join(at, "file")), err)
			return
		}
		s.Value = belay.Secret(value)
	}
}
