package sos

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata anew")

// Updating says so to the tests outside the package.
func Updating() bool { return *update }

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != got {
		t.Errorf("%s differs, %v:\n%s", file, err, got)
	}
}

// The whole machine as a table: every state, every event.
func TestMoves(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "%-10s", "")
	for _, name := range columnNames {
		fmt.Fprintf(&b, " %-9s", name)
	}
	b.WriteString("\n")
	for s := Armed; int(s) < numStates; s++ {
		fmt.Fprintf(&b, "%-10s", s)
		for c := range numColumns {
			m := moves[s][c]
			if m.do == nil {
				t.Fatalf("%s × %s is not specified", s, columnNames[c])
			}
			fmt.Fprintf(&b, " %-9s", m.name)
		}
		b.WriteString("\n")
	}
	golden(t, "moves.txt", b.String())
}

// The clock, reading by reading.
func TestClock(t *testing.T) {
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	at := func(boot byte, wall, mono time.Duration) Reading {
		return Reading{[16]byte{boot}, noon.Add(wall), time.Hour + mono}
	}
	const s, h = time.Second, time.Hour
	for _, c := range []struct {
		name string
		next []Reading
		want time.Duration
	}{
		{"at first sight nothing is credited", nil, 0},
		{"thirty seconds", []Reading{at(1, 30*s, 30*s)}, 30 * s},
		{"a nanosecond", []Reading{at(1, 1, 1)}, 1},
		{"two readings", []Reading{at(1, 30*s, 30*s), at(1, 55*s, 55*s)}, 55 * s},
		{"a minute at most", []Reading{at(1, h, h)}, 60 * s},
		{"the wall is set forward", []Reading{at(1, 1000*h, 30*s)}, 30 * s},
		{"the wall is set back", []Reading{at(1, -1000*h, 30*s)}, 0},
		{"back and forth earns nothing more", []Reading{at(1, -h, 30*s), at(1, 60*s, 60*s)}, 30 * s},
		{"suspended: the monotonic clock stands", []Reading{at(1, 10*h, 0), at(1, 10*h+30*s, 30*s)}, 30 * s},
		{"the monotonic clock races", []Reading{at(1, 20*s, 10*h)}, 20 * s},
		{"the monotonic clock goes back: a copy of the machine", []Reading{at(1, 30*s, -30*s)}, 0},
		{"another boot", []Reading{at(2, 30*s, 30*s)}, 0},
		{"a boot whose clock is ahead", []Reading{at(2, h, 100*h), at(2, h+30*s, 100*h+30*s)}, 30 * s},
		{"back to the first boot", []Reading{at(2, 30*s, 0), at(1, 60*s, 60*s)}, 0},
	} {
		k := StartClock(at(1, 0, 0))
		for _, r := range c.next {
			k = k.Tick(r)
			again, err := DecodeClock(k.Bytes())
			if err != nil || string(again.Bytes()) != string(k.Bytes()) || again != k {
				t.Errorf("%s: decoded %+v, %v", c.name, again, err)
			}
		}
		if k.Credited != c.want || !k.FirstSeen.Equal(noon) {
			t.Errorf("%s: %s credited, want %s", c.name, k.Credited, c.want)
		}
		if a := k.Again(at(3, h, h)); a.Credited != 0 || !a.FirstSeen.Equal(noon) || a.Tick(at(3, h+30*s, h+30*s)).Credited != 30*s {
			t.Errorf("%s: counted anew, it is %+v", c.name, a)
		}
	}
	// Go's own monotonic reading inside a time.Time must not stand for the wall.
	now := time.Now()
	set := Reading{Wall: now, Mono: 0}
	k := StartClock(set)
	if k.LastWall != k.LastWall.Round(0) {
		t.Error("the clock keeps Go's monotonic reading")
	}
}

func FuzzClock(f *testing.F) {
	f.Add(Clock{FirstSeen: time.Unix(1, 2), Credited: 3, Boot: [16]byte{4}, LastWall: time.Unix(5, 6), LastMono: 7}.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if c, err := DecodeClock(raw); err == nil && string(c.Bytes()) != string(raw) {
			t.Errorf("%x became %x", raw, c.Bytes())
		}
	})
}
