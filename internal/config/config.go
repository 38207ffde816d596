// Package config reads belay.yaml into typed sections: strictly, with a default for everything, and with every
// problem reported at once by file, line and column. The JSON Schema, the reference page and "belay config show"
// are made from the same types. It starts nothing and connects to nothing; package app translates the sections
// for the packages that do the work.
package config

import (
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config/bind"
	"github.com/belaydev/belay/internal/config/unit"
)

// Config is a whole belay.yaml with all defaults filled in.
type Config struct {
	_ struct{} `doc:"The configuration of belay: one YAML file. Keys that begin with x- are passed over, so that anchors can be kept there."`

	Server   Server    `yaml:"server" doc:"Where belay listens and keeps its data."`
	Metrics  Metrics   `yaml:"metrics" doc:"Where metrics come from: the embedded Prometheus store, or a server that is there already."`
	Notify   Notify    `yaml:"notify" doc:"Whom to tell."`
	Proxies  []Proxy   `yaml:"proxies,keyed" format:"name" doc:"The proxies that belay shifts traffic with, by name. Each runs as a process of its own: belay proxy NAME."`
	Services []Service `yaml:"services,keyed" format:"name" doc:"The services that belay watches, by name."`

	// Leaving are services that the file has no longer, with a deployment under way that goes on as it was begun.
	// Package app fills it in at a reload.
	Leaving []Service `yaml:"-"`

	// Dir is the folder of the file, absolute. Relative paths are resolved against it and commands run in it.
	Dir string `yaml:"-"`

	places map[belay.Ref]bind.Places // where the values of Services were written
}

// Line returns the line of the file in which a setting of a service was written, path being as in
// "signals.error_rate.margin"; false when it was left to its default.
func (c *Config) Line(ref belay.Ref, path string) (line int, written bool) {
	place, written := c.places[ref][path]
	return place.Line, written
}

// Server is the controller itself.
type Server struct {
	Listen      string `yaml:"listen" default:"127.0.0.1:8475" format:"listen" doc:"Address of the API, the pages and belay's own metrics. An address that is not loopback needs a token."`
	Data        string `yaml:"data" default:"./belay-data" format:"file" doc:"Folder for everything that belay keeps. A relative path starts at the folder of this file."`
	ExternalURL string `yaml:"external_url" default:"" format:"url" doc:"URL under which people reach belay, for links in notifications. Requests that name its host are answered."`
	Token       Secret `yaml:"token" doc:"Bearer token that the API asks for. It is sent in the clear: put a proxy with TLS in front of an address that is not loopback."`

	History time.Duration `yaml:"history" default:"90d" min:"1d" doc:"How long deployments that have ended, their evidence and their timeline are kept. What is stable or in quarantine stays."`
}

// Metrics is the source of metrics for all services.
type Metrics struct {
	URL            string        `yaml:"url" default:"" format:"url" example:"http://prometheus:9090" doc:"Prometheus-compatible server to read from. When empty, belay scrapes and stores by itself."`
	BearerToken    Secret        `yaml:"bearer_token" doc:"Token for the server at url."`
	ScrapeInterval time.Duration `yaml:"scrape_interval" default:"15s" min:"100ms" doc:"How often targets are scraped while nothing is deployed."`
	ScrapeTimeout  time.Duration `yaml:"scrape_timeout" min:"10ms" doc:"How long one scrape may take; 10s when not given, or scrape_interval if that is less. While a deployment is watched it is also bounded by watch_interval."`
	WatchInterval  time.Duration `yaml:"watch_interval" default:"1s" min:"100ms" doc:"How often the targets of a watched deployment are scraped."`
	Retention      Retention     `yaml:"retention" doc:"How much the embedded store keeps; whichever limit is reached first."`
}

// Retention bounds the embedded metrics store.
type Retention struct {
	Time time.Duration `yaml:"time" default:"15d" min:"1h" doc:"How long samples are kept."`
	Size unit.Size     `yaml:"size" default:"2GiB" doc:"How much disk samples may take; 0 is no limit."`
}

