package state

import "testing"

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"version":1,"proxy":"edge","generation":3,"slots":[{"name":"blue","address":"a:1","weight":100}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data)
		if (s == nil) == (err == nil) {
			t.Fatal("neither state nor error, or both")
		}
	})
}
