// Package state is the file in which a proxy keeps its weights over a restart: its form and how it is read. When it
// is written is for package proxy.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/belaydev/belay"
)

// Version is that of the form.
const Version = 1

// maxSize bounds what is read: as many slots and keys as a proxy keeps are far below.
const maxSize = 1 << 20

// File is what a proxy keeps over a restart.
type File struct {
	Version    int    `json:"version"`
	Proxy      string `json:"proxy"`
	Generation uint64 `json:"generation"`
	Slots      []Slot `json:"slots"`
	Keys       []Key  `json:"keys,omitempty"`
}

// Slot is one slot of a File.
type Slot struct {
	Name    string        `json:"name"`
	Address string        `json:"address"`
	Release string        `json:"release,omitempty"`
	Weight  int           `json:"weight"`
	Drain   time.Duration `json:"drain_ns,omitempty"`
	// Configured is the address in the configuration when this was written; empty for a slot made by the API. An
	// address that the API gave a slot holds until the configuration changes its own.
	Configured string `json:"configured,omitempty"`
}

// Key remembers a change that was made, so that it is not made again.
type Key struct {
	Name    string         `json:"key"`
	Weights map[string]int `json:"weights"`
}

// Read reads the file of a proxy. It returns nil without an error when there is none yet, or no path.
func Read(path, proxy string) (*File, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no state is an ordinary state
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // a first start
	}
	if err == nil && info.Size() > maxSize {
		err = fmt.Errorf("it has %d bytes, more than any state file", info.Size())
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path) //nolint:gosec // the operator's own path
	}
	var f *File
	if err == nil {
		f, err = Parse(data)
	}
	if err == nil && f.Proxy != proxy {
		err = fmt.Errorf("it belongs to proxy %s", f.Proxy)
	}
	if err != nil {
		return nil, belay.Errorf(belay.CodeInvalid, "start proxy %s: read its weights from %s: %w", proxy, path, err).
			WithNext("put a good copy back, or move the file away: then the proxy starts as configured, with all traffic on the first slot")
	}
	return f, nil
}

// Parse reads the content of a file and checks that its weights can be used.
func Parse(data []byte) (*File, error) {
	var f File
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if f.Version != Version {
		return nil, fmt.Errorf("its version is %d, this belay knows %d", f.Version, Version)
	}
	if f.Generation == 0 || len(f.Slots) == 0 {
		return nil, errors.New("it has no slots or no generation")
	}
	total := 0
	seen := map[string]bool{}
	for _, v := range f.Slots {
		if v.Name == "" || seen[v.Name] {
			return nil, fmt.Errorf("slot %q has no name or is there twice", v.Name)
		}
		if v.Weight < 0 || v.Weight > 100 {
			return nil, fmt.Errorf("slot %s has weight %d", v.Name, v.Weight)
		}
		seen[v.Name] = true
		total += v.Weight
	}
	if total != 0 && total != 100 {
		return nil, fmt.Errorf("its weights add up to %d, not 100", total)
	}
	return &f, nil
}
