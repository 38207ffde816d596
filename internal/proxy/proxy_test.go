package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

// release is a server that names itself.
func release(t *testing.T, name string, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	if h == nil {
		h = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }
	}
	s := httptest.NewUnstartedServer(h)
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.Config.Protocols = &protocols
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func address(s *httptest.Server) string { return s.Listener.Addr().String() }

type rig struct {
	*Proxy
	client *proxyclient.Client
	url    string
}

// start runs a proxy before the given releases, blue first, until the test ends.
func start(t *testing.T, o Options, servers ...*httptest.Server) rig {
	t.Helper()
	o.Name, o.Listen = "edge", "127.0.0.1:0"
	if o.Admin == "" {
		o.Admin = "127.0.0.1:0"
	}
	for i, s := range servers {
		o.Slots = append(o.Slots, Slot{Name: []string{"blue", "green"}[i], Address: address(s)})
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, p) })
	c, err := proxyclient.New("edge", p.AdminAddr(), o.Token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return rig{p, c, "http://" + p.Addr()}
}

// stop gives requests that a failed test left half a second.
func stop(t *testing.T, p *Proxy) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func (r rig) get(t *testing.T, path string) (int, string, http.Header) {
	t.Helper()
	resp, err := http.Get(r.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func (r rig) weights(t *testing.T, blue, green int) proxyclient.Changed {
	t.Helper()
	c, err := r.client.SetWeights(t.Context(), map[string]int{"blue": blue, "green": green}, proxyclient.WeightOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if poll(ctx, func() int64 {
		if ok() {
			return 0
		}
		return 1
	}) != 0 {
		t.Fatalf("never: %s", what)
	}
}

func TestFirstSlotServesUntilTold(t *testing.T) {
	r := start(t, Options{}, release(t, "old", nil), release(t, "new", nil))
	if code, body, _ := r.get(t, "/"); code != 200 || body != "old" {
		t.Errorf("before: %d %s", code, body)
	}
	got := r.weights(t, 0, 100)
	if got.SwitchNS <= 0 || got.SaveNS < got.SwitchNS {
		t.Errorf("times: %+v", got)
	}
	if _, body, _ := r.get(t, "/"); body != "new" {
		t.Errorf("after: %s", body)
	}
	r.weights(t, 0, 0)
	if code, _, h := r.get(t, "/"); code != 503 || h.Get(HeaderError) != "no_slot" {
		t.Errorf("no weights: %d %v", code, h)
	}
}

func TestShareFollowsWeights(t *testing.T) {
	var blue, green atomic.Int64
	count := func(n *atomic.Int64) http.HandlerFunc { return func(http.ResponseWriter, *http.Request) { n.Add(1) } }
	r := start(t, Options{}, release(t, "old", count(&blue)), release(t, "new", count(&green)))
	r.weights(t, 80, 20)
	for range 1000 {
		r.get(t, "/")
	}
	if g := green.Load(); blue.Load()+g != 1000 || g < 130 || g > 270 { // five standard deviations
		t.Errorf("green got %d of 1000, want about 200", g)
	}
}

func TestSwitchesUnderLoadDropNothing(t *testing.T) {
	old, next := release(t, "old", nil), release(t, "new", nil)
	r := start(t, Options{StateFile: filepath.Join(t.TempDir(), "edge.json")}, old, next)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	// One request after another from eight clients until 100 switches are through. Each tells whether it began after
	// a switch was answered: then it must meet the release of that switch or of a later one.
	var switched, served, wrong atomic.Int64
	var load sync.WaitGroup
	done := make(chan struct{})
	for range 8 {
		load.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				before := switched.Load()
				resp, err := client.Get(r.url)
				if err != nil {
					t.Error("dropped:", err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("dropped: %d %v", resp.StatusCode, err)
				}
				_ = resp.Body.Close()
				// After an even number of switches it is the old one. No switch was under way if the number is the same.
				if before >= 0 && switched.Load() == before && string(b) != []string{"old", "new"}[before%2] {
					wrong.Add(1)
				}
				served.Add(1)
			}
		})
	}
	for i := range 100 {
		from := served.Load()
		eventually(t, "requests between two switches", func() bool { return served.Load() >= from+8 })
		switched.Store(-1) // a switch is under way
		if i%2 == 0 {
			r.weights(t, 0, 100)
		} else {
			r.weights(t, 100, 0)
		}
		switched.Store(int64(i + 1))
	}
	close(done)
	load.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d requests that began after a switch met the other release", wrong.Load())
	}
	t.Logf("%d requests over 100 switches", served.Load())
}

func TestForwardingHeadersOfClientsAreNotBelieved(t *testing.T) {
	r := start(t, Options{SlotHeader: true}, release(t, "old", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s|%s|%s|%s|%s|%s", r.Host, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"),
			r.Header.Get("X-Real-Ip"), r.Header.Get("Forwarded"), r.URL.RequestURI())
	}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/a%2Fb//c?x=1;y=%zz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "shop.example"
	for _, h := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "X-Forwarded-Proto"} {
		req.Header.Set(h, "6.6.6.6")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if want := "shop.example|127.0.0.1|http|||/a%2Fb//c?x=1;y=%zz"; string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	if resp.Header.Get(HeaderSlot) != "blue" {
		t.Error("no slot header")
	}
}

