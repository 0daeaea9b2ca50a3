package decide

import (
	"bytes"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
)

func FuzzDecodeAllows(f *testing.F) {
	var all []allow
	for _, name := range []string{"acme", "bolt"} {
		s, err := intent.Decision{Charter: statement.ID{1}, Vault: statement.ID{2}, Intent: statement.ID{3}, Operator: name, Verdict: intent.Allow, Rule: RulePolicy, Created: time.Unix(1e9, 0)}.Statement(statement.Salt{1})
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, allow{s, make([]byte, 64)})
	}
	f.Add(encodeAllows(all))
	f.Add(encodeAllows(all[:1]))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := decodeAllows(in)
		if err == nil && (len(got) < 2 || !bytes.Equal(encodeAllows(got), in)) {
			t.Fatalf("%d ALLOWs, read of other bytes", len(got))
		}
	})
}
