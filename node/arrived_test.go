package node

import (
	"testing"
	"time"
)

// A hand-over waits until what was sent is acknowledged, and for who acknowledges nothing a moment.
func TestArrived(t *testing.T) {
	var since time.Time
	now := time.Now()
	for _, c := range []struct {
		settled bool
		after   time.Duration
		want    bool
	}{{false, 0, false}, {false, arriveWait - 1, false}, {true, arriveWait - 1, true}, {false, arriveWait, true}} {
		if got := arrived(c.settled, &since, now.Add(c.after)); got != c.want {
			t.Errorf("settled %v after %v: %v", c.settled, c.after, got)
		}
	}
}
