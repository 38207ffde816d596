package rival

// Rule watches one deployment and says when it would take it back. It is asked no more after that.
type Rule interface {
	Observe(v *View) bool
}

// Facts are what a rule may know of a cell. What it knows of the present deployment, oracles aside, it must learn
// from the ticks.
type Facts struct {
	Rate, Share float64 // requests a second of both sides; share of the candidate as configured
	Usual, Bad  float64 // shares of errors of the old and of the new release; Bad is for oracles
	Onset       float64 // for oracles
	Clump       float64 // size of the clumps in which errors come, 1 when independent; for what is wrong about it on purpose
	Tick        float64
	Length      float64
	Alpha       float64 // accepted chance of a false rollback over the whole watch
}

// Entry is a rule by name.
type Entry struct {
	Name  string
	What  string  // in a few words
	Alpha float64 // false rollbacks over a watch that it states or is held to
	New   func(Facts) Rule
	Past  bool // it reads the history too
}

// held is the accepted share of false rollbacks over a watch where a rule states none.
const held = 0.01

func entry(name, what string, begin func(Facts) Rule) Entry {
	return Entry{Name: name, What: what, Alpha: held, New: begin}
}

// stating is the same rule, which itself states that share of false rollbacks.
func (e Entry) stating(alpha float64) Entry {
	e.Alpha = alpha
	return e
}

// remembering is the same rule, which reads the history too.
func (e Entry) remembering() Entry {
	e.Past = true
	return e
}
