// Package placebo judges one value of a service before and after a deployment, where nothing runs beside it to compare
// with. Its measure is the service's own past: it pretends deployments at hundreds of moments at which nothing was
// deployed, and asks how much worse than those the real one looks. It is pure, and knows no policies and no texts.
//
// # The method
//
// A watch is W values at equal steps. Every moment of the history that leaves room for such a watch is a placebo
// deployment; up to 300 of them, evenly spread, are used.
//
//  1. Scale (transform.go). Values are taken as they are, as logarithms or as square roots, by how their noise grows with
//     their level; a percentage near its ceiling is judged by its complement.
//  2. Forecast (forecast.go). At each start the whole watch is predicted by several simple methods, from nothing but what
//     was known then: the level of the last minutes or hours, the usual value at this time of the day (median of the last
//     5 days) or of the week (3 weeks), raw or shifted to the present level. They are averaged with weights by the
//     errors that they made on the placebos, per block of horizons. The unit of a residual is what residuals of the
//     placebos usually are, never less than the smallest change that matters.
//  3. Statistics (channel.go). Windows of several lengths at the newest residuals, in families: means (short and long),
//     medians, size of residuals (variance), size of differences (roughness), and the length of a run of equal values (a
//     line gone flat). Each is divided by its 80 % quantile over the placebos at the same horizon.
//  4. Calibration (tail.go). For each family the largest statistic over the whole watch is compared with the same maximum
//     of each placebo. Within the placebos the p-value is counted; beyond their 90 % quantile it follows a power law
//     whose index is estimated (Hill) and drawn towards a prior that is the heavier the fewer placebo watches fit behind
//     each other without overlap. Six families are tested and hang together closely: p counts for two of them.
//
// The score is -ln p, and never falls. As the p-value is that of the maximum over the whole watch, one may look at every
// step: a score of ln(1/a) is reached at any time with a chance of about a when nothing changed.
//
// # What it assumes
//
// That the moment of the deployment is exchangeable with the moments of the placebos: what happens at deployments
// whether or not the release is good (a warm-up, a restart of all instances, a marketing campaign on the same day) looks
// like a change, because it is one. The power law is a model: with a history of n placebo watches side by side a chance
// much below 1/n rests on it. Both are said in the documentation, and the rate is held by tests on series of several
// kinds.
//
// # Cost
//
// [New] does the work: tens of milliseconds and tens of megabytes for two weeks of minutes, which are given back.
// [Test.Observe] takes a few microseconds and allocates nothing.
package placebo
