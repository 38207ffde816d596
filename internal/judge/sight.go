package judge

import (
	"fmt"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/phrase"
)

// source is what is known of one source of facts.
type source struct {
	name   string
	ok     bool
	detail string
	since  float64 // not readable since then
}

// sight follows which sources can be read.
type sight struct {
	sources []*source
}

func (g *sight) take(t float64, statuses []belay.SourceStatus) {
	for _, st := range statuses {
		s := g.find(st.Source)
		if s.ok && !st.OK {
			s.since = t
		}
		s.ok, s.detail = st.OK, st.Detail
	}
}

func (g *sight) find(name string) *source {
	for _, s := range g.sources {
		if s.name == name {
			return s
		}
	}
	s := &source{name: name, ok: true}
	g.sources = append(g.sources, s)
	return s
}

// dark names the sources that could not be read for at least grace seconds, and why.
func (g *sight) dark(t, grace float64) []string {
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

// silent says that a candidate that had samples has none any more while nothing else can tell how it is. Counts of
// zero are samples: a release without traffic is not silent.
func (j *Judge) silent() string {
	newest, had := j.newestSample()
	if !had || j.last-newest < j.policy.StaleAfter || j.health.Answers() {
		return ""
	}
	return fmt.Sprintf("no sample of %s for %s", j.candidate(), phrase.Seconds(j.last-newest))
}

func (j *Judge) newestSample() (newest float64, had bool) {
	for _, s := range j.signals {
		if s.newest >= 0 && (!had || s.newest > newest) {
			newest, had = s.newest, true
		}
	}
	return newest, had
}
