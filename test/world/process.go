//go:build story

package world

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a child in a group of its own, so that nothing of it is left behind.
type Process struct {
	*exec.Cmd
	Name string
	Log  *Buffer
	Done chan struct{} // closed when it has ended
	Err  error         // why, once it has
}

// Buffer is a log that is written and read at the same time.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends to the log.
func (l *Buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns all of it.
func (l *Buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Spawn starts a program and stops it at the end of the test; its log is shown when the test fails.
func (w *World) Spawn(name string, argv ...string) *Process {
	w.T.Helper()
	p := &Process{Cmd: exec.Command(argv[0], argv[1:]...), Name: name, Log: &Buffer{}, Done: make(chan struct{})}
	p.Dir, p.Env, p.Stdout, p.Stderr = w.Dir, w.Env, p.Log, p.Log
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.Start(); err != nil {
		w.T.Fatalf("start %s: %v", name, err)
	}
	go func() { p.Err = p.Wait(); close(p.Done) }()
	w.T.Cleanup(func() {
		p.Stop()
		if w.T.Failed() {
			w.T.Logf("log of %s:\n%s", name, lastLines(p.Log.String(), 60))
		}
	})
	return p
}

// Ended tells whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.Done:
		return true
	default:
		return false
	}
}

// Stop asks the process to end, waits, and takes what is left of its group.
func (p *Process) Stop() {
	if p.Ended() {
		return
	}
	_ = p.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.Done:
	case <-time.After(25 * time.Second):
	}
	_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
	<-p.Done
}

// Kill is kill -9.
func (p *Process) Kill() {
	_ = p.Process.Kill()
	<-p.Done
}

// Serve starts the controller and waits until it is ready.
func (w *World) Serve() *Process {
	w.T.Helper()
	p := w.Spawn("belay serve", w.Bin, "serve")
	w.Ready(p)
	return p
}

// Ready waits until the controller that is being started is ready.
func (w *World) Ready(p *Process) {
	w.T.Helper()
	w.Until("belay serve is ready", 20*time.Second, func() error {
		if p.Ended() {
			w.T.Fatalf("belay serve ended: %v\n%s", p.Err, p.Log)
		}
		return Get("http://"+w.Addr+"/-/ready", nil)
	})
}

// Wait lets time pass: for a moment that is chosen at random and that nothing signals.
func (w *World) Wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.T.Context().Done():
	}
}

// StopByPidFiles ends, at the end of the test, what scripts left running, by the ids they wrote into a folder.
func (w *World) StopByPidFiles(folder string) {
	w.T.Cleanup(func() {
		files, _ := filepath.Glob(filepath.Join(w.Dir, folder, "*.pid"))
		for _, f := range files {
			if pid := ReadPid(f); pid > 1 {
				_ = syscall.Kill(-pid, syscall.SIGKILL) // started with setsid: a group of its own
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
}

// ReadPid reads a process id from a file; 0 when there is none.
func ReadPid(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