// Notify is whom to tell.
type Notify struct {
	Webhooks []Webhook `yaml:"webhooks" doc:"URLs that each event is sent to, at least once, in order, with an idempotency key."`
}

// Webhook is one receiver of events.
type Webhook struct {
	Name    string        `yaml:"name" format:"name" doc:"Name in logs and in the timeline; webhook-1, webhook-2, ... when not given."`
	URL     string        `yaml:"url,required" format:"url" example:"https://hooks.example.com/belay" doc:"Where events are posted to, as JSON."`
	Secret  Secret        `yaml:"secret" doc:"Key that each request is signed with (HMAC-SHA256)."`
	Timeout time.Duration `yaml:"timeout" default:"5s" min:"100ms" max:"1m" doc:"How long the receiver may take to answer."`
	Events  []string      `yaml:"events" default:"state" min:"1" enum:"state|traffic|verdict|evidence|act|plan|step|proof|config" doc:"Kinds of events to send."`

	AllowLinkLocal bool `yaml:"allow_link_local" default:"false" doc:"Whether url may lead to a link-local or cloud metadata address."`
}

// Proxy is one belay proxy.
type Proxy struct {
	Name   string `yaml:"-,key"`
	Listen string `yaml:"listen,required" format:"listen" example:"0.0.0.0:8480" doc:"Address that users' requests come in at."`
	Admin  string `yaml:"admin" default:"127.0.0.1:8481" format:"admin" doc:"Address of the proxy's admin API, or unix:/path of a socket. An address that is not loopback needs a token: whoever reaches it can move traffic."`
	Token  Secret `yaml:"token" doc:"Bearer token that the admin API asks for."`
	Slots  []Slot `yaml:"slots,keyed,required" format:"name" example:"{blue: 127.0.0.1:9001, green: 127.0.0.1:9002}" doc:"Places that a release can stand in, by name. Two make blue-green and canary possible."`
	State  string `yaml:"state" format:"file" doc:"File that the proxy keeps its weights in, so that it restarts with them; proxy-NAME.json in the data folder when not given."`
}

// Slot is one place of a proxy that a release can stand in.
type Slot struct {
	_ struct{} `shorthand:"address"`

	Name    string        `yaml:"-,key"`
	Address string        `yaml:"address,required" format:"backend" example:"127.0.0.1:9001" doc:"host:port that requests are passed to; https://host:port with TLS, h2c://host:port for HTTP/2 without."`
	Drain   time.Duration `yaml:"drain" default:"30s" min:"1ms" doc:"How long requests may go on once the slot has no weight."`
}

// Service is one service in one environment.
type Service struct {
	_ struct{} `doc:"A service that is deployed, judged and rolled back."`

	Name        string `yaml:"-,key"`
	Environment string `yaml:"environment" default:"production" format:"name" doc:"Environment that these settings are for. Not together with environments."`

	// The environments are merged over the service by Parse, one Service each.
	_ map[string]Service `yaml:"environments,deferred" by:"environment" doc:"Several environments, by name. Each takes the settings of the service and changes those it gives; a list is replaced as a whole."`

	Targets   []Target       `yaml:"targets" doc:"Instances that are scraped and asked for their release. The slots of the proxy when there is one and nothing is given. A deployment can name its own."`
	Metrics   ServiceMetrics `yaml:"metrics" doc:"How the metrics of this service are found."`
	Health    []HealthCheck  `yaml:"health,single" doc:"Health checks. A URL, a path that each target is asked for, or a list of checks."`
	Signals   []Signal       `yaml:"signals,keyed,off" format:"signal" doc:"What the release is judged by. The built-in signals error_rate, response_time, throughput, cpu_usage and memory_usage are on; off takes one out; any other name needs a query."`
	HardStops []HardStop     `yaml:"hard_stops,keyed,off" format:"signal" doc:"Limits that act in one tick, without waiting for proof, by signal."`
	Watch     Watch          `yaml:"watch" doc:"How long and how carefully a deployment is watched."`
	Deploy    Deploy         `yaml:"deploy" doc:"How belay deploy brings a release out. Not needed when a pipeline deploys by itself."`
	Rollout   Rollout        `yaml:"rollout" doc:"How traffic moves to a new release. Without a proxy, traffic is the deploy command's business and a new release counts as having all of it."`
	Rollback  Rollback       `yaml:"rollback" doc:"The way back. A bare value is the command of the only step."`
	Verify    Verify         `yaml:"verify" doc:"What a rollback's certificate reads back, besides targets, weights, health checks and signals."`
}

