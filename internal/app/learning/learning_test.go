package learning_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config"
)

func TestAnHourIsLearnedFromOnceItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		began := time.Now()
		time.Sleep(30 * time.Second)
		if w.asked() > 0 {
			t.Error("it began to learn at once: a start is busy enough")
		}
		time.Sleep(time.Minute)
		if l := w.of(shop()); !l.Until.Equal(began) || l.Seconds != 3600 {
			t.Errorf("after the start: until %s, %v s; want the hour before %s", l.Until, l.Seconds, began)
		}
		// 3 instances, 10 requests a second; an hour begins with a reading to compare with.
		if n, bad := w.requests(t); !near(n, 3*36000, 0.01) || !near(bad, 3*360, 0.01) {
			t.Errorf("learned from %v requests, %v of them bad", n, bad)
		}
		time.Sleep(2*time.Hour + 10*time.Minute)
		w.l.Stop()
		if got := w.counted(t); got != "learned 3" {
			t.Errorf("hours: %s, want those three that are over", got)
		}
		if n, _ := w.requests(t); !near(n, 3*3*36000, 0.02) {
			t.Errorf("learned from %v requests, want three hours'", n)
		}
		if w.asked() > 10 {
			t.Errorf("asked the store %d times in two hours", w.reads)
		}
		w.l.Stop()
	})
}

func TestARestartLearnsNoHourTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		began := time.Now()
		for range 7 { // every twenty minutes
			time.Sleep(20 * time.Minute)
			w.l.Stop()
			w.begin(t)
		}
		time.Sleep(2 * time.Minute)
		w.l.Stop()
		// Two hours and 22 minutes after the first start: the hour before it, and two whole ones.
		if l := w.of(shop()); !l.Until.Equal(began.Add(2 * time.Hour)) {
			t.Errorf("learned until %s after the start", l.Until.Sub(began))
		}
		if n, _ := w.requests(t); !near(n, 3*3*36000, 0.02) {
			t.Errorf("learned from %v requests, want three hours'", n)
		}
	})
}

func TestWhatBelayDidNotSeeIsNotLearnedFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		time.Sleep(2 * time.Minute)
		w.l.Stop()
		time.Sleep(9 * time.Hour) // nobody knows what was deployed meanwhile
		w.begin(t)
		began := time.Now()
		time.Sleep(2 * time.Minute)
		w.l.Stop()
		if l := w.of(shop()); l.Until.Before(began.Add(-time.Minute)) || !near(l.Seconds, 7200, 0.05) {
			t.Errorf("until %s before the start, %v s; want the hour before each of two starts", began.Sub(l.Until), l.Seconds)
		}
	})
}

func TestHoursWithADeploymentAreNotLearnedFrom(t *testing.T) {
	for name, happens := range map[string]func(s *store, at time.Time){
		"deployment": func(s *store, at time.Time) {
			s.deployments = []belay.Deployment{{Ref: shop(), State: belay.StateSucceeded, CreatedAt: at, EndedAt: at.Add(10 * time.Minute)}}
		},
		"deployment under way": func(s *store, at time.Time) {
			s.deployments = []belay.Deployment{{Ref: shop(), State: belay.StateHeld, CreatedAt: at}}
		},
		"rollback": func(s *store, at time.Time) {
			s.rollbacks = []belay.Rollback{{State: belay.RollbackVerified, StartedAt: at, EndedAt: at.Add(time.Minute)}}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			began := time.Now()
			time.Sleep(90 * time.Minute)
			before, _ := w.requests(t)
			w.mu.Lock()
			happens(w.store, time.Now())
			w.mu.Unlock()
			time.Sleep(35 * time.Minute)
			w.l.Stop()
			l := w.of(shop())
			if n, _ := w.requests(t); n > before || !l.Until.Equal(began.Add(2*time.Hour)) || l.Seconds > 7200 {
				t.Errorf("%s: learned from %v requests after %v, until %s after the start, %v s", name, n, before, l.Until.Sub(began), l.Seconds)
			}
			if got := w.counted(t); got != "deployment 1, learned 2" {
				t.Errorf("%s: hours: %s", name, got)
			}
			if !strings.Contains(w.log.String(), "result=deployment") {
				t.Errorf("%s: the log does not say why:\n%s", name, w.log)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // what did not happen keeps from nothing
		w := newWorld(t)
		w.change(func() {
			w.deployments = []belay.Deployment{{State: belay.StateRefused, CreatedAt: time.Now().Add(-30 * time.Minute), EndedAt: time.Now()},
				{State: belay.StateSucceeded, CreatedAt: time.Now().Add(-80 * time.Minute), EndedAt: time.Now().Add(-time.Hour)}}
		})
		time.Sleep(3 * time.Minute)
		w.l.Stop()
		if got := w.counted(t); got != "learned 1" {
			t.Errorf("hours: %s", got)
		}
	})
}

func TestASickHourIsNotLearnedFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		began := time.Now()
		w.reader.set(func() {
			w.reader.badAt = func(at time.Time) bool { return at.Sub(began) > 20*time.Minute && at.Sub(began) < 22*time.Minute }
		})
		time.Sleep(3*time.Hour + 5*time.Minute)
		w.l.Stop()
		if got := w.counted(t); got != "learned 3, sick 1" {
			t.Errorf("hours: %s, want all but the sick one", got)
		}
		if n, bad := w.requests(t); !near(bad/n, 0.01, 0.02) {
			t.Errorf("%v of %v requests are held to be usually bad", bad, n)
		}
	})
}

func TestMetricsThatCannotBeReadAreReadLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		time.Sleep(30 * time.Minute)
		w.reader.set(func() { w.reader.err = errors.New("connection refused") })
		time.Sleep(2*time.Hour + 40*time.Minute)
		got := w.l.Sources(shop())
		if len(got) != 1 || got[0].OK || !strings.Contains(got[0].Detail, "connection refused") || !strings.Contains(got[0].Detail, "shop") {
			t.Errorf("sources %+v do not say what is wrong", got)
		}
		if n := strings.Count(w.log.String(), "level=WARN"); n != 1 {
			t.Errorf("the log complains %d times, want once:\n%s", n, w.log)
		}
		if got := w.counted(t); got != "failed 1, learned 1" {
			t.Errorf("hours: %s", got)
		}
		w.reader.set(func() { w.reader.err = nil })
		time.Sleep(20 * time.Minute)
		w.l.Stop()
		if got := w.l.Sources(shop()); len(got) != 0 {
			t.Errorf("it complains still: %+v", got)
		}
		if n, _ := w.requests(t); !near(n, 4*3*36000, 0.03) || w.counted(t) != "failed 1, learned 4" {
			t.Errorf("learned from %v requests, hours: %s; want all four hours", n, w.counted(t))
		}
	})
}

// TestAnHourThatCannotBeStoredIsLearnedAgain: nothing is lost, and nothing counts twice, whether the store refuses or
// the process is killed before it stores.
func TestAnHourThatCannotBeStoredIsLearnedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.change(func() { w.refuse = errors.New("disk full") })
		time.Sleep(2 * time.Minute)
		if len(w.l.Sources(shop())) != 1 {
			t.Error("nobody is told that it could not be stored")
		}
		time.Sleep(8 * time.Minute)
		w.l.Stop()
		if n, _ := w.requests(t); !near(n, 3*36000, 0.01) || len(w.l.Sources(shop())) != 0 {
			t.Errorf("learned from %v requests, want an hour's; sources %+v", n, w.l.Sources(shop()))
		}
	})
}

func TestOtherReleasesAreNotLearnedFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.change(func() { w.cfg = parse(t, "metrics: {selector: {job: shop}}") })
		w.reader.set(func() { w.reader.older = "b:1" })
		time.Sleep(2 * time.Minute)
		w.l.Stop()
		if n, _ := w.requests(t); !near(n, 2*36000, 0.01) {
			t.Errorf("learned from %v requests, want those of the two instances of the stable release", n)
		}
	})
}

func TestTheProxysCountsAreLearnedFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg, err := config.Parse("/etc/belay.yaml", []byte(`{proxies: {edge: {listen: "127.0.0.1:1", slots: {blue: "a:1", green: "b:1"}}}, services: {shop: {rollout: {proxy: edge}}}}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		w.change(func() { w.cfg = cfg })
		for range 3 * 720 { // three hours; who learns of an hour comes late
			w.memory.Add(time.Now(), []belay.Sample{{Signal: "error_rate", Kind: belay.KindEvents, Instance: "blue", N: 100, X: 1}})
			time.Sleep(5 * time.Second)
		}
		time.Sleep(3 * time.Minute)
		w.l.Stop()
		if n, bad := w.requests(t); !near(n, 3*72000, 0.02) || !near(bad, 3*720, 0.02) {
			t.Errorf("learned from %v requests, %v of them bad; want three hours'", n, bad)
		}
		if got := w.counted(t); got != "learned 3, quiet 1" { // the proxy's counts of the hour before the start are gone
			t.Errorf("hours: %s", got)
		}
	})
}

func TestAServiceThatIsRemovedKeepsWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		time.Sleep(2 * time.Minute)
		with := w.config()
		w.change(func() { w.cfg = &config.Config{} })
		time.Sleep(5 * time.Hour)
		n, _ := w.requests(t)
		w.change(func() { w.cfg = with })
		time.Sleep(3 * time.Minute)
		w.l.Stop()
		if again, _ := w.requests(t); !near(again, n+3*36000, 0.05) {
			t.Errorf("learned from %v requests before and %v after, want one hour more", n, again)
		}
	})
}

func TestAClockThatWasSetBackIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.change(func() { w.learned[shop()] = belay.Learned{Until: time.Now().Add(30 * 24 * time.Hour)} })
		time.Sleep(10 * time.Minute)
		w.l.Stop()
		got := w.l.Sources(shop())
		if len(got) != 1 || !strings.Contains(got[0].Detail, "clock") || !strings.Contains(got[0].Detail, "belay learned shop --forget") {
			t.Errorf("sources %+v do not say what is wrong and what to do", got)
		}
		if s, err := w.l.Learned(t.Context(), shop()); err != nil || !strings.Contains(s.Problem, "clock") {
			t.Errorf("what was learned does not say that it does not go on: %+v, %v", s, err)
		}
		if s, err := w.l.Forget(t.Context(), shop(), "user:ann"); err != nil || s.Problem != "" || s.Hours != 0 {
			t.Errorf("after it was forgotten: %+v, %v", s, err)
		}
		w.begin(t)
		time.Sleep(2 * time.Hour)
		w.l.Stop()
		if got := w.counted(t); got != "learned 1" {
			t.Errorf("hours after it was forgotten: %s", got)
		}
	})
}

// TestInstancesThatAreGoneMakeRoom: in many places each deployment brings instances with new names.
func TestInstancesThatAreGoneMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		was := belay.LearnedSignal{Signal: "error_rate", Kind: belay.KindEvents, Clumps: make([]belay.LearnedClumps, 3)}
		for i := range 64 { // all of them known better than those that serve now
			was.Bad = append(was.Bad, belay.LearnedInstance{Name: fmt.Sprintf("gone-%02d", i), N: 1e7 - float64(i), X: 1e5, Expected: 1e5})
		}
		w.change(func() {
			w.learned[shop()] = belay.Learned{Until: time.Now().Add(-time.Hour), Signals: []belay.LearnedSignal{was}}
		})
		time.Sleep(time.Hour + 5*time.Minute)
		w.l.Stop()
		now := map[string]float64{}
		for _, in := range w.signal(t, "error_rate").Bad {
			now[in.Name] = in.N
		}
		if len(now) > 50 || now["gone-00"] == 0 || now["gone-63"] != 0 {
			t.Errorf("%d instances are remembered, with %v of the best and %v of the least known", len(now), now["gone-00"], now["gone-63"])
		}
		for _, in := range w.reader.instances {
			if !near(now[in], 2*36000, 0.02) {
				t.Errorf("%s: %v requests, want two hours'", in, now[in])
			}
		}
	})
}

// TestAValueIsLearnedFromOneHourAtATime: a query with one value for both releases brings six hours along.
func TestAValueIsLearnedFromOneHourAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := still(t)
		w.cfg = parse(t, "targets: [a:1, b:1, c:1], signals: {queue: {query: queue_length, compare: true}}")
		w.begin(t)
		time.Sleep(2 * time.Minute)
		w.l.Stop()
		if l := w.of(shop()); l.Seconds != 3600 {
			t.Errorf("learned from %v s, want one hour", l.Seconds)
		}
		for _, m := range w.signal(t, "queue").Levels {
			if m.N > 61 {
				t.Errorf("learned from %v minutes of %s, want those of one hour", m.N, m.Name)
			}
		}
		if len(w.signal(t, "queue").Levels) != 3 {
			t.Errorf("levels %+v", w.signal(t, "queue").Levels)
		}
	})
}

// TestASlowHourIsNotLearnedFrom: a hard stop on response times tells a sick hour as one on errors does.
func TestASlowHourIsNotLearnedFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg, err := config.Parse("/etc/belay.yaml", []byte(`{proxies: {edge: {listen: "127.0.0.1:1", slots: {blue: "a:1", green: "b:1"}}}, services: {shop: {rollout: {proxy: edge}, hard_stops: {response_time: 1s}}}}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		w.change(func() { w.cfg = cfg })
		for i := range 2 * 720 {
			fast := 100.0
			if i >= 200 && i < 224 { // two minutes of the first hour
				fast = 50
			}
			w.memory.Add(time.Now(), []belay.Sample{{Signal: "response_time", Kind: belay.KindHistogram, Instance: "blue", N: 100, LE: []float64{0.5, 1}, Count: []float64{fast - 10, fast}}})
			time.Sleep(5 * time.Second)
		}
		time.Sleep(3 * time.Minute)
		w.l.Stop()
		if got := w.counted(t); got != "learned 1, quiet 1, sick 1" {
			t.Errorf("hours: %s, want the slow one left out", got)
		}
	})
}
