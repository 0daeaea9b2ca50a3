//go:build nightly

package epoch

import "testing"

// All scenes in the exact form.
func TestModelNightly(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) { s.run(t, true) })
	}
}

// Larger ones: descendants of two siblings, three siblings at once, two liars with three. Those
// with the most states send at once.
func TestLargerModels(t *testing.T) {
	for _, s := range []scene{
		{name: "two liars, three siblings", split: true, honest: 2, records: []plan{{-1, abcL, 3}, {0, abcL, 3}, {0, []int{0, 1, 2}, 3}, {0, []int{0, 1, 3}, 3}, {1, abcL, 3}, {3, []int{0, 1, 3}, 3}}},
		{name: "descendants of both", split: true, honest: 3, records: []plan{{-1, abcL, 2}, {0, abL, 2}, {0, bcL, 2}, {1, abL, 2}, {2, bcL, 2}}},
		{name: "all must sign, three siblings", honest: 3, records: []plan{{-1, abcL, 4}, {0, abcL, 4}, {0, abL, 3}, {0, []int{0, 1, 2}, 3}, {2, abL, 3}}, lower: true},
		{name: "three siblings, a descendant", honest: 3, records: []plan{{-1, abcL, 2}, {0, abL, 2}, {0, bcL, 2}, {0, acL, 2}, {1, abL, 2}}},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(t, s.split) })
	}
}
