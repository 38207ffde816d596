package app_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app"
)

const small = `
services:
  shop:
    targets: [127.0.0.1:1]
    health: {tcp: 127.0.0.1:1, interval: 100ms}
    rollback: ./rollback.sh
`

// write puts a configuration into a folder of its own and returns the options for it.
func write(t *testing.T, yaml string) app.Options {
	t.Helper()
	path := filepath.Join(t.TempDir(), "belay.yaml")
	rewrite(t, app.Options{ConfigFile: path}, yaml)
	return app.Options{ConfigFile: path, Lookup: os.LookupEnv, Version: "test", Logger: slog.New(slog.DiscardHandler), Standalone: true}
}

func rewrite(t *testing.T, o app.Options, yaml string) {
	t.Helper()
	if err := os.WriteFile(o.ConfigFile, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
}

func made(t *testing.T, o app.Options) *app.App {
	t.Helper()
	a, err := app.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, a) })
	return a
}

func started(t *testing.T, o app.Options) *app.App {
	t.Helper()
	a := made(t, o)
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

func stop(t *testing.T, a *app.App) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	defer cancel()
	if err := a.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// ours are the goroutines that belong to belay or its engines, as stacks.
func ours() []string {
	buf := make([]byte, 4<<20)
	var out []string
	for g := range bytes.SplitSeq(buf[:runtime.Stack(buf, true)], []byte("\n\n")) {
		s := string(g)
		if strings.Contains(s, "testing.tRunner") || strings.Contains(s, "app_test.ours") {
			continue
		}
		for _, who := range []string{"belaydev/belay/", "prometheus/prometheus", "dbos-transact", "modernc.org", "database/sql", "net/http"} {
			if strings.Contains(s, who) {
				out = append(out, s)
				break
			}
		}
	}
	return out
}

// wantQuiet waits until nothing of belay runs any more.
func wantQuiet(t *testing.T) {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	deadline := time.After(5 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		left := ours()
		if len(left) == 0 {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
		case <-tick.C:
		}
	}
}

// wantFree tells whether nothing of the folder and the address is held any more: a second one can have them.
func wantFree(t *testing.T, o app.Options) {
	t.Helper()
	a, err := app.New(t.Context(), o)
	if err != nil {
		t.Errorf("not everything was given back: %v", err)
		return
	}
	stop(t, a)
}

func TestStartAndStopFromEverywhere(t *testing.T) {
	for range 3 {
		a := made(t, write(t, small))
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if i%2 == 0 {
					_ = a.Start(t.Context()) // one wins, or comes too late
				} else if i > 10 {
					stop(t, a)
				}
			})
		}
		wg.Wait()
		stop(t, a)
		if err := a.Start(t.Context()); belay.CodeOf(err) != belay.CodeConflict {
			t.Errorf("start after stop: %v", err)
		}
	}
	wantQuiet(t)
}

func TestStopBeforeStartGivesEverythingBack(t *testing.T) {
	o := write(t, small)
	a := made(t, o)
	stop(t, a)
	stop(t, a)
	wantQuiet(t)
	wantFree(t, o)
}

func TestStartTwiceIsRefused(t *testing.T) {
	a := started(t, write(t, small))
	if err := a.Start(t.Context()); belay.CodeOf(err) != belay.CodeConflict {
		t.Errorf("second start: %v", err)
	}
	if err := a.Ready(t.Context()); err != nil {
		t.Errorf("the first start suffered: %v", err)
	}
}

func TestNewThatFailsKeepsNothing(t *testing.T) {
	// Each breaks New at a later point than the one before.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, o *app.Options, data string)
		want  string
	}{
		"address taken": {func(t *testing.T, o *app.Options, _ string) {
			o.Standalone = false
			rewrite(t, *o, "server: {listen: "+taken.Addr().String()+"}\n"+small)
		}, "listen on"},
		"data is a file": {func(t *testing.T, _ *app.Options, data string) { file(t, data) }, "data folder"},
		"store is a folder": {func(t *testing.T, _ *app.Options, data string) {
			dir(t, filepath.Join(data, "belay.db"))
		}, "belay.db"},
		"metrics is a file": {func(t *testing.T, _ *app.Options, data string) {
			dir(t, data)
			file(t, filepath.Join(data, "metrics"))
		}, "metrics"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			o := write(t, small)
			data := filepath.Join(filepath.Dir(o.ConfigFile), "belay-data")
			c.spoil(t, &o, data)
			if a, err := app.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("new: %v, %v; want an error about %q", a, err, c.want)
			}
			wantQuiet(t)
			if err := os.RemoveAll(data); err != nil {
				t.Fatal(err)
			}
			o.Standalone = true
			wantFree(t, o)
		})
	}
}

func file(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func dir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestStartThatFailsHalfWayCleansUp(t *testing.T) {
	o := write(t, small)
	workflows := filepath.Join(filepath.Dir(o.ConfigFile), "belay-data", "workflows.db")
	a := made(t, o)
	dir(t, workflows) // the rollback engine cannot open it
	if err := a.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "workflows.db") {
		t.Fatalf("start: %v", err)
	}
	wantQuiet(t)
	if err := os.Remove(workflows); err != nil {
		t.Fatal(err)
	}
	wantFree(t, o)
}

func TestStartThatIsCancelledCleansUp(t *testing.T) {
	o := write(t, small)
	a := made(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Start(ctx); err == nil {
		t.Error("started although nobody wants it")
	}
	wantQuiet(t)
	wantFree(t, o)
}

func TestTwoInOneProcess(t *testing.T) {
	a, b := started(t, write(t, small)), started(t, write(t, small))
	if a.URL() == b.URL() {
		t.Error("two servers on one address")
	}
	for _, x := range []*app.App{a, b} {
		if list, err := x.Services(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("services %v, %v", list, err)
		}
	}
	stop(t, a)
	if err := b.Ready(t.Context()); err != nil {
		t.Errorf("stopping one stopped the other: %v", err)
	}
}

func TestSecondOnTheSameFolderIsRefused(t *testing.T) {
	o := write(t, small)
	started(t, o)
	_, err := app.New(t.Context(), o)
	if belay.CodeOf(err) != belay.CodeConflict {
		t.Fatalf("second: %v (%s)", err, belay.CodeOf(err))
	}
	for _, want := range []string{"another belay works in the data folder", "belay-data", fmt.Sprint("process ", os.Getpid()), "--server"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestStopNamesWhatFailed(t *testing.T) {
	a := started(t, write(t, small))
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // no time at all: some parts cannot end in order, and all are stopped all the same
	if err := a.Stop(ctx); err != nil && !strings.Contains(err.Error(), "stop ") {
		t.Errorf("stop: %v", err)
	}
	wantQuiet(t)
}

func TestMissingFileSaysWhatToDo(t *testing.T) {
	_, err := app.New(t.Context(), app.Options{ConfigFile: filepath.Join(t.TempDir(), "none.yaml"), Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("missing file: %v", err)
	}
}
