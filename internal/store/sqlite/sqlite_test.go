package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/belaydev/belay/internal/store/sqlite"
	"github.com/belaydev/belay/internal/store/storetest"
)

func open(t testing.TB, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "belay.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t testing.TB, dir string) storetest.Store { return open(t, dir) })
}
