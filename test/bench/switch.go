package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belaydev/belay/internal/proxy/proxyclient"
	"github.com/belaydev/belay/test/bench/figure"
	"github.com/belaydev/belay/test/bench/rig"
)

// connections of closed loops: enough to keep a small machine busy.
const connections = 8

// switching measures the call that moves traffic, and counts what it costs requests that are under way.
func switching(ctx context.Context, b *bench) error {
	r, err := rig.New(ctx, b.belay, blueGreen, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	r.Controller.Stop() // the proxy alone
	if err := pause(ctx, 200*time.Millisecond); err != nil {
		return err
	}
	var call, inside, save figure.Series
	n := b.times(1000, 300)
	for i := range n {
		began := time.Now()
		c, err := r.Admin.SetWeights(ctx, weights(i), proxyclient.WeightOptions{})
		if err != nil {
			return err
		}
		call.Add(time.Since(began).Seconds())
		inside.Add(float64(c.SwitchNS) / 1e9)
		save.Add(float64(c.SaveNS) / 1e9)
	}
	b.say("   call %s p50, %s p99; inside %s p50", figure.Seconds(call.Median()), figure.Seconds(call.Quantile(0.99)), figure.Seconds(inside.Median()))
	total, lost, least, why, err := switchUnderLoad(ctx, r)
	if err != nil {
		return err
	}
	b.say("   %d requests during 100 switches, %d lost", total, lost)
	b.headline(headline{
		"switch of all traffic, until new requests go the new way", "p99 " + figure.Seconds(inside.Quantile(0.99)), "1 ms", figure.Met(inside.Quantile(0.99), 1e-3),
		"the proxy's own clock",
	})
	b.headline(headline{
		"the same as a call: HTTP, and saved and synced to disk", "median " + figure.Seconds(call.Median()), "1 ms", figure.Met(call.Median(), 1e-3),
		"p99 " + figure.Seconds(call.Quantile(0.99)) + ", of which disk " + figure.Seconds(save.Quantile(0.99)),
	})
	b.headline(headline{"requests lost in 100 switches under load", fmt.Sprintf("%d of %d", lost, total), "0", figure.Met(float64(lost), 1), fmt.Sprintf("%d connections", connections)})
	t := figure.NewTable("", "switches", "p50", "p90", "p99", "min", "max")
	for _, s := range []struct {
		name string
		of   figure.Series
	}{
		{"in the proxy, until new requests go the new way", inside},
		{"in the proxy, until it is synced to disk", save},
		{"the call, as its caller sees it", call},
	} {
		t.Row(s.name, fmt.Sprint(len(s.of)), figure.Seconds(s.of.Quantile(0.5)), figure.Seconds(s.of.Quantile(0.9)),
			figure.Seconds(s.of.Quantile(0.99)), figure.Seconds(s.of.Min()), figure.Seconds(s.of.Max()))
	}
	if why != "" {
		why = "\nThe first loss: " + why + ".\n"
	}
	b.part("Switching", `
`+"`PUT /v1/weights`"+` of `+"`belay proxy`"+`, one after the other, on one connection. Traffic moves before the file is
saved; the call answers after.

%s
Under load: %d connections request one after the other, 100 switches between two slots, each after at least 20 more
answers. Every request is counted: %d sent, %d without a whole answer 200; the least answered between two switches
was %d.
%s`, t, connections, total, lost, least, why)
	return nil
}

func weights(i int) map[string]int {
	if i%2 == 0 {
		return map[string]int{"green": 100}
	}
	return map[string]int{"blue": 100}
}

func switchUnderLoad(ctx context.Context, r *rig.Rig) (total, lost, least int64, why string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var sent, bad atomic.Int64
	var first atomic.Pointer[string]
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			c := rig.NewConn(r.Front)
			defer c.Close()
			for ctx.Err() == nil {
				err := c.Get()
				sent.Add(1)
				if err != nil {
					bad.Add(1)
					text := err.Error()
					first.CompareAndSwap(nil, &text)
				}
			}
		})
	}
	least = -1
	for i := range 100 {
		at := sent.Load()
		err = rig.Until(ctx, 10*time.Second, time.Millisecond, func() error {
			if n := sent.Load() - at; n < 20 {
				return fmt.Errorf("%d answers between two switches", n)
			}
			return nil
		})
		if err != nil {
			break
		}
		if n := sent.Load() - at; least < 0 || n < least {
			least = n
		}
		if _, err = r.Admin.SetWeights(ctx, weights(i), proxyclient.WeightOptions{}); err != nil {
			break
		}
	}
	cancel()
	wg.Wait()
	if p := first.Load(); p != nil {
		why = *p
	}
	return sent.Load(), bad.Load(), least, why, err
}
