package config

// Unplaced is c without where it was written, for comparing what files say.
func Unplaced(c *Config) *Config {
	out := *c
	out.places = nil
	return &out
}
