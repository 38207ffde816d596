package habit

import (
	"math"
	"slices"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/stats"
)

// Speeds learns by how much instances of one release differ in their response times. The zero value is ready.
type Speeds struct {
	names   []string
	members []speed
	le      []float64 // the bounds of which logs are the logarithms
	logs    []float64 // of the middles of the buckets, the open one last
}

// speed sums the logarithms of an instance's response times.
type speed struct{ n, sum, squares float64 }

// Add takes the histogram of one instance in one tick: cumulative counts at the bounds le, of n values.
func (s *Speeds) Add(name string, le, count []float64, n float64) {
	if n <= 0 || len(le) == 0 {
		return
	}
	i := slices.Index(s.names, name)
	if i < 0 {
		if len(s.names) >= maxInstances {
			return
		}
		i = len(s.names)
		s.names, s.members = append(s.names, name), append(s.members, speed{})
	}
	if !slices.Equal(s.le, le) {
		s.relayout(le)
	}
	m, below := &s.members[i], 0.0
	for k, log := range s.logs {
		c := n - below
		if k < len(count) {
			c = count[k] - below
			below = count[k]
		}
		m.n, m.sum, m.squares = m.n+c, m.sum+c*log, m.squares+c*log*log
	}
}

// relayout computes the logarithms of the middles of the buckets.
func (s *Speeds) relayout(le []float64) {
	s.le, s.logs = slices.Clone(le), s.logs[:0]
	below := 0.0
	for _, b := range le {
		middle := math.Sqrt(below * b)
		if below <= 0 {
			middle = b / 2
		}
		if math.IsInf(b, 1) {
			middle = 1.5 * below
		}
		s.logs = append(s.logs, math.Log(math.Max(middle, 1e-9)))
		below = b
	}
	s.logs = append(s.logs, math.Log(math.Max(1.5*below, 1e-9)))
}

// Spread returns by how much instances differ: the standard deviation between the means of the logarithms of their
// response times, an upper limit for the few instances there are.
func (s *Speeds) Spread() Spread {
	var out Spread
	var means []float64
	within := 0.0 // variance of a mean
	for _, m := range s.members {
		if m.n < fewValues {
			continue
		}
		mean := m.sum / m.n
		means = append(means, mean)
		within += math.Max(0, m.squares/m.n-mean*mean) / m.n
		out.Events += m.n
	}
	out.Instances = len(means)
	if out.Instances < 3 {
		return out
	}
	k := float64(len(means))
	center, variance := 0.0, 0.0
	for _, v := range means {
		center += v / k
	}
	for _, v := range means {
		variance += (v - center) * (v - center) / (k - 1)
	}
	within /= k
	between := math.Max(0, variance-within)
	chance := oneSided * math.Sqrt(2/(k-1))
	few := stats.VarianceLimit(k - 1)
	out.Shown = math.Sqrt(math.Max(0, between-within*chance) * few)
	out.Sigma, out.Known = math.Sqrt(between*few+within*chance), true
	return out
}

// fewValues are the response times that an instance must have shown.
const fewValues = 200

// Export returns the sums, for Import of later Speeds.
func (s *Speeds) Export() []belay.LearnedMoments {
	var out []belay.LearnedMoments
	for i, name := range s.names {
		m := s.members[i]
		out = append(out, belay.LearnedMoments{Name: name, N: m.n, Sum: m.sum, Squares: m.squares})
	}
	return out
}

// Import adds the sums of earlier Speeds, each times keep, 0 to 1.
func (s *Speeds) Import(moments []belay.LearnedMoments, keep float64) {
	for _, b := range moments {
		i := slices.Index(s.names, b.Name)
		if i < 0 {
			if len(s.names) >= maxInstances {
				continue
			}
			i = len(s.names)
			s.names, s.members = append(s.names, b.Name), append(s.members, speed{})
		}
		m := &s.members[i]
		m.n, m.sum, m.squares = m.n+keep*b.N, m.sum+keep*b.Sum, m.squares+keep*b.Squares
	}
}
