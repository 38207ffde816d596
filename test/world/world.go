//go:build story

package world

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/lib/loopback"
)

// ErrNotYet is what a condition of Until returns when it has nothing better to say.
var ErrNotYet = errors.New("not yet")

// World is one belay with its folder, its processes and its environment.
type World struct {
	T    *testing.T
	Bin  string
	Dir  string
	Addr string // of the server
	Env  []string
	API  *client.Client
}

// New makes a folder with the given belay.yaml; {{listen}}, {{dir}} and the given {{names}} in it are replaced.
func New(t *testing.T, yaml string, replace map[string]string) *World {
	t.Helper()
	w := &World{T: t, Bin: binary(t), Dir: t.TempDir(), Addr: Ports(t, 1)[0]}
	w.Configure(yaml, replace)
	w.Env = append(os.Environ(), "BELAY_CONFIG="+filepath.Join(w.Dir, "belay.yaml"), "NO_COLOR=1")
	api, err := client.New("http://" + w.Addr)
	if err != nil {
		t.Fatal(err)
	}
	w.API = api
	return w
}

// Configure writes belay.yaml, as New does.
func (w *World) Configure(yaml string, replace map[string]string) {
	w.T.Helper()
	yaml = strings.ReplaceAll(yaml, "{{listen}}", w.Addr)
	yaml = strings.ReplaceAll(yaml, "{{dir}}", w.Dir)
	for k, v := range replace {
		yaml = strings.ReplaceAll(yaml, "{{"+k+"}}", v)
	}
	if i := strings.Index(yaml, "{{"); i >= 0 {
		w.T.Fatalf("belay.yaml has a placeholder left: %.20s", yaml[i:])
	}
	w.Write("belay.yaml", yaml, 0o600)
}

// binary is the belay that "make build" made.
func binary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../bin/belay")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	return path
}

// Ports returns n free loopback addresses that no other test gets, of this package or of one that runs beside it.
func Ports(t *testing.T, n int) []string {
	t.Helper()
	out, err := ports.Reserve(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var ports loopback.Reserver

// Write writes a file into the folder and returns its path.
func (w *World) Write(name, text string, mode os.FileMode) string {
	w.T.Helper()
	path := filepath.Join(w.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.T.Fatal(err)
	}
	// Whole at once: a running process may read it at any moment.
	if err := os.WriteFile(path+".new", []byte(text), mode); err != nil {
		w.T.Fatal(err)
	}
	if err := os.Chmod(path+".new", mode); err != nil {
		w.T.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		w.T.Fatal(err)
	}
	return path
}

// CopyTree copies files of the repository into the folder.
func (w *World) CopyTree(from, to string) {
	w.T.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		target := filepath.Join(w.Dir, to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, info.Mode())
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// Until waits for a condition of another process, which sends no signal; it polls, bounded in time.
func (w *World) Until(what string, limit time.Duration, cond func() error) {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.T.Context(), limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		if last = cond(); last == nil {
			return
		}
		select {
		case <-ctx.Done():
			w.T.Fatalf("%s: not within %s: %v", what, limit, last)
		case <-tick.C:
		}
	}
}

// Get asks for a URL and fails unless it answers 2xx; into, if not nil, receives the JSON.
func Get(url string, into any) error {
	c := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s: %s: %.200s", url, resp.Status, body)
	}
	if text, ok := into.(*string); ok {
		*text = string(body)
		return nil
	}
	if into != nil {
		return json.Unmarshal(body, into)
	}
	return nil
}
