package belay

import "time"

// DeployRequest asks for a deployment, or registers one that a pipeline carries out by itself.
type DeployRequest struct {
	Ref
	Release
	Actor string `json:"actor,omitempty"`
	// Previous is the version that runs now, on the caller's word, when belay has not verified one itself.
	Previous string `json:"previous,omitempty"`
	// Register says that somebody else deploys: belay only watches. Without it the service's deploy command runs.
	Register bool `json:"register,omitempty"`
	// Started says, with Register, that the pipeline's own deploy has only begun: the acts "deployed" and
	// "failed" tell of its end. Without it the release is taken as deployed.
	Started bool `json:"started,omitempty"`
	// Targets replaces the configured targets of the new release.
	Targets []Target `json:"targets,omitempty"`
	// Force overrides a refusal (quarantine, already running); the text is the reason and is recorded.
	Force string `json:"force,omitempty"`
}

// ActRequest asks something of a deployment.
type ActRequest struct {
	Act    Act    `json:"act"`
	Actor  string `json:"actor,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// RollbackRequest asks for a service to be taken back.
type RollbackRequest struct {
	Ref
	To     string `json:"to,omitempty"` // version; empty: the last verified release
	Reason string `json:"reason,omitempty"`
	Actor  string `json:"actor,omitempty"`
	// DryRun builds the plan and looks at every step's target, and changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// RollbackAnswer is the plan that a rollback follows and, unless it was a dry run, the id to follow it by.
type RollbackAnswer struct {
	Plan       Plan       `json:"plan"`
	Text       string     `json:"text"` // the plan for people
	Looks      []StepLook `json:"looks,omitempty"`
	Rollback   string     `json:"rollback,omitempty"`
	Deployment string     `json:"deployment,omitempty"`
	Outlook    string     `json:"outlook,omitempty"` // of a plan: what the next watch will be able to see at the present traffic, in one sentence
}

// StepLook is what a dry run read at one step's target.
type StepLook struct {
	Key   string `json:"key"`
	Look  Look   `json:"look"`
	Error string `json:"error,omitempty"`
}

// ServiceStatus is one service in one environment, now.
type ServiceStatus struct {
	Ref
	Stable     *StableRelease `json:"stable,omitempty"`
	Deployment *Deployment    `json:"deployment,omitempty"` // the active one, or the newest
	Health     []HealthStatus `json:"health,omitempty"`
	Sources    []SourceStatus `json:"sources,omitempty"`
	Weights    map[string]int `json:"weights,omitempty"` // proxy slot -> percent
	Quarantine []Quarantine   `json:"quarantine,omitempty"`
	Warnings   []string       `json:"warnings,omitempty"` // no plan, nothing to roll back to, nothing is observed
	Outlook    string         `json:"outlook,omitempty"`  // where one service was asked for: what its watch can see, in one sentence
}

// DeploymentFilter selects deployments; zero fields select everything.
type DeploymentFilter struct {
	Service     string
	Environment string
	Active      bool // only those not in a final state
	Limit       int
	Before      string // id: only older ones
}

// ServerHealth is what /health answers.
type ServerHealth struct {
	Status    string                 `json:"status"` // "healthy" or "unhealthy"
	Timestamp time.Time              `json:"timestamp"`
	Version   string                 `json:"version"`
	Checks    map[string]HealthEntry `json:"checks"`
}

// HealthEntry is one dependency in ServerHealth.
type HealthEntry struct {
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// RollbackFilter selects rollbacks; zero fields select everything.
type RollbackFilter struct {
	Service     string
	Environment string
	Since       time.Time
	Active      bool
	Limit       int
}

// EventFilter selects entries of the timeline, oldest first; zero fields select everything.
type EventFilter struct {
	Deployment  string
	Rollback    string
	Service     string
	Environment string
	Kinds       []EventKind
	After       string // event id: only later ones
	Limit       int
}

// Problem is the body of every error answer of the API.
type Problem struct {
	Error struct {
		Code    Code   `json:"code"`
		Message string `json:"message"`
		Next    string `json:"next,omitempty"`
	} `json:"error"`
}
