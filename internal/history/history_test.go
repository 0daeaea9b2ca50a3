package history

import (
	"strings"
	"testing"
)

// op is one operation, from call to end.
type op struct {
	call, end     int64
	asked, answer any
}

func take(token, by string) Batch {
	return Batch{Group: "g", If: []Slot{{N: 1}}, Put: []Slot{{1, by}}}
}

func count(from, to string) Batch {
	return Batch{Group: "g", If: []Slot{{0, from}}, Put: []Slot{{0, to}}}
}

// A checker that cannot fail shows nothing: each model refuses histories in which what it is for went wrong, and takes those in which it did not.
func TestModels(t *testing.T) {
	both := Batch{Group: "g", If: []Slot{{N: 0}, {N: 1}}, Put: []Slot{{0, "1"}, {1, "a"}}}
	for _, c := range []struct {
		name  string
		model Model
		right bool
		ops   []op
	}{
		{"a token is taken by one of two", Store(), true, []op{{1, 5, take("t", "a"), Done}, {2, 4, take("t", "b"), Refused}}},
		{"a token is taken twice", Store(), false, []op{{1, 5, take("t", "a"), Done}, {2, 4, take("t", "b"), Done}}},
		{"a token is refused to the first", Store(), false, []op{{1, 2, take("t", "a"), Refused}, {3, 4, take("t", "b"), Done}}},
		{"an unknown take happened", Store(), true, []op{{1, 9, take("t", "a"), Unknown}, {2, 3, take("t", "b"), Refused}, {4, 5, Look{"g", 1}, "a"}}},
		{"an unknown take did not happen", Store(), true, []op{{1, 9, take("t", "a"), Unknown}, {2, 3, take("t", "b"), Done}, {4, 5, Look{"g", 1}, "b"}}},
		{"an unknown take happens after its bound", Store(), false, []op{{1, 3, take("t", "a"), Unknown}, {4, 5, Look{"g", 1}, ""}, {6, 7, Look{"g", 1}, "a"}}},
		{"an unknown take is undone", Store(), false, []op{{1, Forever, take("t", "a"), Unknown}, {2, 3, Look{"g", 1}, "a"}, {4, 5, Look{"g", 1}, ""}}},
		{"an acknowledged write is lost", Store(), false, []op{{1, 2, count("", "1"), Done}, {3, 4, Look{"g", 0}, ""}}},
		{"a limit is counted on an old count", Store(), false, []op{{1, 2, count("", "1"), Done}, {3, 4, count("1", "2"), Done}, {5, 6, count("1", "2b"), Done}}},
		{"a refused batch was written", Store(), false, []op{{1, 2, count("", "1"), Done}, {3, 4, count("", "2"), Refused}, {5, 6, Look{"g", 0}, "2"}}},
		{"half a batch was written", Store(), false, []op{{1, 9, both, Unknown}, {2, 3, Look{"g", 1}, "a"}, {4, 5, Look{"g", 0}, ""}}},
		{"what nobody wrote is read", Store(), false, []op{{1, 2, Look{"g", 0}, "ghost"}}},
		{"a look is older than the last", Store(), false, []op{{1, 9, count("", "1"), Unknown}, {2, 3, Look{"g", 0}, "1"}, {4, 5, Look{"g", 0}, ""}}},
		{"groups stand apart", Store(), true, []op{{1, 2, count("", "1"), Done}, {3, 4, Look{"h", 0}, ""}}},

		{"owners follow one another", Fencing(), true, []op{{1, 2, Reign{"s", 5, false}, nil}, {3, 6, Reign{"s", 5, true}, nil}, {4, 5, Reign{"s", 8, false}, nil}, {7, 8, Reign{"s", 8, true}, nil}}},
		{"an owner of before writes", Fencing(), false, []op{{1, 2, Reign{"s", 5, false}, nil}, {3, 4, Reign{"s", 8, false}, nil}, {5, 6, Reign{"s", 5, true}, nil}}},
		{"who never owned it writes", Fencing(), false, []op{{1, 2, Reign{"s", 5, false}, nil}, {3, 4, Reign{"s", 6, true}, nil}}},
		{"a token comes again", Fencing(), false, []op{{1, 2, Reign{"s", 5, false}, nil}, {3, 4, Reign{"s", 5, false}, nil}}},

		{"an intent's life", Life(), true, []op{
			{1, 2, Told{"i", 0, 0}, nil}, {3, 4, Seen{"i", 0, true, 0, ""}, nil}, {3, 4, Seen{"i", 1, false, 0, ""}, nil}, {5, 6, Told{"i", 1, 1}, nil},
			{7, 8, Seen{"i", 1, true, 3, ""}, nil}, {9, 10, Seen{"i", 1, true, 3, "s"}, nil}, {9, 10, Seen{"i", 0, true, 1, ""}, nil}, {11, 12, Seen{"i", 0, true, 3, "s"}, nil},
		}},
		{"an acknowledged intent is lost", Life(), false, []op{{1, 2, Told{"i", 0, 0}, nil}, {3, 4, Seen{"i", 0, false, 0, ""}, nil}}},
		{"an acknowledged vote is lost", Life(), false, []op{{1, 2, Told{"i", 0, 2}, nil}, {3, 4, Seen{"i", 0, true, 1, ""}, nil}}},
		{"a signature that was shown is lost", Life(), false, []op{{1, 2, Seen{"i", 0, true, 1, "s"}, nil}, {3, 4, Seen{"i", 0, true, 1, ""}, nil}}},
		{"a replica shows less than the one before", Life(), false, []op{{1, 2, Seen{"i", 2, true, 3, ""}, nil}, {3, 4, Seen{"i", 2, true, 1, ""}, nil}}},
		{"an intent is signed twice", Life(), false, []op{{1, 2, Seen{"i", 0, true, 1, "s"}, nil}, {3, 4, Seen{"i", 1, true, 1, "z"}, nil}}},
		{"two intents are signed", Life(), true, []op{{1, 2, Seen{"i", 0, true, 1, "s"}, nil}, {3, 4, Seen{"j", 1, true, 1, "z"}, nil}}},
	} {
		h := New()
		for i, o := range c.ops {
			h.Add(i, o.call, o.end, o.asked, o.answer)
		}
		err := h.Check(c.model)
		if c.right != (err == nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && !strings.Contains(err.Error(), "no order explains") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A part that is wrong is found among many, and shown.
func TestTheWrongPartIsShown(t *testing.T) {
	h := New()
	for i, g := range []string{"a", "b", "c"} {
		at := h.Now()
		b := Batch{Group: g, Put: []Slot{{0, "1"}}}
		h.Add(i, at, h.Now(), b, Done)
		at = h.Now()
		h.Add(i, at, h.Now(), Look{g, 0}, map[string]string{"a": "1", "b": "2", "c": "1"}[g])
	}
	if err := h.Check(Store()); err == nil || !strings.Contains(err.Error(), "group b: no order") || h.Len() != 6 {
		t.Errorf("%v, %d", err, h.Len())
	}
}
