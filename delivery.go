package belay

import "time"

// Delivery is one event that is to be told on one notification channel. It is stored in the transaction that
// stores the event, so that no state change goes untold.
type Delivery struct {
	ID      int64     `json:"id"`
	Channel string    `json:"channel"`
	Event   Event     `json:"event"`
	Attempt int       `json:"attempt"` // the number of the attempt to make now, from 1
	Created time.Time `json:"created"`
}

// Backlog is what waits to be told on one channel.
type Backlog struct {
	Pending int       `json:"pending"`
	Due     time.Time `json:"due,omitzero"` // the earliest next attempt; zero when nothing waits
}
