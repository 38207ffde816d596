package past

import (
	"fmt"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/replay"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/learn/backtest"
)

// Policy is what one file says of how services are judged.
type Policy struct {
	Name   string // for a column
	File   string
	Config *config.Config
	Bare   bool // the file holds the section of one service alone, and is meant for any
}

// Section finds what the file says of a service. Streams may not say what service they are of.
func (p Policy) Section(ref belay.Ref) (replay.Section, error) {
	var s config.Service
	switch {
	case p.Bare:
		s = p.Config.Services[0]
	default:
		var err error
		if s, err = service(p.Config, ref); err != nil {
			return replay.Section{}, err
		}
	}
	own := s.Ref()
	return replay.Section{Service: s, Written: func(path string) bool { _, written := p.Config.Line(own, path); return written }}, nil
}

// service finds a service: an environment that is not named is the only one, a service that is not named the only one.
func service(cfg *config.Config, ref belay.Ref) (config.Service, error) {
	var fits []config.Service
	var names []string
	for _, s := range cfg.Services {
		names = append(names, s.Ref().String())
		if (ref.Service == "" || s.Name == ref.Service) && (ref.Environment == "" || s.Environment == ref.Environment) {
			fits = append(fits, s)
		}
	}
	name := ref.Service
	if ref.Environment != "" {
		name = ref.String()
	}
	all := strings.Join(names, ", ")
	switch {
	case len(fits) == 1:
		return fits[0], nil
	case len(fits) == 0 && len(names) == 0:
		return config.Service{}, belay.Errorf(belay.CodeInvalid, "the configuration has no services").WithNext("add one under services:")
	case len(fits) == 0:
		return config.Service{}, belay.Errorf(belay.CodeNotFound, "the configuration has no service %s", name).WithNext("it has: %s", all)
	case ref.Service == "":
		return config.Service{}, belay.Errorf(belay.CodeInvalid, "the configuration has %d services", len(names)).WithNext("name one of %s", all)
	}
	return config.Service{}, belay.Errorf(belay.CodeInvalid, "service %s has several environments", name).WithNext("name one with --env: %s", all)
}

// Rule replays cases through the policy. streams is where they come from, nil for other sources.
func (p Policy) Rule(streams *Streams) backtest.Rule {
	return backtest.Judged(p.Name, "the policy in "+p.File, func(c *backtest.Case) (judge.Policy, backtest.Watch, error) {
		sec, err := p.Section(c.Ref)
		if err != nil {
			return judge.Policy{}, backtest.Watch{}, err
		}
		if streams == nil {
			return JudgePolicy(sec.Service, c), WatchOf(sec.Service), nil
		}
		seen, err := streams.surveys[c.ID]()
		if err != nil {
			return judge.Policy{}, backtest.Watch{}, err
		}
		jp, err := seen.Of(sec)
		return jp, WatchOf(sec.Service), err
	})
}

// AsRecorded replays streams through the policy that each brings along, else through the default for what is in it.
// No deadline is known.
func AsRecorded(streams *Streams) backtest.Rule {
	return backtest.Judged("recorded", "the policy that each stream was recorded with, else the default", func(c *backtest.Case) (judge.Policy, backtest.Watch, error) {
		seen, err := streams.surveys[c.ID]()
		if err != nil {
			return judge.Policy{}, backtest.Watch{}, err
		}
		if seen.Policy != nil {
			return *seen.Policy, backtest.Watch{}, nil
		}
		return seen.Default(), backtest.Watch{}, nil
	})
}

// JudgePolicy is how a service's section judges a case; nil is any.
func JudgePolicy(s config.Service, c *backtest.Case) judge.Policy {
	if c == nil {
		c = &backtest.Case{}
	}
	d := belay.Deployment{Ref: c.Ref, Release: belay.Release{Version: c.Release}, Previous: belay.Release{Version: c.Previous}}
	return translate.JudgePolicy(s, d, translate.CountsRequests(s))
}

// WatchOf is how long a service's section watches, and what it does when nothing is proven.
func WatchOf(s config.Service) backtest.Watch {
	return backtest.Watch{
		StartDeadline: s.Watch.StartDeadline.Seconds(), Deadline: s.Watch.Deadline.Seconds(), MinTime: s.Watch.MinTime.Seconds(), Bake: s.Watch.Bake.Seconds(),
		OnTimeout: backtest.OnTimeout{NeverHealthy: string(s.Watch.OnTimeout.NeverHealthy), Insufficient: string(s.Watch.OnTimeout.Insufficient), Blind: string(s.Watch.OnTimeout.Blind)},
	}
}

// Name makes names for the columns of policy files: short, and told apart.
func Name(files []string, file string) string {
	short := func(path string) string {
		base := path[strings.LastIndexAny(path, `/\`)+1:]
		return strings.TrimSuffix(strings.TrimSuffix(base, ".yml"), ".yaml")
	}
	same := 0
	for _, f := range files {
		if short(f) == short(file) {
			same++
		}
	}
	if same > 1 {
		return file
	}
	return fmt.Sprint(short(file))
}
