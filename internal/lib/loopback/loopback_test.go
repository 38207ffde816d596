package loopback_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/belaydev/belay/internal/lib/loopback"
)

// Two reservers stand for two processes: a lock belongs to the open file, not to the process.
func TestNobodyGetsAnAddressTwice(t *testing.T) {
	var a, b loopback.Reserver
	var all []string
	for range 10 {
		for _, r := range []*loopback.Reserver{&a, &b} {
			got, err := r.Reserve(t.Context(), 20)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, got...)
		}
	}
	slices.Sort(all)
	if n := len(slices.Compact(slices.Clone(all))); n != 400 {
		t.Errorf("400 addresses were reserved and only %d differ", n)
	}
	ln, err := net.Listen("tcp", all[0])
	if err != nil {
		t.Errorf("a reserved address is not free: %v", err)
	} else {
		_ = ln.Close()
	}
}

func TestAnAddressInUseIsLeftOut(t *testing.T) {
	var a loopback.Reserver
	for range 100 { // the port after a reserved one may be somebody else's
		first, err := a.Reserve(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		at, err := netip.ParseAddrPort(first[0])
		if err != nil {
			t.Fatal(err)
		}
		next := netip.AddrPortFrom(at.Addr(), at.Port()+1).String()
		ln, err := net.Listen("tcp", next)
		if err != nil {
			continue
		}
		defer ln.Close()
		second, err := a.Reserve(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if second[0] == next {
			t.Errorf("%s was given out, and somebody listens there", next)
		}
		return
	}
	t.Fatal("no two ports in a row are free")
}
