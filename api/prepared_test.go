package api

import (
	"strings"
	"testing"
)

// Whoever made a vault and stopped there is told by doctor that it has neither backups nor an SOS plan, with the command to run next. A vault without a key is not spoken of, nor
// one of which the node holds no share.
func unprepared(t *testing.T, f *matrix) {
	s := sheet{}
	f.operator(0).checkPrepared(s.add)
	s.want(t, "SOS of reserve", "warn", "it has no SOS plan: once fewer than 2 of its operators can sign, nobody brings back what it holds") // treasury has one
	for _, vault := range []string{"treasury", "reserve"} {
		s.want(t, "backups of "+vault, "warn", "the charter lists no place for a backup of operator-0, operator-")
	}
	for name, c := range s {
		if !strings.Contains(c.Next, "`ostraka charter amend FOLDER`") {
			t.Errorf("%s: next: %s", name, c.Next)
		}
	}
	if len(s) != 3 {
		t.Errorf("%d checks: %v", len(s), s)
	}
	s = sheet{}
	if f.operator(3).checkPrepared(s.add); len(s) != 0 {
		t.Errorf("of a vault without a key: %v", s)
	}
}
