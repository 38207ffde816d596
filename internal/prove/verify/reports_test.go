package verify

import (
	"testing"

	"github.com/belaydev/belay"
)

func TestReports(t *testing.T) {
	r := belay.Release{Version: "1.4.2", Commit: "0a1b2c3d4e5f60718293", Digest: "sha256:abc"}
	for text, want := range map[string]bool{
		"1.4.2": true, "v1.4.2": true, " 1.4.2\n": true, "sha256:abc": true, "0a1b2c3": true, "0a1b2c3d4e5f60718293": true,
		"": false, "1.4.20": false, "1.4": false, "0a1b": false, "sha256:abd": false, "v": false, "version 1.4.2": false,
	} {
		if got := reports(r, text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if reports(belay.Release{}, "") || reports(belay.Release{}, "1") || !reports(belay.Release{Version: "v2"}, "2") || reports(belay.Release{Version: "vanilla"}, "anilla") {
		t.Error("odd versions")
	}
}
