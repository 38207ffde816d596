package count

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

func TestPathsAreCollapsed(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "": "/", "//": "/", "*": "/", "/orders": "/orders", "/orders/": "/orders", "/orders/17/items": "/orders",
		"/17": "/#", "/order-12345": "/order-#", "/page2": "/page2", "/api/orders/17": "/api/orders", "/api/v1/orders/17": "/api/v1/orders",
		"/v2/users": "/v2/users", "/api": "/api", "/api/v1/123": "/api/v1/#", "/video": "/video",
		"/3f2504e0-4f89-11d3-9a0c-0305e82c3301/x": "/#", "/" + strings.Repeat("a", 41): "/#", "/\xff": "/#", "/a\nb": "/#",
		"/a123\xff": "/#", "/facade": "/facade",
	} {
		if got := Path(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}

func FuzzPath(f *testing.F) {
	f.Add("/api/v1/orders/17")
	f.Fuzz(func(t *testing.T, p string) {
		if got := Path(p); !utf8.ValidString(got) || len(got) > 60 || got == "" || got[0] != '/' {
			t.Errorf("%q gives %q", p, got)
		}
	})
}

func ok(status int) Result {
	return Result{Status: status, First: time.Millisecond, Full: time.Millisecond}
}

func TestStrataAreBounded(t *testing.T) {
	var s Set
	blue, green := s.Slot("blue", "1"), s.Slot("green", "2")
	for range 100 {
		blue.Add("GET", "/wp-admin", ok(404)) // a scanner gets no stratum of its own
	}
	for i := range 60 {
		green.Add("BREW", fmt.Sprintf("/r%c%c", 'a'+i/26, 'a'+i%26), ok(200))
	}
	blue.Add("OTHER", "/raa", ok(500))
	strata := map[string]uint64{}
	for _, c := range s.Counters() {
		strata[c.Slot+" "+c.Stratum] += c.Requests()
	}
	if len(strata) != maxStrata+1+2 || strata["blue other"] != 100 || strata["green other"] != 10 || strata["blue OTHER /raa"] != 1 {
		t.Errorf("%d strata: %v", len(strata), strata)
	}
}

func TestOutcomes(t *testing.T) {
	var s Set
	c := s.Slot("blue", "")
	for _, r := range []Result{
		ok(200), ok(302), ok(404), ok(503), ok(999), {Outcome: Refused, Full: 2 * time.Millisecond}, {Outcome: Broken, Full: 30 * time.Millisecond},
		{Outcome: Cancelled, Full: 20 * time.Millisecond}, {Outcome: Cancelled, Full: 20 * time.Second},
		{Status: 200, First: time.Millisecond, Full: time.Hour, Stream: true},
	} {
		c.Add("GET", "/a", r)
	}
	var k = s.Counters()
	got := map[string]uint64{}
	for _, v := range k {
		for i, n := range v.Classes {
			got[fmt.Sprint(i+1)] += n
		}
		got["cancelled"] += v.Cancelled
		got["refused"] += v.Refused
		got["broken"] += v.Broken
		for i, n := range v.Full.Counts {
			if n > 0 {
				got[fmt.Sprintf("full%d", i)] += n
			}
		}
		for _, n := range v.First.Counts {
			got["first"] += n
		}
	}
	// A client that gave up after 20 s waited at least so long; one that left after 20 ms says nothing.
	want := map[string]uint64{"1": 0, "2": 2, "3": 1, "4": 1, "5": 4, "cancelled": 2, "refused": 1, "broken": 1, "full0": 6, "full4": 1, "full16": 1, "first": 9}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestFormerReleasesAreForgottenButNotThoseInUse(t *testing.T) {
	var s Set
	blue := s.Slot("blue", "1")
	blue.Add("GET", "/", ok(200))
	for i := range 30 {
		green := s.Slot("green", fmt.Sprint(i))
		green.Add("GET", "/", ok(200))
		s.Keep([]*Slot{blue, green})
	}
	seen := map[string]bool{}
	for _, c := range s.Counters() {
		seen[c.Slot+c.Release] = true
	}
	if len(seen) != maxFormer+2 || !seen["blue1"] || !seen["green29"] || !seen["green21"] {
		t.Errorf("%v", seen)
	}
}

func TestConcurrentCountsAddUp(t *testing.T) {
	var s Set
	c := s.Slot("blue", "")
	var g sync.WaitGroup
	for i := range 8 {
		g.Go(func() {
			for range 1000 {
				c.Add("GET", fmt.Sprintf("/r%d", i%3), ok(200))
			}
		})
	}
	g.Wait()
	var n uint64
	for _, k := range s.Counters() {
		n += k.Requests()
	}
	if n != 8000 || s.Changes() != 8000 {
		t.Errorf("%d requests, %d changes", n, s.Changes())
	}
}

func BenchmarkAdd(b *testing.B) {
	var s Set
	c := s.Slot("blue", "1")
	r := Result{Status: 200, First: time.Millisecond, Full: 2 * time.Millisecond}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Add("GET", "/orders/17", r)
		}
	})
}
