package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	belay "github.com/belaydev/belay"
)

// damageError is what SQLite's own check found wrong in the file.
type damageError struct{ found string }

func (d *damageError) Error() string { return d.found }

// explain turns an error of the driver into a sentence for the person who must act. An error that is already
// one, or that tells of a cancelled context, passes with what was being done.
func explain(path, doing string, err error) error {
	if _, ok := errors.AsType[*belay.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if d, ok := errors.AsType[*damageError](err); ok {
		return corrupt(path, doing, d)
	}
	if errors.Is(err, fs.ErrPermission) {
		return belay.Errorf(belay.CodeUnavailable, "%s database %s: %w", doing, path, err).
			WithNext("let the user who runs belay read and write the file and its folder")
	}
	e, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return fmt.Errorf("%s in database %s: %w", doing, path, err)
	}
	switch e.Code() & 0xff { // the primary code
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return corrupt(path, doing, err)
	case lib.SQLITE_FULL:
		return belay.Errorf(belay.CodeUnavailable, "%s in database %s: %w", doing, path, err).
			WithNext("free space on the disk; nothing of this was stored")
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_PERM:
		return belay.Errorf(belay.CodeUnavailable, "%s in database %s: %w", doing, path, err).
			WithNext("let the user who runs belay read and write the file and its folder")
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return belay.Errorf(belay.CodeUnavailable, "%s in database %s: another program has held it for %s: %w", doing, path, busyTimeout, err).
			WithNext("close other programs that have the file open")
	case lib.SQLITE_IOERR:
		return belay.Errorf(belay.CodeUnavailable, "%s in database %s: %w", doing, path, err).
			WithNext("look at the disk (the system log has the cause)")
	}
	return fmt.Errorf("%s in database %s: %w", doing, path, err)
}

func corrupt(path, doing string, err error) error {
	return belay.Errorf(belay.CodeUnavailable, "%s database %s: the file is damaged or is no database: %w", doing, path, err).
		WithNext("move it away together with its -wal and -shm files and start belay with a backup in its place, or without one " +
			"(history is then empty and the next deployment sets what is stable); sqlite3's .recover may save what is in the damaged file")
}

func notFound(what, id string) error {
	return belay.Errorf(belay.CodeNotFound, "there is no %s %q", what, id)
}