// Ref names the service and its environment.
func (s Service) Ref() belay.Ref {
	return belay.Ref{Service: s.Name, Environment: s.Environment}
}

// Service returns the settings of ref, also of one that is leaving.
func (c *Config) Service(ref belay.Ref) (Service, bool) {
	for _, list := range [][]Service{c.Services, c.Leaving} {
		for _, s := range list {
			if s.Ref() == ref {
				return s, true
			}
		}
	}
	return Service{}, false
}

// Proxy returns the proxy with that name.
func (c *Config) Proxy(name string) (Proxy, bool) {
	for _, p := range c.Proxies {
		if p.Name == name {
			return p, true
		}
	}
	return Proxy{}, false
}

// Target is one instance of a service.
type Target struct {
	_ struct{} `shorthand:"address"`

	Address string `yaml:"address,required" format:"target" example:"127.0.0.1:8000" doc:"host:port, or the URL of the metrics when scheme or path differ from those of the service."`
	Release string `yaml:"release" doc:"Version that runs there, when the application does not say so itself."`
	Slot    string `yaml:"slot" format:"name" doc:"Slot of the proxy that the instance stands behind."`
}

// ServiceMetrics is how the metrics of a service are found.
type ServiceMetrics struct {
	Path         string            `yaml:"path" default:"/metrics" format:"path" doc:"Path that targets are scraped at."`
	Scheme       string            `yaml:"scheme" default:"http" enum:"http|https" doc:"Scheme that targets are scraped with."`
	BearerToken  Secret            `yaml:"bearer_token" doc:"Token that targets are scraped with."`
	Selector     map[string]string `yaml:"selector" format:"label" example:"{job: shop}" doc:"Labels that series of this service have on the server at metrics.url. Part of $selector in queries."`
	ReleaseLabel string            `yaml:"release_label" default:"" format:"label" doc:"Label that holds the release; when empty, the first of version, release and service_version that the series have."`
}

// Watch is the policy of a watch.
type Watch struct {
	StartDeadline time.Duration `yaml:"start_deadline" min:"1s" doc:"How long after the deployment the health checks may take to pass for the first time; 5m when not given, or deadline if that is less."`
	Deadline      time.Duration `yaml:"deadline" default:"10m" min:"1s" doc:"How long after the deployment the release may take to be proven healthy; then on_timeout decides."`
	Bake          time.Duration `yaml:"bake" default:"30m" doc:"How long the release is watched on after it has all traffic and is proven healthy; the old one is kept warm."`
	MinTime       time.Duration `yaml:"min_time" doc:"The least time before a release is called healthy, and for which a health check must pass; 10s when not given, or deadline if that is less."`
	Interval      time.Duration `yaml:"interval" default:"1s" min:"100ms" doc:"How often the evidence is looked at. Looking often costs nothing in false alarms."`
	FalseRollback unit.Percent  `yaml:"false_rollback_rate" default:"1%" min:"0.0001%" max:"50%" doc:"The chance that a release as good as the old one is taken back by the comparison, over all signals and the whole watch."`
	OnTimeout     OnTimeout     `yaml:"on_timeout" doc:"What happens at the deadline. A bare value is for every case."`
}

// TimeoutAction is what happens at a deadline.
type TimeoutAction string

