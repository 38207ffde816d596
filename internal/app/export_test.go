package app

// Named is named, for tests.
func Named(actor string) string { return named(actor) }
