package rival

import "github.com/belaydev/belay/internal/learn/backtest/usual"

// product is one of the usual products' rules. They look at the deployment only, not at what was before.
type product struct{ usual.Rule }

// Observe takes a tick.
func (p product) Observe(v *View) bool {
	return v.T > 0 && p.Rule.Observe(v.T, usual.Counts{N: v.CN, X: v.CX}, usual.Counts{N: v.BN, X: v.BX})
}

// Windows and limits of the products' documented examples.
const (
	interval     = 60.0
	failureLimit = 3
	threshold    = 5
	kayentaLook  = 600.0
)

// Products are the rules of Argo Rollouts, Flagger and Kayenta on error rates.
func Products() []Entry {
	return []Entry{
		entry("argo95", "Argo Rollouts: success >= 95 % each minute, failureLimit 3", func(Facts) Rule {
			return product{usual.NewArgo(0.95, failureLimit, interval)}
		}),
		entry("argo99", "Argo Rollouts: success >= 99 % each minute, failureLimit 3", func(Facts) Rule {
			return product{usual.NewArgo(0.99, failureLimit, interval)}
		}),
		entry("flagger5", "Flagger: success >= 99 % each minute, threshold 5", func(Facts) Rule {
			return product{usual.NewFlagger(0.99, threshold, interval)}
		}),
		entry("flagger1", "Flagger: success >= 99 % each minute, threshold 1, its default", func(Facts) Rule {
			return product{usual.NewFlagger(0.99, 1, interval)}
		}),
		entry("kayenta-end", "Kayenta, one value a minute, one look at the end", func(f Facts) Rule {
			return product{usual.NewKayenta(f.Length)}
		}),
		entry("kayenta-10m", "Kayenta, one value a minute, a look every 10 minutes", func(Facts) Rule {
			return product{usual.NewKayenta(kayentaLook)}
		}),
	}
}
