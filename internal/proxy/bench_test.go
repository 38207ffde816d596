package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

// BenchmarkForward tells what a request costs through this proxy, as a multiple of a bare httputil.ReverseProxy in
// the same run, batch by batch in turn so that noise of the machine meets both.
func BenchmarkForward(b *testing.B) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer upstream.Close()
	u, err := url.Parse(upstream.URL)
	if err != nil {
		b.Fatal(err)
	}
	bareProxy := httputil.NewSingleHostReverseProxy(u)
	bareProxy.Transport = &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true}
	bare := httptest.NewServer(bareProxy)
	defer bare.Close()
	p, err := New(Options{Name: "edge", Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Slots: []Slot{{Name: "blue", Address: u.Host}}})
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Stop(b.Context()) }()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	batch := func(url string) time.Duration {
		began := time.Now()
		for range 50 {
			resp, err := client.Get(url)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		return time.Since(began) / 50
	}
	var ours, theirs []time.Duration
	for b.Loop() {
		theirs = append(theirs, batch(bare.URL+"/orders/17"))
		ours = append(ours, batch("http://"+p.Addr()+"/orders/17"))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(median(theirs).Nanoseconds()), "bare-ns/req")
	b.ReportMetric(float64(median(ours).Nanoseconds()), "belay-ns/req")
	b.ReportMetric(float64(median(ours))/float64(median(theirs)), "x-bare")
}

// BenchmarkHandler leaves the sockets towards the client out.
func BenchmarkHandler(b *testing.B) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer upstream.Close()
	p, err := New(Options{Name: "edge", Admin: "127.0.0.1:0", Slots: []Slot{{Name: "blue", Address: upstream.Listener.Addr().String()}}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	r := httptest.NewRequest(http.MethodGet, "/orders/17", nil)
	for b.Loop() {
		p.forward.ServeHTTP(httptest.NewRecorder(), r)
	}
}

// BenchmarkSwitch is one call that moves all traffic: until traffic moves, until it is on disk, and the whole call.
func BenchmarkSwitch(b *testing.B) {
	p, err := New(Options{
		Name: "edge", Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", StateFile: filepath.Join(b.TempDir(), "edge.json"),
		Slots: []Slot{{Name: "blue", Address: "127.0.0.1:1"}, {Name: "green", Address: "127.0.0.1:2"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Stop(b.Context()) }()
	c, err := proxyclient.New("edge", p.AdminAddr(), "")
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	var calls, moved, saved []time.Duration
	green := 100
	for b.Loop() {
		began := time.Now()
		got, err := c.SetWeights(b.Context(), map[string]int{"blue": 100 - green, "green": green}, proxyclient.WeightOptions{})
		if err != nil {
			b.Fatal(err)
		}
		calls = append(calls, time.Since(began))
		moved, saved = append(moved, time.Duration(got.SwitchNS)), append(saved, time.Duration(got.SaveNS))
		green = 100 - green
	}
	b.ReportMetric(float64(median(moved).Nanoseconds()), "moved-ns/p50")
	b.ReportMetric(float64(median(saved).Nanoseconds()), "saved-ns/p50")
	b.ReportMetric(float64(median(calls).Nanoseconds()), "call-ns/p50")
	b.ReportMetric(float64(slices.Max(calls).Nanoseconds()), "call-ns/max")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
