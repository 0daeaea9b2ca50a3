package circle

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/outbox"
)

// The largest vault statement is one note with the longest signatures of all operators.
func TestWholeFitsANote(t *testing.T) {
	a := charter.Accepted{Signatures: map[string][]byte{}}
	for i := range statement.MaxOperators {
		a.Signatures[fmt.Sprintf("%02d%s", i, strings.Repeat("x", 62))] = bytes.Repeat([]byte("A"), signet.MaxArmored)
	}
	if n := len(whole(a).Encode()) - len(a.Statement.Bytes()) + charter.MaxWhole; n > outbox.MaxNote {
		t.Errorf("it has %d bytes, a note has at most %d", n, outbox.MaxNote)
	}
}
