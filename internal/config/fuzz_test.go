package config_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/config/mask"
)

// FuzzParse holds that no text makes the loader panic, that every refusal names problems, and that a
// configuration that is accepted survives being shown.
func FuzzParse(f *testing.F) {
	bad, err := filepath.Glob("testdata/bad/*.bad.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(goodFiles(f), bad...) {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src))
	}
	f.Fuzz(func(t *testing.T, src string) {
		c, err := config.Parse("/etc/belay/belay.yaml", []byte(src), nil)
		if err != nil {
			var problems *config.Problems
			if !errors.As(err, &problems) || len(*problems) == 0 || err.Error() == "" {
				t.Fatalf("refused without a problem: %v", err)
			}
			return
		}
		shown, err := c.YAML()
		if err != nil {
			t.Fatalf("show: %v", err)
		}
		again, err := config.Parse("/etc/belay/belay.yaml", shown, nil)
		if err != nil {
			t.Fatalf("what is shown is refused: %v\n%s", err, shown)
		}
		// What is hidden in the output is lost; all else must come back.
		if !reflect.DeepEqual(config.Unplaced(c), config.Unplaced(again)) && !bytes.Contains(shown, []byte(mask.Hidden)) {
			t.Fatalf("what is shown means something else:\n%s", shown)
		}
	})
}
