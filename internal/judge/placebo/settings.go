package placebo

// Direction says which way a value gets worse.
type Direction int

// The directions.
const (
	Higher Direction = iota
	Lower
	Either
)

// Settings say how a value is judged.
type Settings struct {
	Step      float64 // seconds from one value to the next
	Watch     int     // values that the watch will have, at most MaxWatch
	Direction Direction
	MinEffect float64 // smallest relative change that matters; 0: DefaultMinEffect
	Averaged  bool    // the values of the watch are means of more readings than those of the history: that they move less says nothing
}

// Bounds on what is looked at.
const (
	MaxWatch         = 180   // steps of a watch; who watches longer takes longer steps
	MaxHistory       = 20160 // steps of history: 14 days of minutes
	MinHistory       = 40    // steps
	MinWatch         = 8     // steps of a watch that the history can be a measure for
	WatchesInHistory = 4     // as long as so many watches the history must be; else only the first part of the watch is judged
	DefaultMinEffect = 0.05
)

// The rest of the method's constants. They were chosen on labelled series of other people's services, half of which
// were kept aside to measure the result.
const (
	maxPlacebos = 300
	minPlacebos = 20
	mostMissing = 0.3 // of the values of a placebo and the time before it
	beforeSteps = 60  // steps before a start that count as the time before it
	leastSeen   = 0.4 // of the values of the history
	recentSteps = 20  // the newest steps of the history ...
	recentSeen  = 10  // ... and how many of these must have a value

	profileDays  = 5
	profileWeeks = 3
	sharpness    = 6 // weights of forecasts fall with this power of their error
	effectShare  = 1.7

	clipLong, clipShort, clipVariance, clipRough = 4, 40, 4, 4

	unitQuantile = 0.8
	unitKnots    = 12 // horizons at which units are computed; linear in between
	tailQuantile = 0.9
	inverseIndex = 0.25 // p falls with the fourth power of a statistic ...
	perWatch     = 1.0  // ... more slowly by 1/(placebo watches side by side) ...
	perDay       = 0.3  // ... and while a whole day has not been seen
	priorWeight  = 4    // of this, in tail exceedances that are as good as independent
	families     = 2    // as which the six tested families count

	flatLeast = 5 // steps; a shorter run of equal values is nothing

	day = 86400.0
)

// class is how coarse the steps are. What matters differs: at one value an hour a single value counts, at one a minute
// a blip of three is what restarts look like.
type class int

const (
	fine   class = iota // less than 5 minutes
	middle              // less than an hour
	coarse
)

func classOf(step float64) class {
	switch {
	case step < 300:
		return fine
	case step < 3600:
		return middle
	}
	return coarse
}

// levels are over how many values the level before a start is taken.
func (c class) levels() []int { return [][]int{{5, 15, 60}, {3, 6, 12}, {2, 6, 24}}[c] }

// smoothing are the half widths by which daily profiles are smoothed.
func (c class) smoothing() []int { return [][]int{{0, 2, 7, 15}, {0, 1, 3}, {0, 1}}[c] }

// windows are the lengths of the statistics of a family.
func (c class) windows(f Family) []int {
	switch f {
	case Short:
		return [][]int{nil, {2, 3, 5}, {1, 2, 3, 5}}[c]
	case Long:
		return []int{8, 12, 20, 30, 45, 60, 90, 120, 180}
	case Median:
		return [][]int{{7, 9, 15, 25}, {5, 9, 15, 25}, {5, 9, 15, 25}}[c]
	case Variance:
		return [][]int{{15, 30, 60, 120}, {8, 15, 30, 60, 120}, {8, 15, 30, 60, 120}}[c]
	case Rough:
		return [][]int{{15, 30, 60}, {8, 15, 30, 60}, {8, 15, 30, 60}}[c]
	case Flat, None, familyCount:
	}
	return nil
}
