package checks

import "github.com/belaydev/belay"

// source is what is known of one source of facts.
type source struct {
	name   string
	ok     bool
	detail string
	since  float64 // not readable since then
}

// Sources follows which sources can be read.
type Sources struct {
	sources []*source
}

// Take takes the statuses of the tick at t.
func (g *Sources) Take(t float64, statuses []belay.SourceStatus) {
	for _, st := range statuses {
		s := g.find(st.Source)
		if s.ok && !st.OK {
			s.since = t
		}
		s.ok, s.detail = st.OK, st.Detail
	}
}

func (g *Sources) find(name string) *source {
	for _, s := range g.sources {
		if s.name == name {
			return s
		}
	}
	s := &source{name: name, ok: true}
	g.sources = append(g.sources, s)
	return s
}

// Dark names the sources that could not be read for at least grace seconds, and why.
func (g *Sources) Dark(t, grace float64) []string {
	var all []string
	for _, s := range g.sources {
		if s.ok || t-s.since < grace {
			continue
		}
		text := s.name
		if s.detail != "" {
			text += ": " + s.detail
		}
		all = append(all, text)
	}
	return all
}
