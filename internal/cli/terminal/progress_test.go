package terminal_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belaydev/belay/internal/cli/terminal"
)

func onTerminal(errs io.Writer, tty bool) *terminal.Terminal {
	return &terminal.Terminal{Err: errs, Getenv: func(string) string { return "" }, Measure: func() (int, int, bool) { return 80, 24, tty }}
}

func TestCountingIsShownOnceItTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs bytes.Buffer
		step, end := onTerminal(&errs, true).Counting("replaying")
		step(1, 10)
		if errs.Len() > 0 {
			t.Errorf("shown at once: %q", errs.String())
		}
		time.Sleep(3 * time.Second)
		step(5, 10)
		step(6, 10) // too soon to be drawn again
		if got := errs.String(); !strings.Contains(got, "replaying ███████████████··············· 5 of 10, about 3s left") || strings.Contains(got, "6 of 10") {
			t.Errorf("shown %q", got)
		}
		end()
		if !strings.HasSuffix(errs.String(), "\r\x1b[K") {
			t.Errorf("the line is left behind: %q", errs.String())
		}
	})
}

func TestNothingIsCountedInAPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs bytes.Buffer
		step, end := onTerminal(&errs, false).Counting("replaying")
		time.Sleep(time.Minute)
		step(5, 10)
		end()
		if errs.Len() > 0 {
			t.Errorf("written %q", errs.String())
		}
	})
}

func TestReadingIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs bytes.Buffer
		in := onTerminal(&errs, true).Progress(io.NopCloser(strings.NewReader(strings.Repeat("x", 100))), "a.jsonl", 200)
		time.Sleep(time.Second)
		if _, err := io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
		_ = in.Close()
		if got := errs.String(); !strings.Contains(got, "a.jsonl: 50 %") {
			t.Errorf("shown %q", got)
		}
	})
}
