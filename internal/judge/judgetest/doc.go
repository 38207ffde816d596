// Package judgetest is a script language for verdict tests: what a service showed, second by second, and which
// verdict is expected when. Scripts are what a person writes to check a policy; they are run by replaying ticks
// through package judge. It is not a simulator: nothing in it is random.
//
// A script is made of lines; # begins a comment. All series begin at 0 s unless they say "from".
//
//	policy candidate 2.1                          name a release; also: baseline NAME
//	policy min_time 10s                           also min_health_time, warmup, deadline, stale_after, blind_after,
//	                                              false_rollback_rate, pass_rate
//	policy error_rate threshold 5% for 10s        fields of a signal: threshold, for, hard_stop, hard_stop_min, margin,
//	                                              smallest_change, harm, quantile, weight, dispersion, compare, required,
//	                                              direction, unit; "off" removes it
//	policy cpu_usage gauge threshold 80%          a new signal: its kind comes first (events, histogram, gauge)
//
//	candidate error_rate 5/100 x30                5 bad of 100 in each of 30 seconds
//	baseline error_rate {POST /pay} from -300s 0/50 x330
//	candidate error_rate 0/10 x10 _ x5 3/10 x15   segments follow each other; _ is no sample at all
//	candidate response_time le=0.1,0.5,1 90,110,120/121 x30
//	candidate cpu_usage =41% x30
//	health candidate web healthy x10 unhealthy[database] x20
//	health baseline web healthy x8 failing x2 unhealthy x20   failing: the newest probe failed, not yet often enough
//	source metrics ok x10 down x20
//
//	expect at 30s regressed error_rate            verdict, and culprits if any are named
//	expect by 20s regressed                       reached then or earlier
//	expect never regressed                        in no second of the script
//	expect at 30s insufficient                    also healthy, blind, none
//	expect reason "(31 of 392)"                   of the newest expectation's card; also missing, note, blind, decided
package judgetest
