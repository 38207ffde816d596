package belay

import "time"

// Release is one version of a service.
type Release struct {
	Version string `json:"version"`          // as the application reports it: "1.4.2"
	Commit  string `json:"commit,omitempty"` // source revision
	Digest  string `json:"digest,omitempty"` // of the artifact: "sha256:..."
	Config  string `json:"config,omitempty"` // fingerprint of the configuration it runs with
}

// IsZero tells whether no release is named.
func (r Release) IsZero() bool { return r.Version == "" && r.Digest == "" }

// Key identifies the release for quarantine: the digest when known, else the version.
func (r Release) Key() string {
	if r.Digest != "" {
		return r.Digest
	}
	return r.Version
}

// String returns the version, or the digest of a release without one, or "unknown".
func (r Release) String() string {
	switch {
	case r.Version != "":
		return r.Version
	case r.Digest != "":
		return r.Digest
	}
	return "unknown"
}

// Ref names a service in one environment: the unit that is deployed, judged and rolled back.
type Ref struct {
	Service     string `json:"service"`
	Environment string `json:"environment"`
}

// String returns "service/environment".
func (r Ref) String() string { return r.Service + "/" + r.Environment }

// Target is one instance of a service.
type Target struct {
	// Address is host:port, or a URL when scheme or metrics path are not the defaults (http, /metrics).
	Address string `json:"address"`
	// Release is the version running there when the application does not say so itself.
	Release string `json:"release,omitempty"`
	// Slot is the proxy slot that this target stands behind; empty without a proxy.
	Slot string `json:"slot,omitempty"`
}

// StableRelease is the last release of a service that was verified in an environment: what a rollback goes back to.
type StableRelease struct {
	Ref
	Release    Release   `json:"release"`
	Slot       string    `json:"slot,omitempty"` // proxy slot it serves from
	Deployment string    `json:"deployment,omitempty"`
	Verified   bool      `json:"verified"` // judged healthy by belay, or verified by a certificate
	Since      time.Time `json:"since"`
}

// Quarantine forbids a release that was rolled back to be deployed again by a machine.
type Quarantine struct {
	Ref
	Key      string    `json:"key"` // Release.Key
	Release  Release   `json:"release"`
	Rollback string    `json:"rollback"`
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
}
