package epoch

import (
	"slices"
	"strings"
	"testing"
)

// Committees of the scenes: a, b, c are honest, l lies.
var (
	abcL = []int{0, 1, 2, 3}
	abL  = []int{0, 1, 3}
	bcL  = []int{1, 2, 3}
	acL  = []int{0, 2, 3}
)

// scenes: the first record is in force at the start.
var scenes = []scene{
	{name: "same committee", honest: 3, records: []plan{{-1, abcL, 3}, {0, abcL, 3}, {0, abcL, 3}}},
	{name: "same committee, a descendant of each", honest: 3, records: []plan{{-1, abcL, 3}, {0, abcL, 3}, {0, abcL, 3}, {1, abcL, 3}, {2, abcL, 3}}},
	{name: "different committees", honest: 3, records: []plan{{-1, abcL, 2}, {0, abL, 2}, {0, bcL, 2}}},
	{name: "different committees, a descendant", honest: 3, records: []plan{{-1, abcL, 2}, {0, abL, 2}, {0, bcL, 2}, {1, abL, 2}}},
	{name: "all must sign", honest: 3, records: []plan{{-1, abcL, 4}, {0, abcL, 4}, {0, abL, 3}, {1, []int{0, 1, 2}, 3}}, lower: true},
	{name: "a newcomer", honest: 3, records: []plan{{-1, abL, 2}, {0, acL, 2}, {0, abcL, 3}, {1, acL, 2}}},
	{name: "two liars", honest: 2, records: []plan{{-1, abcL, 3}, {0, abcL, 3}, {0, []int{0, 1, 2}, 3}, {1, []int{0, 1, 3}, 3}, {2, []int{0, 1, 2}, 3}}},
	{name: "a newcomer replaces", honest: 4, records: []plan{{-1, []int{0, 1, 2, 4}, 3}, {0, []int{0, 1, 3, 4}, 3}, {0, []int{1, 2, 3, 4}, 3}}},
	{name: "a newcomer replaces, descendant", honest: 4, records: []plan{{-1, []int{0, 1, 2, 4}, 3}, {0, []int{0, 1, 3, 4}, 3}, {0, []int{1, 2, 3, 4}, 3}, {1, []int{0, 1, 3}, 3}}},
}

// run explores a scene and wants nothing broken, and all of its states seen.
func (s scene) run(t *testing.T, split bool) {
	s.split = split
	m := newModel(t, s, "")
	m.run()
	if m.broken != "" {
		t.Errorf("%s: %s", s.name, m.broken)
	}
	t.Log(m)
}

// Every state of every scene, a party sending what it wrote at once: to send is no step then. What
// a party wrote and did not send is a message that nobody got yet.
func TestModel(t *testing.T) {
	for _, s := range scenes {
		s.run(t, false)
	}
}

// The exact form, in which a crash may come between writing and sending, of the smaller
// scenes; the nightly form takes all.
func TestModelWithSending(t *testing.T) {
	for _, i := range []int{0, 2, 4, 6} {
		scenes[i].run(t, true)
	}
}

// Rules that were tried and fail, and slips of a host: the model sees each of them, in the
// scene that is named.
func TestModelCatches(t *testing.T) {
	for mutant, where := range map[string]string{
		"move at Cert":                                "same committee",
		"one FINAL per parent":                        "same committee",
		"siblings by line":                            "same committee",
		"erase other lines":                           "same committee",
		"drop after FINAL":                            "same committee",
		"PREP for a non-child":                        "different committees, a descendant",
		"FINAL before it is durable":                  "same committee",
		"erase before the certificate is durable":     "same committee",
		"sign what the opener names":                  "different committees",
		"PREP for a non-child, by a new committee":    "a newcomer",
		"erase other lines, with other committees":    "different committees",
		"siblings by line, with other committees":     "different committees",
		"one FINAL per parent, with other committees": "different committees",
		"move at Cert, where a newcomer takes a seat": "a newcomer replaces",
	} {
		i := slices.IndexFunc(scenes, func(s scene) bool { return s.name == where })
		rule, _, _ := strings.Cut(mutant, ", ")
		for _, split := range []bool{false, true} {
			s := scenes[i]
			s.split = split
			m := newModel(t, s, rule)
			m.limit = 2e6
			m.run()
			if m.broken == "" {
				t.Errorf("%s: not caught (%v)", mutant, m)
			}
			t.Logf("%s: %s, after %d states", mutant, m.broken, m.seen.n)
		}
	}
}
