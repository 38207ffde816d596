// Package rig is what the benchmarks are run on: real belay processes on a folder of their own, two instances of a
// small application in slots of a proxy, and users. It uses the built binary as a user would. What to measure and
// what it means is for its caller.
package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a child in a group of its own; it is killed when the bench itself is.
type Process struct {
	cmd  *exec.Cmd
	name string
	log  logBuffer
	done chan struct{} // closed when it has ended
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends to the log.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(l.b.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Start runs a program in a folder.
func Start(name, dir string, argv ...string) (*Process, error) {
	p := &Process{name: name, done: make(chan struct{})}
	// Not bound to a context: it is stopped in order by its owner.
	p.cmd = exec.CommandContext(context.Background(), argv[0], argv[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, &p.log, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }() // how it ended is in its log; owned by Stop and Kill, which wait
	return p, nil
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Ended tells whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Stop asks the process to end, waits, and takes what is left of its group.
func (p *Process) Stop() {
	if p == nil || p.Ended() {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(25 * time.Second):
	}
	_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
	<-p.done
}

// Kill is kill -9.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// AwaitOK polls an address, closely, until it answers 200.
func (p *Process) AwaitOK(ctx context.Context, url string) error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	return Until(ctx, 20*time.Second, 2*time.Millisecond, func() error {
		if p.Ended() {
			return &finalError{fmt.Errorf("%s ended:\n%s", p.name, p.log.tail(20))}
		}
		return get(ctx, client, url)
	})
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}

// finalError is an error that waiting cannot change.
type finalError struct{ error }

// Until tries until there is no error.
func Until(ctx context.Context, limit, every time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		if g, ok := errors.AsType[*finalError](err); ok {
			return g.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %w", limit, err)
		case <-time.After(every):
		}
	}
}

// Memory is what a process occupies, in bytes.
type Memory struct{ Resident, Anonymous float64 }

// Memory reads the memory of the process from the kernel.
func (p *Process) Memory() (Memory, error) {
	var m Memory
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		return m, fmt.Errorf("read memory of %s: %w", p.name, err)
	}
	for line := range strings.Lines(string(b)) {
		var kb float64
		name, value, _ := strings.Cut(line, ":")
		if _, err := fmt.Sscanf(value, "%f kB", &kb); err != nil {
			continue
		}
		switch name {
		case "VmRSS":
			m.Resident = kb * 1024
		case "RssAnon":
			m.Anonymous = kb * 1024
		}
	}
	return m, nil
}

// FreeAddress finds a loopback address that nobody listens on.
func FreeAddress() (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
