package metric_test

import (
	"strings"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric"
)

func TestCheckTargetRefusesMetadata(t *testing.T) {
	for _, address := range []string{"169.254.169.254:80", "169.254.169.254:80/latest", "http://169.254.169.254/latest/meta-data",
		"[fe80::1]:80", "http://[fe80::1%25eth0]:80/", "[::ffff:169.254.169.254]:80", "100.100.100.200:80"} {
		if err := metric.CheckTarget(address); belay.CodeOf(err) != belay.CodeInvalid || !strings.Contains(err.Error(), "link-local") {
			t.Errorf("%s: %v; want a refusal", address, err)
		}
	}
	for _, address := range []string{"127.0.0.1:8000", "[::1]:8000", "shop:8000", "http://10.0.0.1:8000/metrics"} {
		if err := metric.CheckTarget(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}