// The actions.
const (
	TimeoutRollback TimeoutAction = "rollback" // take the release back
	TimeoutHold     TimeoutAction = "hold"     // keep things as they are; a person decides
	TimeoutPromote  TimeoutAction = "promote"  // go on as if it were healthy
)

// OnTimeout is what happens at the deadline, by what was missing.
type OnTimeout struct {
	_ struct{} `shorthand:"*"`

	NeverHealthy TimeoutAction `yaml:"never_healthy" default:"rollback" enum:"rollback|hold|promote" doc:"The health checks never passed, or the release was not proven healthy with enough traffic."`
	Insufficient TimeoutAction `yaml:"insufficient" default:"hold" enum:"rollback|hold|promote" doc:"There was too little traffic to tell."`
	Blind        TimeoutAction `yaml:"blind" default:"hold" enum:"rollback|hold|promote" doc:"The monitoring was down."`
}

// Deploy is how a release is brought out.
type Deploy struct {
	_ struct{} `shorthand:"command"`

	Command Command           `yaml:"command,single" min:"1" example:"[./deploy.sh]" doc:"Program and arguments, without a shell. It runs in the folder of this file, with BELAY_SERVICE, BELAY_ENVIRONMENT, BELAY_DEPLOYMENT, BELAY_VERSION, BELAY_COMMIT, BELAY_DIGEST, BELAY_PREVIOUS_VERSION, BELAY_SLOT, BELAY_PREVIOUS_SLOT and BELAY_SLOT_ADDRESS in its environment."`
	Timeout time.Duration     `yaml:"timeout" default:"10m" min:"1s" doc:"How long it may take."`
	Env     map[string]string `yaml:"env" format:"label" doc:"More variables for its environment."`
}

// Command is a program and its arguments; there is no shell.
type Command []string

// Rollout is how traffic moves to a new release.
type Rollout struct {
	Proxy    string        `yaml:"proxy" default:"" format:"name" doc:"Name of the proxy in front of the service."`
	Steps    []unit.Weight `yaml:"steps" min:"1" example:"[10%, 50%, 100%]" doc:"Shares of traffic that the new release gets one after the other; [10%, 50%, 100%] with a proxy."`
	StepTime time.Duration `yaml:"step_time" default:"30s" doc:"How long each step lasts at least."`
}

// Verify is what a certificate reads back besides what is always read.
type Verify struct {
	FrontDoor *FrontDoor    `yaml:"front_door" doc:"A request made as a user would, through whatever is in front of the service."`
	Release   *ReleaseCheck `yaml:"release" doc:"Where targets tell their release, when their metrics do not."`
	ProofTime time.Duration `yaml:"proof_time" default:"5s" doc:"How long everything must read well before it counts as proven."`
}

// FrontDoor is a synthetic user request.
type FrontDoor struct {
	_ struct{} `shorthand:"url"`

	URL     string             `yaml:"url,required" format:"url" example:"https://shop.example.com/" doc:"What is requested."`
	Method  string             `yaml:"method" default:"GET" format:"method" doc:"HTTP method."`
	Headers map[string]string  `yaml:"headers" doc:"Headers of the request."`
	Status  []unit.StatusRange `yaml:"status,single" default:"200-299" min:"1" doc:"Status codes that are good."`
	Body    string             `yaml:"body" default:"" format:"regexp" doc:"Regular expression that the body must match."`
	Timeout time.Duration      `yaml:"timeout" default:"5s" min:"10ms" doc:"How long it may take."`
}

// ReleaseCheck is where a target tells its release.
type ReleaseCheck struct {
	_ struct{} `shorthand:"http"`

	HTTP string `yaml:"http,required" format:"path-or-url" example:"/version" doc:"Path that each target is asked for, or a URL."`
	JSON string `yaml:"json" default:"" format:"jsonpath" example:".version" doc:"Path to the version in the JSON answer; when empty, the whole body is the version."`
}
