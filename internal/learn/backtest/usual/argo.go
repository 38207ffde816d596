package usual

// argoErrors is how many measurements in a row may end in an error: Argo Rollouts' consecutiveErrorLimit.
const argoErrors = 4

// Argo is one metric of an AnalysisRun of Argo Rollouts with "successCondition: result >= Min" and no failureCondition
// (utils/evaluate, analysis/analysis.go). The zero failureLimit is Argo's default: the first failure ends the run. It
// ends when more have failed than FailureLimit, so 3 bears three and ends at the fourth.
type Argo struct {
	Min          float64
	FailureLimit int

	failed, errors int
}

// Measure takes one measurement and tells whether the run has failed, which aborts the rollout. NaN, which is what a
// query over no traffic gives, satisfies no condition: it is a failure.
func (a *Argo) Measure(value float64) bool {
	a.errors = 0
	if !(value >= a.Min) {
		a.failed++
	}
	return a.failed > a.FailureLimit
}

// Err takes a measurement that could not be made, because the metrics could not be read. Enough of them in a row abort
// the rollout just the same.
func (a *Argo) Err() bool {
	a.errors++
	return a.errors > argoErrors
}

// ArgoRule is Argo on the success rate of the candidate, measured each Interval seconds over the time since the last
// measurement.
type ArgoRule struct {
	argo    Argo
	windows windows
}

// NewArgo watches by "success >= min", failureLimit and interval.
func NewArgo(least float64, failureLimit int, interval float64) *ArgoRule {
	return &ArgoRule{Argo{Min: least, FailureLimit: failureLimit}, windows{every: interval}}
}

// Observe takes a tick.
func (r *ArgoRule) Observe(t float64, candidate, baseline Counts) bool {
	return r.windows.add(t, candidate, baseline, func(c, _ Counts) bool { return r.argo.Measure(c.Success()) })
}
