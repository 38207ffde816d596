// Package proxy moves all traffic of a belay proxy to the slot of the old release. It is for "belay proxy" alone;
// other routers are drivers of their own.
package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

// Args are the driver's own part of a step.
type Args struct {
	Proxy string `json:"proxy"` // name in the configuration
	// Slot is the one that gets all traffic; empty is that of the old release.
	Slot string `json:"slot,omitempty"`
	// Drain, if set, is how long to wait for requests that are still on the slot of the new release. They may go on
	// after it: what ends them is the drain time of the slot.
	Drain belay.Duration `json:"drain,omitzero"`
}

// Driver sets weights of proxies.
type Driver struct {
	clients func() map[string]*proxyclient.Client
}

// New makes a driver for the proxies of the given names.
func New(clients map[string]*proxyclient.Client) *Driver {
	return NewDynamic(func() map[string]*proxyclient.Client { return clients })
}

// NewDynamic makes a driver that asks for the proxies each time, for a configuration that is reloaded.
func NewDynamic(clients func() map[string]*proxyclient.Client) *Driver {
	return &Driver{clients: clients}
}

// Inspect reads the weights. Done is all traffic on the old release's slot and that slot still holding the old
// release; drifted is traffic on a slot that is neither of the two, or another release in the slot.
func (d *Driver) Inspect(ctx context.Context, a belay.Action) (belay.Look, error) {
	_, look, err := d.look(ctx, a)
	if err != nil {
		return belay.Look{}, err
	}
	return look.Look, nil
}

// Do gives all traffic to the old release's slot, unless somebody changes the proxy in the meantime.
func (d *Driver) Do(ctx context.Context, a belay.Action) error {
	client, look, err := d.look(ctx, a)
	if err != nil {
		return err
	}
	if look.otherRelease != "" {
		return belay.Errorf(belay.CodeConflict, "set weights of proxy %s: %s", client.Name(), look.otherRelease).
			WithNext("bring release %s back to slot %s, or choose another way back", a.To, look.to)
	}
	if look.Progress != belay.ProgressDone {
		weights := look.status.Weights()
		for slot := range weights {
			weights[slot] = 0
		}
		weights[look.to] = 100
		o := proxyclient.WeightOptions{Key: a.Key, Generation: look.status.Generation}
		if _, err := client.SetWeights(ctx, weights, o); err != nil {
			return describe("set weights of proxy "+client.Name(), err)
		}
	}
	if look.args.Drain <= 0 || a.FromSlot == "" || a.FromSlot == look.to {
		return nil
	}
	if _, err := client.Drain(ctx, a.FromSlot, look.args.Drain.D()); err != nil {
		return describe(fmt.Sprintf("drain slot %s of proxy %s", a.FromSlot, client.Name()), err)
	}
	return nil
}

// reading is what was read, with what it was read for.
type reading struct {
	belay.Look
	args         Args
	to           string
	status       proxyclient.Status
	otherRelease string // the sentence, when the slot holds another release than the one to go back to
}

func (d *Driver) look(ctx context.Context, a belay.Action) (*proxyclient.Client, reading, error) {
	args, err := parseArgs(a.Args)
	if err != nil {
		return nil, reading{}, belay.Errorf(belay.CodeInvalid, "read arguments of step %s: %w", a.Name, err)
	}
	client, ok := d.clients()[args.Proxy]
	if !ok {
		return nil, reading{}, belay.Errorf(belay.CodeInvalid, "step %s: there is no proxy %q", a.Name, args.Proxy).WithNext("add it to proxies in the configuration")
	}
	r := reading{args: args, to: args.Slot}
	if r.to == "" {
		r.to = a.ToSlot
	}
	if r.to == "" {
		return nil, reading{}, belay.Errorf(belay.CodeInvalid, "step %s: it is not known which slot of proxy %s holds the old release", a.Name, args.Proxy).
			WithNext("name it with slot in the step")
	}
	if r.status, err = client.Slots(ctx); err != nil {
		return nil, reading{}, describe("read weights of proxy "+args.Proxy, err)
	}
	slot, ok := r.status.Slot(r.to)
	if !ok {
		return nil, reading{}, belay.Errorf(belay.CodeNotFound, "proxy %s has no slot %q: it has %s", args.Proxy, r.to, weights(r.status))
	}
	if want := a.To.String(); !a.To.IsZero() && slot.Release != "" && slot.Release != want {
		r.otherRelease = fmt.Sprintf("slot %s holds release %s, not %s", r.to, slot.Release, want)
	}
	r.Progress, r.Detail = r.judge(a.FromSlot), "weights "+weights(r.status)
	if r.otherRelease != "" {
		r.Detail += ", but " + r.otherRelease
	}
	return client, r, nil
}

func (r reading) judge(from string) belay.Progress {
	if r.otherRelease != "" {
		return belay.ProgressDrifted
	}
	done := true
	for _, s := range r.status.Slots {
		switch {
		case s.Name == r.to:
			done = done && s.Weight == 100
		case s.Weight > 0 && s.Name != from && from != "":
			return belay.ProgressDrifted
		case s.Weight > 0:
			done = false
		}
	}
	if done {
		return belay.ProgressDone
	}
	return belay.ProgressPending
}

func parseArgs(raw json.RawMessage) (Args, error) {
	var a Args
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		return a, err
	}
	if a.Proxy == "" {
		return a, errors.New("proxy is missing")
	}
	if a.Drain < 0 || a.Drain.D() > time.Hour {
		return a, fmt.Errorf("drain is %s, want 0s to 1h", a.Drain)
	}
	return a, nil
}

func weights(s proxyclient.Status) string {
	parts := make([]string, 0, len(s.Slots))
	for _, v := range s.Slots {
		parts = append(parts, fmt.Sprintf("%s=%d", v.Name, v.Weight))
	}
	sort.Strings(parts)
	return strings.Join(parts, " ")
}

// describe gives an answer of the proxy the vocabulary's form. What to do next is the proxy's own advice.
func describe(what string, err error) error {
	e, ok := errors.AsType[*proxyclient.Error](err)
	if !ok {
		return fmt.Errorf("%s: %w", what, err)
	}
	out := belay.Errorf(belay.Code(e.Code), "%s: %s%w", what, e.Message, quiet{err})
	out.Next = e.Next
	return out
}

// quiet keeps the cause of an error reachable whose message is written already.
type quiet struct{ error }

// Error returns nothing.
func (quiet) Error() string { return "" }

// Unwrap returns the cause.
func (q quiet) Unwrap() error { return q.error }
