package config

import (
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config/unit"
)

// Rollback is the way back.
type Rollback struct {
	_ struct{} `shorthand:"command" oneof:"? command steps"`

	Auto         bool          `yaml:"auto" default:"true" doc:"Whether belay rolls back by itself; else it says what it would do and holds."`
	Budget       time.Duration `yaml:"budget" min:"1s" doc:"How long the whole rollback may take, proof and fallbacks included. 10m when not given, or what the steps need if that is more."`
	ProofTimeout time.Duration `yaml:"proof_timeout" default:"2m" min:"1s" max:"1d" doc:"How long proving may wait for users to be well again."`
	MaxPerHour   int           `yaml:"max_per_hour" default:"2" min:"1" max:"60" doc:"Automatic rollbacks of the service in one hour; more are left to a person."`
	Command      Command       `yaml:"command,single" min:"1" example:"[./rollback.sh]" doc:"Short for a plan with this command as its only step."`
	Steps        []Step        `yaml:"steps" min:"1" doc:"The plan, in order. With rollout.proxy and nothing given: one step that moves the traffic back."`
}

// Step is one act of the plan. Exactly one of Command, HTTP and Proxy is set.
type Step struct {
	_ struct{} `doc:"One act of the plan: look, act if needed, look again." oneof:"command http proxy"`

	Name     string         `yaml:"name" format:"name" doc:"Name in the plan; the driver's, numbered, when not given."`
	Kind     belay.StepKind `yaml:"kind" enum:"flags|traffic|workload|config|schema" doc:"What it takes back; a plan runs flags first and schema last. traffic for a proxy, else workload, when not given."`
	Command  Command        `yaml:"command,single" min:"1" example:"[./rollback.sh]" doc:"Program and arguments, without a shell. It runs in the folder of this file, with BELAY_ variables in its environment that name the service, both releases, both slots and the step."`
	Inspect  Command        `yaml:"inspect,single" min:"1" example:"[./current-version.sh]" doc:"Program that prints the version that runs now and changes nothing; for command. Without it, belay cannot tell whether the command took effect before proving."`
	HTTP     *HTTPStep      `yaml:"http" doc:"A request to another system."`
	Proxy    string         `yaml:"proxy" format:"name" doc:"Name of the proxy whose traffic is moved back."`
	Deadline time.Duration  `yaml:"deadline" default:"2m" min:"100ms" max:"1d" doc:"How long the step may take, all attempts included."`
	Attempts int            `yaml:"attempts" default:"3" min:"1" max:"100" doc:"How often the act is tried at most."`
	Backoff  time.Duration  `yaml:"backoff" default:"1s" max:"10m" doc:"Pause between attempts."`
	Next     *Step          `yaml:"next" doc:"What to do instead when the step fails or is late: the next rung."`
}

// Driver returns the name of the driver that performs the step.
func (s Step) Driver() string {
	switch {
	case len(s.Command) > 0:
		return "command"
	case s.HTTP != nil:
		return "http"
	case s.Proxy != "":
		return "proxy"
	}
	return ""
}

// HTTPStep is a request that takes something back in another system.
type HTTPStep struct {
	URL     string             `yaml:"url,required" format:"url" example:"http://flags.internal/api/off" doc:"What is requested. {version}, {from_version}, {service}, {environment} and {slot} are replaced, escaped."`
	Method  string             `yaml:"method" default:"POST" format:"method" doc:"HTTP method."`
	Headers map[string]string  `yaml:"headers" doc:"Headers of the request. The step's key is sent as Idempotency-Key."`
	Token   Secret             `yaml:"token" doc:"Bearer token of the request."`
	Body    string             `yaml:"body" default:"" doc:"Body of the request; the same words as in url are replaced."`
	Status  []unit.StatusRange `yaml:"status,single" default:"200-299" min:"1" doc:"Status codes that mean it was accepted."`
	Inspect *HTTPInspect       `yaml:"inspect" doc:"How to read whether it took effect."`
}

// HTTPInspect reads the state of another system.
type HTTPInspect struct {
	URL    string `yaml:"url,required" format:"url" example:"http://flags.internal/api/state" doc:"What is read, by GET."`
	JSON   string `yaml:"json" default:"" format:"jsonpath" example:".version" doc:"Path to the value; when empty the whole body."`
	Equals string `yaml:"equals" default:"{version}" doc:"What the value is once it took effect; {version} is the release to go back to."`
}

// Rungs returns the ways back in the order in which they are tried: first every step, then every step with its
// first fallback in its place, and so on. A step without a further fallback stays as it is.
func (r Rollback) Rungs() [][]Step {
	if len(r.Steps) == 0 {
		return nil
	}
	var rungs [][]Step
	current := r.Steps
	for {
		rungs = append(rungs, current)
		next := make([]Step, len(current))
		more := false
		for i, s := range current {
			next[i] = s
			if s.Next != nil {
				next[i], more = *s.Next, true
			}
		}
		if !more {
			return rungs
		}
		current = next
	}
}

// Needs is how long the rollback takes when every rung is tried and every step and proof uses all its time.
func (r Rollback) Needs() time.Duration {
	var total time.Duration
	for _, rung := range r.Rungs() {
		for _, s := range rung {
			total += min(s.Deadline, unit.MaxDuration/maxSteps)
		}
		if total += r.ProofTimeout; total > unit.MaxDuration {
			return unit.MaxDuration
		}
	}
	return total
}

// Secret is a value that the file names but does not hold.
type Secret struct {
	_ struct{} `doc:"A secret is never written in this file: {env: NAME} or {file: path} says where it is." oneof:"env file" bare:"a secret may not stand in this file, which is kept in version control and shown to people; write {env: NAME} or {file: path}"`

	Env  string `yaml:"env" format:"label" example:"BELAY_TOKEN" doc:"Environment variable that holds the secret."`
	File string `yaml:"file" format:"file" doc:"File that holds the secret; a line end after it is dropped."`

	Value belay.Secret `yaml:"-"`
}

// IsSet tells whether a secret is named.
func (s Secret) IsSet() bool { return s.Env != "" || s.File != "" }
