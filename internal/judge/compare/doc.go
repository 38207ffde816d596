// Package compare judges a release's bad events, or its slow ones, against what it replaces: side by side where both
// serve, against the recent past where nothing runs beside it. Its evidence stays valid however often one looks. It
// works stratum by stratum (route, region), so that a changed mix of traffic is not taken for a regression and a fault
// on one route is found; for response times it works at a fixed set of boundaries. It knows no policies and no texts.
package compare
