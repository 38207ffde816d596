//go:build story

package story

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
)

var errNotYet = errors.New("not yet")

func readPid(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

// show runs "belay show".
func (w *world) show(id string) report {
	w.t.Helper()
	out, errOut, code := w.run("show", id, "--output", "json")
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		w.t.Fatalf("belay show %s: exit code %d, %v: %s", id, code, err, errOut)
	}
	return r
}
