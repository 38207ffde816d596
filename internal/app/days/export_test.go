package days

// Wait waits until all that was begun is read, for tests.
func Wait(r *Reader) { r.wg.Wait() }
