package proxyclient

import "time"

// The paths of the admin API.
const (
	PathSlots   = "/v1/slots"         // GET: Status; PUT, DELETE below it: one slot
	PathWeights = "/v1/weights"       // PUT: map of slot to percent
	PathCounts  = "/v1/counts"        // GET: one Snapshot
	PathStream  = "/v1/counts/stream" // GET: Snapshots as NDJSON
)

// HeaderKey carries the idempotency key of a change.
const HeaderKey = "Idempotency-Key"

// Status is what a proxy says of itself and its slots.
type Status struct {
	Proxy      string `json:"proxy"`
	BootID     string `json:"boot_id"`    // another after each start
	Generation uint64 `json:"generation"` // grows with each change of weights, releases or addresses
	Saved      bool   `json:"saved"`      // false while a change is active that the state file does not hold
	Slots      []Slot `json:"slots"`      // by name
}

// Slot finds a slot by name.
func (s *Status) Slot(name string) (Slot, bool) {
	for _, v := range s.Slots {
		if v.Name == name {
			return v, true
		}
	}
	return Slot{}, false
}

// Weights returns the weight of every slot.
func (s *Status) Weights() map[string]int {
	m := make(map[string]int, len(s.Slots))
	for _, v := range s.Slots {
		m[v.Name] = v.Weight
	}
	return m
}

// Slot is a named place that a release can stand behind.
type Slot struct {
	Name     string `json:"name"`
	Address  string `json:"address"`
	Release  string `json:"release,omitempty"`
	Weight   int    `json:"weight"`    // percent of new requests
	InFlight int64  `json:"in_flight"` // requests and streams now
	Draining int64  `json:"draining"`  // those among them on an address that the slot had before
	Drain    string `json:"drain"`     // how long requests may go on once the slot has no weight: "30s"
}

// SlotChange is what to change of a slot; what is left out stays. A slot that does not exist is made, and then
// needs an address.
type SlotChange struct {
	Address *string `json:"address,omitempty"`
	Release *string `json:"release,omitempty"`
	Drain   *string `json:"drain,omitempty"` // "30s"; "-1s" for without end
}

// Changed is the answer to a change.
type Changed struct {
	Generation uint64         `json:"generation"`
	Weights    map[string]int `json:"weights"`
	Repeated   bool           `json:"repeated,omitempty"` // the key was known: nothing was done this time
	SwitchNS   int64          `json:"switch_ns"`          // until new requests went the new way
	SaveNS     int64          `json:"save_ns"`            // until the state file was on disk
}

// Drained is the answer to waiting for a slot to become empty.
type Drained struct {
	Drained  bool  `json:"drained"`
	InFlight int64 `json:"in_flight"` // left when the wait ended
}

// Snapshot is everything counted since the proxy started. Counters only grow, so that a lost line loses nothing.
type Snapshot struct {
	Proxy      string    `json:"proxy"`
	BootID     string    `json:"boot_id"` // another one means: counters began at zero again
	Seq        uint64    `json:"seq"`     // of this stream, from 1
	Time       time.Time `json:"time"`
	Heartbeat  bool      `json:"heartbeat,omitempty"` // nothing changed since the last line: no counters here
	Generation uint64    `json:"generation"`
	Unrouted   uint64    `json:"unrouted,omitempty"` // answered 503 because no slot had weight
	Slots      []Slot    `json:"slots,omitempty"`
	LE         []float64 `json:"le,omitempty"` // upper bounds of the histograms, in seconds, without +Inf
	Counters   []Counter `json:"counters,omitempty"`
}

// Counter is what was counted of one slot with one release in one stratum.
type Counter struct {
	Slot    string `json:"slot"`
	Release string `json:"release,omitempty"`
	Stratum string `json:"stratum"` // "GET /orders"
	// Classes counts responses 1xx, 2xx, 3xx, 4xx, 5xx. A response that the release broke off counts as 5xx.
	Classes   [5]uint64 `json:"classes"`
	Cancelled uint64    `json:"cancelled,omitempty"` // the client went away; in no class
	Refused   uint64    `json:"refused,omitempty"`   // among 5xx: no connection could be made
	Broken    uint64    `json:"broken,omitempty"`    // among 5xx: the connection broke before the response was whole
	Timeout   uint64    `json:"timeout,omitempty"`   // among 5xx: no response began in time
	First     Histogram `json:"first"`               // time to the first byte of the response
	Full      Histogram `json:"full"`                // time to the end of the response; streams are left out
}

// Requests returns the number of answered requests.
func (c *Counter) Requests() uint64 {
	var n uint64
	for _, v := range c.Classes {
		n += v
	}
	return n
}

// Histogram counts durations. Counts are per bucket, not cumulative over the buckets; the last one is +Inf.
type Histogram struct {
	Counts []uint64 `json:"counts"`
	Sum    float64  `json:"sum"` // seconds
}

// errorBody is how the API tells of an error.
type errorBody struct {
	Error Error `json:"error"`
}
