// Package stats is the mathematics of judging: exact, always-valid tests of counts, as pure functions and small
// pure states. It knows nothing of signals, releases or verdicts; package judge gives the numbers their meaning.
//
// The central object is the e-process: a number that starts at 1 and that, as long as nothing is wrong, is expected
// not to grow, however often and whenever one looks at it. By Ville's inequality the chance that it ever reaches
// 1/alpha is then at most alpha. That is why belay may look after every second without paying in false alarms.
//
// All evidence is kept as natural logarithms.
package stats
