package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
	"github.com/belaydev/belay/internal/proxy/state"
)

func TestWeightsSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "edge.json")
	old, next := release(t, "old", nil), release(t, "new", nil)
	r := start(t, Options{StateFile: path}, old, next)
	if _, err := r.client.SetRelease(t.Context(), "green", "1.5"); err != nil {
		t.Fatal(err)
	}
	r.weights(t, 10, 90)
	before, err := r.client.Slots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stop(t, r.Proxy)

	r = start(t, Options{StateFile: path}, old, next)
	after, err := r.client.Slots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(before.Slots, after.Slots) || before.Generation != after.Generation {
		t.Errorf("\nbefore %+v\nafter  %+v", before, after)
	}
	if before.BootID == after.BootID {
		t.Error("the same boot id after a restart")
	}
}

// What the state file says at the moment of a kill is what a proxy starts with; no answer was given before that.
func TestKillBetweenSwitchAndSave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "edge.json")
	old, next := release(t, "old", nil), release(t, "new", nil)
	saving, killed := make(chan struct{}), make(chan struct{})
	var armed atomic.Bool
	r := start(t, Options{StateFile: path, save: func(path string, data []byte) error {
		if armed.Load() {
			saving <- struct{}{}
			<-killed
			return errors.New("killed")
		}
		return saveFile(path, data)
	}}, old, next)
	eventually(t, "the first save", func() bool { s, err := r.client.Slots(t.Context()); return err == nil && s.Saved })
	armed.Store(true)
	answered := make(chan error)
	go func() {
		_, err := r.client.SetWeights(t.Context(), map[string]int{"green": 100}, proxyclient.WeightOptions{Key: "k"})
		answered <- err
	}()
	<-saving
	if _, body, _ := r.get(t, "/"); body != "new" {
		t.Errorf("traffic waits for the disk: %s", body)
	}
	var s state.File
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &s); err != nil || s.Slots[0].Weight != 100 {
		t.Errorf("state at the kill: %s %v", data, err)
	}
	select {
	case err := <-answered:
		t.Errorf("answered before it was saved: %v", err)
	default:
	}
	armed.Store(false)
	close(killed)
	err = <-answered
	if err == nil || !strings.Contains(err.Error(), "active now is blue=0 green=100") {
		t.Errorf("got %v", err)
	}
}

