package watch

import (
	"sync"

	"github.com/belaydev/belay"
)

// topics hands the newest state of each active deployment to its subscribers.
type topics struct {
	mu     *sync.Mutex
	latest map[string]belay.Deployment
	subs   map[string]map[chan belay.Deployment]bool
}

func newTopics() topics {
	return topics{new(sync.Mutex), map[string]belay.Deployment{}, map[string]map[chan belay.Deployment]bool{}}
}

// publish delivers d. A final state is the last thing that its subscribers receive.
func (t topics) publish(d belay.Deployment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latest[d.ID] = d
	for ch := range t.subs[d.ID] {
		select {
		case <-ch: // not read yet: replaced
		default:
		}
		ch <- d // never blocks: there is room for one, and only publish sends
	}
	if d.State.Final() {
		t.closeLocked(d.ID)
	}
}

func (t topics) closeLocked(id string) {
	for ch := range t.subs[id] {
		close(ch)
	}
	delete(t.subs, id)
	delete(t.latest, id)
}

func (t topics) closeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.latest {
		t.closeLocked(id)
	}
}

// subscribe tells whether the deployment is active; if so, the channel holds its newest state already.
func (t topics) subscribe(id string) (<-chan belay.Deployment, func(), bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, ok := t.latest[id]
	if !ok {
		return nil, nil, false
	}
	ch := make(chan belay.Deployment, 1)
	ch <- d
	if t.subs[id] == nil {
		t.subs[id] = map[chan belay.Deployment]bool{}
	}
	t.subs[id][ch] = true
	cancel := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.subs[id][ch] { // else it was closed with the final state
			delete(t.subs[id], ch)
			close(ch)
		}
	}
	return ch, cancel, true
}
