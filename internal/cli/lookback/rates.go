package lookback

import (
	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/screen"
	"github.com/belaydev/belay/internal/learn/backtest"
)

// Rates draws what people's labels on a list of deployments come to; nothing without labels.
func Rates(s screen.Style, list []belay.Deployment) string {
	var good, bad, falsely, missed int
	for _, d := range list {
		switch isGood, known := d.Good(); {
		case !known:
		case isGood:
			good++
			if d.TakenBack() {
				falsely++
			}
		default:
			bad++
			if !d.TakenBack() {
				missed++
			}
		}
	}
	if good+bad == 0 {
		return ""
	}
	return "\n" + s.Wrap("Listed and labelled: false rollbacks "+Rate(s, backtest.RateOf(falsely, good))+", missed "+Rate(s, backtest.RateOf(missed, bad)), 2)
}