func TestFailedSaveIsToldAndTriedAgain(t *testing.T) {
	var full atomic.Bool
	path := filepath.Join(t.TempDir(), "edge.json")
	r := start(t, Options{StateFile: path, save: func(path string, data []byte) error {
		if full.Load() {
			return errors.New("no space left on device")
		}
		return saveFile(path, data)
	}}, release(t, "old", nil), release(t, "new", nil))
	full.Store(true)
	set := func() (proxyclient.Changed, error) {
		return r.client.SetWeights(t.Context(), map[string]int{"green": 100}, proxyclient.WeightOptions{Key: "k"})
	}
	for range 2 { // with the same key too: it is not done while it is not saved
		_, err := set()
		e, ok := errors.AsType[*proxyclient.Error](err)
		if !ok || e.Code != "internal" || !strings.Contains(e.Message, "no space left") || !strings.Contains(e.Message, "green=100") {
			t.Fatalf("got %v", err)
		}
	}
	if resp, err := http.Get("http://" + r.AdminAddr() + "/health"); err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("health: %v %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	full.Store(false)
	if c, err := set(); err != nil || !c.Repeated || c.Weights["green"] != 100 {
		t.Errorf("%+v %v", c, err)
	}
	if s, err := r.client.Slots(t.Context()); err != nil || !s.Saved {
		t.Errorf("%+v %v", s, err)
	}
}

func TestConfigurationAndStateAreMerged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "edge.json")
	boot := func(slots ...Slot) *table {
		t.Helper()
		p, err := New(Options{Name: "edge", Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", StateFile: path, Slots: slots})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		to := "127.0.0.1:77"
		if p.table.Load().route("api") == nil && len(slots) == 2 {
			if _, err := p.ConfigureSlot("api", proxyclient.SlotChange{Address: &to}); err != nil {
				t.Fatal(err)
			}
			if _, err := p.ConfigureSlot("green", proxyclient.SlotChange{Address: &to}); err != nil {
				t.Fatal(err)
			}
			if _, err := p.SetWeights(map[string]int{"blue": 40, "green": 60}, proxyclient.WeightOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		stop(t, p)
		return p.table.Load()
	}
	blue, green := Slot{Name: "blue", Address: "127.0.0.1:1"}, Slot{Name: "green", Address: "127.0.0.1:2"}
	boot(blue, green)
	at := func(t *table, name string) string { return t.route(name).slot.Address }

	same := boot(blue, green)
	if same.String() != "api=0 blue=40 green=60" || at(same, "green") != "127.0.0.1:77" || at(same, "api") != "127.0.0.1:77" {
		t.Errorf("same configuration: %s, green at %s", same, at(same, "green"))
	}
	green.Address = "127.0.0.1:3"
	moved := boot(blue, green, Slot{Name: "red", Address: "127.0.0.1:4", Weight: 50})
	if moved.String() != "api=0 blue=40 green=60 red=0" || at(moved, "green") != "127.0.0.1:3" {
		t.Errorf("address changed in the configuration: %s, green at %s", moved, at(moved, "green"))
	}
	// A slot that is no longer configured stays while users are on it.
	if gone := boot(blue); gone.String() != "api=0 blue=40 green=60" {
		t.Errorf("slots removed from the configuration: %s", gone)
	}
}

func TestChangesAreConditional(t *testing.T) {
	r := start(t, Options{}, release(t, "old", nil), release(t, "new", nil))
	set := func(green int, o proxyclient.WeightOptions) (proxyclient.Changed, error) {
		return r.client.SetWeights(t.Context(), map[string]int{"blue": 100 - green, "green": green}, o)
	}
	first, err := set(100, proxyclient.WeightOptions{Key: "a", Generation: 1})
	if err != nil || first.Generation != 2 {
		t.Fatalf("%+v %v", first, err)
	}
	if _, err := set(0, proxyclient.WeightOptions{Generation: 1}); code(err) != "conflict" {
		t.Errorf("stale generation: %v", err)
	}
	if _, err := set(0, proxyclient.WeightOptions{Key: "b"}); err != nil {
		t.Fatal(err)
	}
	// A late copy of the first request changes nothing ...
	for _, o := range []proxyclient.WeightOptions{{Key: "a"}, {Key: "a", Generation: 1}} {
		if c, err := set(100, o); err != nil || !c.Repeated || c.Weights["green"] != 0 {
			t.Errorf("late copy %+v: %+v %v", o, c, err)
		}
	}
	if _, err := set(50, proxyclient.WeightOptions{Key: "a"}); code(err) != "conflict" {
		t.Errorf("same key for other weights: %v", err)
	}
	// ... but a caller that has looked means it.
	if c, err := set(100, proxyclient.WeightOptions{Key: "a", Generation: 3}); err != nil || c.Repeated || c.Weights["green"] != 100 {
		t.Errorf("same key after a look: %+v %v", c, err)
	}
}

func code(err error) string {
	if e, ok := errors.AsType[*proxyclient.Error](err); ok {
		return e.Code
	}
	return ""
}

func TestBadChangesAreRefusedAndChangeNothing(t *testing.T) {
	r := start(t, Options{}, release(t, "old", nil), release(t, "new", nil))
	for _, c := range []struct{ method, path, body, code, text string }{
		{"PUT", "/v1/weights", `{"blue":50,"green":49}`, "invalid", "add up to 99"},
		{"PUT", "/v1/weights", `{"blue":-1,"green":101}`, "invalid", "between 0 and 100"},
		{"PUT", "/v1/weights", `{"grene":100}`, "not_found", "blue, green"},
		{"PUT", "/v1/weights", `{}`, "invalid", "add up to 0"},
		{"PUT", "/v1/weights", `{"blue":100} x`, "invalid", "more after"},
		{"PUT", "/v1/weights", `{"blue":"100"}`, "invalid", "read request"},
		{"PUT", "/v1/weights", `[` + strings.Repeat(" ", 65536) + `]`, "invalid", "too large"},
		{"PUT", "/v1/slots/red", `{}`, "not_found", "no slot"},
		{"PUT", "/v1/slots/red", `{"address":"nowhere"}`, "invalid", "host:port"},
		{"PUT", "/v1/slots/red", `{"address":"ftp://a:1"}`, "invalid", "host:port"},
		{"PUT", "/v1/slots/re%20d", `{"address":"a:1"}`, "invalid", "slot name"},
		{"PUT", "/v1/slots/blue", `{"host":"a:1"}`, "invalid", "unknown field"},
		{"PUT", "/v1/slots/blue", `{"drain":"soon"}`, "invalid", "not a duration"},
		{"DELETE", "/v1/slots/blue", ``, "conflict", "100 %"},
		{"POST", "/v1/slots/blue/drain", ``, "conflict", "100 %"},
		{"POST", "/v1/slots/green/drain?timeout=x", ``, "invalid", "timeout"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+r.AdminAddr()+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		var e struct{ Error proxyclient.Error }
		if err := json.Unmarshal(b, &e); err != nil || e.Error.Code != c.code || !strings.Contains(e.Error.Error(), c.text) {
			t.Errorf("%s %s %.40s: %s", c.method, c.path, c.body, b)
		}
	}
	if s, err := r.client.Slots(t.Context()); err != nil || s.Generation != 1 || !reflect.DeepEqual(s.Weights(), map[string]int{"blue": 100, "green": 0}) {
		t.Errorf("%+v %v", s, err)
	}
}

func TestDrainWaitsThenCuts(t *testing.T) {
	in := make(chan struct{}, 2)
	r := start(t, Options{}, release(t, "old", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		in <- struct{}{}
		<-r.Context().Done()
	}), release(t, "new", nil))
	resp, err := http.Get(r.url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-in
	r.weights(t, 0, 100)
	d, err := r.client.Drain(t.Context(), "blue", 20*time.Millisecond)
	if err != nil || d.Drained || d.InFlight != 1 {
		t.Errorf("a stream that goes on: %+v %v", d, err)
	}
	// Back to blue and away again, now with a short drain time: then the stream ends.
	r.weights(t, 100, 0)
	short := "30ms"
	if _, err := r.client.ConfigureSlot(t.Context(), "blue", proxyclient.SlotChange{Drain: &short}); err != nil {
		t.Fatal(err)
	}
	r.weights(t, 0, 100)
	d, err = r.client.Drain(t.Context(), "blue", 5*time.Second)
	if err != nil || !d.Drained {
		t.Errorf("after the drain time: %+v %v", d, err)
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the stream looks whole")
	}
}

func TestSlotsComeMoveAndGo(t *testing.T) {
	old, next := release(t, "old", nil), release(t, "new", nil)
	r := start(t, Options{}, old)
	to := address(next)
	if _, err := r.client.ConfigureSlot(t.Context(), "green", proxyclient.SlotChange{Address: &to}); err != nil {
		t.Fatal(err)
	}
	r.weights(t, 0, 100)
	if _, body, _ := r.get(t, "/"); body != "new" {
		t.Errorf("made: %s", body)
	}
	to = address(old)
	if _, err := r.client.ConfigureSlot(t.Context(), "green", proxyclient.SlotChange{Address: &to}); err != nil {
		t.Fatal(err)
	}
	if _, body, _ := r.get(t, "/"); body != "old" {
		t.Errorf("moved: %s", body)
	}
	if _, err := r.client.RemoveSlot(t.Context(), "blue"); err != nil {
		t.Fatal(err)
	}
	if s, err := r.client.Slots(t.Context()); err != nil || len(s.Slots) != 1 {
		t.Errorf("removed: %+v %v", s, err)
	}
}

func TestAdminIsForThisMachineOrTheToken(t *testing.T) {
	for _, a := range []string{"0.0.0.0:0", ":0", "192.0.2.1:80", "example.com:80", "nonsense"} {
		if _, err := New(Options{Name: "edge", Admin: a, Slots: []Slot{{Name: "blue", Address: "a:1"}}}); err == nil {
			t.Errorf("%s accepted without a token", a)
		}
	}
	s := release(t, "old", nil)
	r := start(t, Options{Token: "hush"}, s)
	for token, want := range map[string]string{"": "denied", "hus": "denied", "hush": ""} {
		c, err := proxyclient.New("edge", r.AdminAddr(), token)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Slots(t.Context()); code(err) != want {
			t.Errorf("token %q: %v", token, err)
		}
		c.Close()
	}
	r = start(t, Options{Admin: "unix:" + filepath.Join(t.TempDir(), "s")}, s)
	if _, err := r.client.Slots(t.Context()); err != nil {
		t.Error("unix socket:", err)
	}
}

// A page in a browser of this machine must not be able to move traffic, whatever its name resolves to.
func TestPagesInABrowserCannotMoveTraffic(t *testing.T) {
	r := start(t, Options{}, release(t, "old", nil), release(t, "new", nil))
	for _, header := range []http.Header{{"Sec-Fetch-Site": {"cross-site"}}, {"Origin": {"https://evil.example"}}, {"Host": {"evil.example"}}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+r.AdminAddr()+"/v1/weights", strings.NewReader(`{"green":100}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		req.Host = header.Get("Host")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%v: %d", header, resp.StatusCode)
		}
	}
}

func TestStreamTellsOfCountsAndChanges(t *testing.T) {
	r := start(t, Options{}, release(t, "old", nil), release(t, "new", nil))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lines := make(chan proxyclient.Snapshot)
	go func() {
		defer close(lines)
		_ = r.client.Stream(ctx, func(s proxyclient.Snapshot) { // ends by cancel
			select {
			case lines <- s:
			case <-ctx.Done():
			}
		})
	}()
	first := <-lines
	if first.Heartbeat || first.Seq != 1 || len(first.LE) == 0 || len(first.Slots) != 2 {
		t.Errorf("first line: %+v", first)
	}
	r.get(t, "/orders/17")
	second := <-lines
	if second.Seq != 2 || len(second.Counters) != 1 || second.Counters[0].Stratum != "GET /orders" || second.Counters[0].Slot != "blue" {
		t.Errorf("after a request: %+v", second)
	}
	r.weights(t, 0, 100)
	for s := range lines {
		if s.Generation == 2 && !s.Heartbeat {
			break
		}
	}
	cancel()
	for open := true; open; { // until the stream has ended
		_, open = <-lines
	}
}

func TestMetricsPage(t *testing.T) {
	r := start(t, Options{}, release(t, "old", nil))
	r.get(t, "/orders")
	counter(t, r, "GET /orders")
	resp, err := http.Get("http://" + r.AdminAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	for _, want := range []string{
		`belay_proxy_requests_total{code_class="2xx",proxy="edge",release="",route="GET /orders",slot="blue"} 1`,
		`belay_proxy_request_duration_seconds_count{proxy="edge",release="",slot="blue"} 1`,
		`belay_proxy_in_flight_requests{proxy="edge",slot="blue"} 0`,
		`belay_proxy_slot_weight_percent{proxy="edge",release="",slot="blue"} 100`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("missing %s", want)
		}
	}
}

func FuzzAdmin(f *testing.F) {
	f.Add("PUT", "/v1/weights", `{"blue":0,"green":100}`, "k", `"1"`)
	f.Add("PUT", "/v1/slots/blue", `{"address":"127.0.0.1:1","release":"1","drain":"1s"}`, "", "")
	f.Add("DELETE", "/v1/slots/green", `[[[[`, "", "x")
	f.Add("POST", "/v1/slots/green/drain?timeout=0s", ``, "", "")
	p, err := New(Options{Name: "edge", Admin: "127.0.0.1:0", Slots: []Slot{{Name: "blue", Address: "a:1"}, {Name: "green", Address: "a:2"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = p.Stop(context.Background()); p.control.stop() })
	h := p.adminAPI
	f.Fuzz(func(t *testing.T, method, path, body, key, match string) {
		if strings.Contains(path, "drain") || strings.Contains(path, "stream") || !strings.HasPrefix(path, "/") {
			return // these wait by design
		}
		r, err := http.NewRequest(method, path, strings.NewReader(body))
		if err != nil {
			return
		}
		r.Host = "localhost"
		r.Header.Set(proxyclient.HeaderKey, key)
		r.Header.Set("If-Match", match)
		before := p.table.Load().generation
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		now := p.table.Load()
		total := 0
		for _, v := range now.weights() {
			total += v
		}
		if total != 0 && total != 100 {
			t.Fatalf("weights %s", now)
		}
		if w.Code >= 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code >= 400 && now.generation != before {
			t.Fatalf("refused with %d but changed", w.Code)
		}
	})
}

func TestErrorsOfUnreachableProxySayWhatToDo(t *testing.T) {
	c, err := proxyclient.New("edge", "127.0.0.1:1", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Slots(t.Context())
	e, ok := errors.AsType[*proxyclient.Error](err)
	if !ok || e.Code != string(belay.CodeUnavailable) || !strings.Contains(e.Next, `is "belay proxy edge" running?`) || !strings.Contains(e.Message, "127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
}
