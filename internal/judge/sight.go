package judge

import (
	"fmt"

	"github.com/belaydev/belay/internal/judge/phrase"
)

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
