package pulse

import (
	"testing"
	"time"
)

// A charter that shortens the heartbeat must not silence who lives.
func TestShorterHeartbeatIsTaken(t *testing.T) {
	every := time.Hour
	p := &Pulse{cfg: Config{Every: func() time.Duration { return every }}, spent: map[string]time.Time{}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 3 { // a start, a vault's key, another start
		p.spend(now, "bolt")
		now = now.Add(time.Minute)
	}
	every = time.Minute // the amendment is in force
	lost := 0
	for range 60 {
		now = now.Add(every)
		if !p.room(now, "bolt") {
			lost++
			continue
		}
		p.spend(now, "bolt")
	}
	if lost > 0 {
		t.Fatalf("%d heartbeats in a row of a node that lives were refused: silent for %d intervals", lost, lost)
	}
}
