package decide

import (
	"testing"
	"time"
)

// What a wait adds up: who cuts the links again and again, starts the node anew, or sets its clock back, puts an alarm off by a day at most.
func TestWait(t *testing.T) {
	begin := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		there func(n int) bool // at the tick of second n
		ticks int
		over  bool
	}{
		"somebody is there":                {func(int) bool { return true }, 599, false},
		"and does not tell":                {func(int) bool { return true }, 600, true},
		"links are cut again and again":    {func(n int) bool { return n%300 > 2 }, 608, true},
		"there half of the time, too soon": {func(n int) bool { return n%2 == 0 }, 1199, false},
		"there half of the time":           {func(n int) bool { return n%2 == 0 }, 1200, true},
		"nobody is there":                  {func(int) bool { return false }, 86399, false},
		"nor within a day":                 {func(int) bool { return false }, 86400, true},
	} {
		w := wait{first: begin, last: begin}
		for n := 1; n <= c.ticks; n++ {
			if w.over() {
				t.Fatalf("%s: it is over after %d s", name, n-1)
			}
			w = w.after(begin.Add(time.Duration(n)*time.Second), c.there(n))
		}
		if w.over() != c.over {
			t.Errorf("%s: over %t after %d s, %s of them heard", name, w.over(), c.ticks, w.heard)
		}
	}
	later := begin.Add(23 * time.Hour)
	if w := waitOf(wait{first: begin}.row(), later); !w.first.Equal(begin) || w.heard != 0 || w.over() || !w.after(begin.Add(24*time.Hour), false).over() {
		t.Errorf("read back it is %+v", w)
	}
	if w := waitOf(nil, later); !w.first.Equal(later) || w.over() {
		t.Errorf("read back from a row of a version before it is %+v", w)
	}
	w := wait{first: begin, last: begin}.after(begin.Add(time.Hour), true)
	if w.heard != allowsStep {
		t.Errorf("a process that stood still for an hour heard for %s", w.heard)
	}
	if w = w.after(begin.Add(-48*time.Hour), true); w.heard != allowsStep || w.over() {
		t.Errorf("a clock that was set back: %+v", w)
	}
	if w = w.after(begin.Add(-25*time.Hour), false); w.over() {
		t.Errorf("a day since it was set back is not over: %+v", w)
	}
	if w = w.after(begin.Add(-24*time.Hour), false); !w.over() {
		t.Errorf("a day since it was set back is over: %+v", w)
	}
}
