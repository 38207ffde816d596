package health

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/belaydev/belay"
)

// Probe asks the target once. It returns within the check's timeout; a TCP, DNS or ICMP probe that is under
// way when ctx ends may use up the rest of that time.
func Probe(ctx context.Context, c Check, target string) Result {
	c = c.withDefaults()
	limited, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	start := time.Now()
	r := c.ask(limited, target)
	if !r.OK && ctx.Err() != nil {
		r = blind("stopped before it answered") // the caller ran out of time, not the target
	}
	r.Latency = time.Since(start)
	return c.checkExpiry(r, time.Now())
}

func (c Check) ask(ctx context.Context, target string) Result {
	switch c.Kind {
	case KindHTTP:
		return c.probeHTTP(ctx, target)
	case KindTCP:
		return c.probeTCP(ctx, target)
	case KindGRPC:
		return c.probeGRPC(ctx, target)
	case KindDNS:
		return c.probeDNS(ctx, target)
	case KindICMP:
		return c.probeICMP(ctx, target)
	case KindCommand:
		return c.probeCommand(ctx, target)
	}
	return blind("unknown kind of check %q", c.Kind)
}

// ProbeAll asks all at once and returns what one probe of each says, in the order given, without rise and fall
// counts: a fresh reading for a certificate.
func ProbeAll(ctx context.Context, probes []Assignment) []belay.HealthStatus {
	out := make([]belay.HealthStatus, len(probes))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16) // a command check is a process: a hundred at once would be felt
	for i, a := range probes {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			a.Rise, a.Fall = 1, 1
			l := loop{a: a, status: a.unknown()}
			l.settle(Probe(ctx, a.Check, a.Target), time.Now())
			out[i] = l.status
		})
	}
	wg.Wait()
	return out
}

func blind(format string, args ...any) Result {
	return Result{Blind: true, Detail: fmt.Sprintf(format, args...)}
}

func failed(format string, args ...any) Result {
	return Result{Detail: fmt.Sprintf(format, args...)}
}
