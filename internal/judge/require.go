package judge

// Require makes a signal needed for healthy from now on. Whether a release has metrics at all is known only once
// they could be read; that comes with a tick, so that a replay of the same ticks requires at the same moment.
func (j *Judge) Require(signal string) {
	if s := j.byName[signal]; s != nil {
		s.Required = true
	}
}
