package limit

// Gauge is the newest reading of a signal that is a value, on both sides, with the state of its limits.
type Gauge struct {
	Worse    func(v, limit float64) bool // in the signal's direction
	Limit    *float64
	HardStop *float64

	Value    [2]float64 // candidate, baseline: the mean over instances
	Read     [2]bool    // Value was ever read
	Readings float64    // ticks in which the candidate was read
	Broken   bool       // by the candidate
	Shared   bool       // by the baseline too
	Stopped  bool       // the hard stop, by the candidate alone
	Since    float64    // broken and not shared since then
	Held     bool       // Since counts

	sum, n [2]float64
}

// Add takes one instance's reading of this tick.
func (g *Gauge) Add(side int, v float64) {
	g.sum[side] += v
	g.n[side]++
}

// Step closes a tick. A tick without a reading of the candidate changes nothing about its limits.
func (g *Gauge) Step(t float64) {
	fresh := g.n[0] > 0
	for side := range g.n {
		if g.n[side] > 0 {
			g.Value[side], g.Read[side] = g.sum[side]/g.n[side], true
		}
	}
	g.sum, g.n = [2]float64{}, [2]float64{}
	if !fresh {
		return
	}
	g.Readings++
	g.Broken, g.Shared = g.over(g.Limit, 0), g.over(g.Limit, 1)
	g.Stopped = g.over(g.HardStop, 0) && !g.over(g.HardStop, 1)
	switch {
	case !g.Broken || g.Shared:
		g.Held = false
	case !g.Held:
		g.Held, g.Since = true, t
	}
}

func (g *Gauge) over(limit *float64, side int) bool {
	return limit != nil && g.Read[side] && g.Worse(g.Value[side], *limit)
}

// For tells whether the limit is broken, not shared, and has been for at least wait seconds.
func (g *Gauge) For(t, wait float64) bool { return g.Held && t-g.Since >= wait }
