//go:build story

package story

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
)

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

// ports returns n free loopback addresses. They are all held until they are returned, so they differ.
func ports(t *testing.T, n int) []string {
	t.Helper()
	var out []string
	var held []net.Listener
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, l)
		out = append(out, l.Addr().String())
	}
	for _, l := range held {
		l.Close()
	}
	return out
}

// world is one belay with its folder, its processes and its environment.
type world struct {
	t    *testing.T
	bin  string
	dir  string
	addr string
	env  []string
	api  *client.Client
}

// newWorld makes a folder with the given belay.yaml; {{name}} in it is replaced.
func newWorld(t *testing.T, yaml string, replace map[string]string) *world {
	t.Helper()
	w := &world{t: t, bin: binary(t), dir: t.TempDir(), addr: ports(t, 1)[0]}
	yaml = strings.ReplaceAll(yaml, "{{listen}}", w.addr)
	yaml = strings.ReplaceAll(yaml, "{{dir}}", w.dir)
	for k, v := range replace {
		yaml = strings.ReplaceAll(yaml, "{{"+k+"}}", v)
	}
	if i := strings.Index(yaml, "{{"); i >= 0 {
		t.Fatalf("belay.yaml has a placeholder left: %.20s", yaml[i:])
	}
	w.write("belay.yaml", yaml, 0o600)
	w.env = append(os.Environ(), "BELAY_CONFIG="+filepath.Join(w.dir, "belay.yaml"), "NO_COLOR=1")
	api, err := client.New("http://" + w.addr)
	if err != nil {
		t.Fatal(err)
	}
	w.api = api
	return w
}

func (w *world) write(name, text string, mode os.FileMode) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// process is a child in a group of its own, so that nothing of it is left behind.
type process struct {
	*exec.Cmd
	name string
	log  *lockedBuffer
	done chan struct{}
	err  error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// spawn starts a program and stops it at the end of the test; its log is shown when the test fails.
func (w *world) spawn(name string, argv ...string) *process {
	w.t.Helper()
	p := &process{Cmd: exec.Command(argv[0], argv[1:]...), name: name, log: &lockedBuffer{}, done: make(chan struct{})}
	p.Dir, p.Env, p.Stdout, p.Stderr = w.dir, w.env, p.log, p.log
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.Start(); err != nil {
		w.t.Fatalf("start %s: %v", name, err)
	}
	go func() { p.err = p.Wait(); close(p.done) }()
	w.t.Cleanup(func() {
		p.stop()
		if w.t.Failed() {
			w.t.Logf("log of %s:\n%s", name, lastLines(p.log.String(), 60))
		}
	})
	return p
}

// stop asks the process to end, waits, and takes what is left of its group.
func (p *process) stop() {
	_ = p.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(25 * time.Second):
	}
	_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.Process.Kill()
	<-p.done
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// serve starts the controller and waits until it is ready.
func (w *world) serve() *process {
	w.t.Helper()
	p := w.spawn("belay serve", w.bin, "serve")
	w.until("belay serve is ready", 20*time.Second, func() error {
		select {
		case <-p.done:
			w.t.Fatalf("belay serve ended: %v\n%s", p.err, p.log)
		default:
		}
		return get("http://"+w.addr+"/-/ready", nil)
	})
	return p
}

// until waits for a condition of another process, which sends no signal; it polls, bounded in time.
func (w *world) until(what string, limit time.Duration, cond func() error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
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
			w.t.Fatalf("%s: not within %s: %v", what, limit, last)
		case <-tick.C:
		}
	}
}

// get asks for a URL and fails unless it answers 2xx; into, if not nil, receives the JSON.
func get(url string, into any) error {
	c := http.Client{Timeout: 3 * time.Second}
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
	if into != nil {
		return json.Unmarshal(body, into)
	}
	return nil
}

// run runs a belay command and returns its output and exit code.
func (w *world) run(args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.bin, args...)
	cmd.Dir, cmd.Env = w.dir, w.env
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), errOut.String(), exit.ExitCode()
	}
	if err != nil {
		w.t.Fatalf("belay %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errOut.String(), 0
}

// report is the JSON of deploy, verify and show.
type report struct {
	Deployment belay.Deployment `json:"deployment"`
	Rollback   *belay.Rollback  `json:"rollback"`
	Timeline   []belay.Event    `json:"timeline"`
}

// deploy runs "belay deploy" and wants the exit code.
func (w *world) deploy(want int, args ...string) report {
	w.t.Helper()
	out, errOut, code := w.run(append([]string{"deploy", "--output", "json"}, args...)...)
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		w.t.Fatalf("belay deploy %v: exit code %d, %v\n%s\n%s", args, code, err, out, errOut)
	}
	if code != want {
		w.t.Fatalf("belay deploy %v: exit code %d, want %d; state %s: %s\n%s", args, code, want, r.Deployment.State, r.Deployment.Reason, told(r))
	}
	return r
}

// told gives a timeline for a failed test.
func told(r report) string {
	var b strings.Builder
	for _, e := range r.Timeline {
		fmt.Fprintf(&b, "  %7.2fs %s\n", e.Time.Sub(r.Deployment.CreatedAt).Seconds(), e.Message)
	}
	if r.Deployment.Card != nil {
		c, _ := json.MarshalIndent(r.Deployment.Card, "  ", " ")
		fmt.Fprintf(&b, "  card %s\n", c)
	}
	if r.Rollback != nil && r.Rollback.Certificate != nil {
		for _, k := range r.Rollback.Certificate.Checks {
			fmt.Fprintf(&b, "  %s %s: got %s, wanted %s\n", k.Result, k.Name, k.Got, k.Want)
		}
	}
	return b.String()
}

// load sends requests at a steady rate until the test ends.
type load struct {
	total, bad atomic.Int64
}

type request struct {
	method, path string
	share        int // of 100
}

func (w *world) load(base string, perSecond int, mix []request) *load {
	l := &load{}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	slots := make(chan struct{}, 128)
	wg.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			r, n := mix[0], (i*37)%100
			for _, m := range mix {
				if r = m; n < m.share {
					break
				}
				n -= m.share
			}
			select {
			case slots <- struct{}{}:
			default:
				continue
			}
			wg.Go(func() {
				defer func() { <-slots }()
				req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, nil)
				if err != nil {
					return
				}
				resp, err := client.Do(req)
				if ctx.Err() != nil {
					return
				}
				l.total.Add(1)
				if err != nil {
					l.bad.Add(1)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode >= 500 {
					l.bad.Add(1)
				}
			})
		}
	})
	w.t.Cleanup(func() {
		cancel()
		wg.Wait()
		client.CloseIdleConnections()
	})
	return l
}

// copyTree copies files of the repository into the world.
func (w *world) copyTree(from, to string) {
	w.t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		target := filepath.Join(w.dir, to, rel)
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
		w.t.Fatal(err)
	}
}

// mustHave checks a condition with a message that shows the report.
func mustHave(t *testing.T, r report, ok bool, format string, args ...any) {
	t.Helper()
	if !ok {
		t.Errorf("%s\nstate %s: %s\n%s", fmt.Sprintf(format, args...), r.Deployment.State, r.Deployment.Reason, told(r))
	}
}