func TestDeadReleaseIsCountedAsRefused(t *testing.T) {
	s := release(t, "old", nil)
	r := start(t, Options{}, s)
	s.Close()
	if code, _, h := r.get(t, "/orders"); code != 502 || h.Get(HeaderError) != "refused" {
		t.Errorf("%d %v", code, h)
	}
	c := counter(t, r, "GET /orders")
	if c.Refused != 1 || c.Classes[4] != 1 {
		t.Errorf("%+v", c)
	}
}

func counter(t *testing.T, r rig, stratum string) proxyclient.Counter {
	t.Helper()
	var found proxyclient.Counter
	eventually(t, "a count of "+stratum, func() bool {
		s, err := r.client.Counts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range s.Counters {
			if c.Stratum == stratum {
				found = c
				return true
			}
		}
		return false
	})
	return found
}

func TestBrokenSlowAndCancelledAreToldApart(t *testing.T) {
	r := start(t, Options{ResponseTimeout: 100 * time.Millisecond}, release(t, "old", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/half":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
		case "/slow":
			<-r.Context().Done() // until the proxy gives up
		case "/gone":
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	resp, err := http.Get(r.url + "/half")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("half a response looks whole")
	}
	if code, _, h := r.get(t, "/slow"); code != 504 || h.Get(HeaderError) != "timeout" {
		t.Errorf("slow: %d %v", code, h)
	}
	resp, err = http.Get(r.url + "/gone")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if c := counter(t, r, "GET /half"); c.Broken != 1 || c.Classes[4] != 1 || c.Requests() != 1 {
		t.Errorf("half: %+v", c)
	}
	if c := counter(t, r, "GET /slow"); c.Timeout != 1 || c.Classes[4] != 1 {
		t.Errorf("slow: %+v", c)
	}
	if c := counter(t, r, "GET /gone"); c.Cancelled != 1 || c.Requests() != 0 {
		t.Errorf("gone: %+v", c)
	}
}

func TestStartAndStopInAnyOrder(t *testing.T) {
	s := release(t, "old", nil)
	path := filepath.Join(t.TempDir(), "edge.json")
	for i := range 20 {
		p, err := New(Options{Name: "edge", Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", StateFile: path, Slots: []Slot{{Name: "blue", Address: address(s)}}})
		if err != nil {
			t.Fatal(err)
		}
		var g sync.WaitGroup
		if i%3 == 0 {
			g.Go(func() { stop(t, p) })
		}
		g.Go(func() {
			if err := p.Start(context.Background()); err != nil && belay.CodeOf(err) != belay.CodeConflict {
				t.Error(err)
			}
		})
		g.Wait()
		g.Go(func() { stop(t, p) })
		g.Go(func() { stop(t, p) })
		g.Wait()
		if p.Ready() {
			t.Error("ready after stop")
		}
		if p.Start(context.Background()) == nil {
			t.Error("started after stop")
		}
	}
}

func TestStopLetsRequestsEnd(t *testing.T) {
	in, out := make(chan struct{}), make(chan struct{})
	r := start(t, Options{}, release(t, "old", func(w http.ResponseWriter, _ *http.Request) {
		close(in)
		<-out
		_, _ = io.WriteString(w, "whole")
	}))
	body := make(chan string)
	go func() {
		resp, err := http.Get(r.url)
		if err != nil {
			body <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		body <- string(b)
	}()
	<-in
	stopped := make(chan error)
	go func() { stopped <- r.Stop(context.Background()) }()
	eventually(t, "stopping", func() bool { return !r.Ready() })
	close(out)
	if got := <-body; got != "whole" {
		t.Errorf("the request got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestSecondProxyOnTheSameStateIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "edge.json")
	s := release(t, "old", nil)
	start(t, Options{StateFile: path}, s)
	p, err := New(Options{Name: "edge", Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", StateFile: path, Slots: []Slot{{Name: "blue", Address: address(s)}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); belay.CodeOf(err) != belay.CodeConflict {
		t.Errorf("got %v", err)
	}
}

func TestUnreadableStateIsRefusedWithAWayOut(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "cut": `{"version":1,"slots":[{"na`, "newer": `{"version":9}`,
		"weights": `{"version":1,"proxy":"edge","slots":[{"name":"blue","address":"a:1","weight":70}]}`,
		"other":   `{"version":1,"proxy":"inner","slots":[{"name":"blue","address":"a:1","weight":100}]}`,
	} {
		path := filepath.Join(t.TempDir(), "edge.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := New(Options{Name: "edge", Admin: "127.0.0.1:0", StateFile: path, Slots: []Slot{{Name: "blue", Address: "127.0.0.1:1"}}})
		e, ok := errors.AsType[*belay.Error](err)
		if !ok || !strings.Contains(e.Next, "move the file away") || !strings.Contains(e.Message, path) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
