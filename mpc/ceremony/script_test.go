package ceremony

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
)

var update = flag.Bool("update", false, "write the outputs in testdata from this implementation")

// said makes a protocol's result one line.
func said[R any](first engine.Stage[R], say func(*R) string) engine.Stage[string] {
	return &then[R, string]{s: first, with: func(r *R) (engine.Outcome[string], error) {
		s := say(r)
		return engine.Outcome[string]{Result: &s}, nil
	}}
}

// Session transcripts as one can read them: testdata/keygen-*.txt and sign-*.txt.
func TestScripts(t *testing.T) {
	com := newCommittee(3)
	keys := com.keygen(t, 2)
	r := keys[0].Record
	for _, prefix := range []string{"keygen", "sign"} {
		files, err := filepath.Glob("testdata/" + prefix + "-*.txt")
		if err != nil || len(files) < 5 {
			t.Fatalf("%d scripts of %s: %v", len(files), prefix, err)
		}
		for _, file := range files {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
				var sessions []*engine.Session[string]
				if com.seed = 100; prefix == "keygen" {
					setup := &session.Setup{Protocol: ProtocolKeygen, Suite: epoch.SuiteECDSA, KeyID: [32]byte{1}, Threshold: 2, Parties: com.parties}
					sessions = machines(t, com.join(t, setup), func(s Seat) (engine.Stage[string], error) {
						first, err := Keygen(s, nil)
						return said(first, func(p *Prepared) string { return fmt.Sprintf("a certificate of %d PREPs", len(p.Cert.Preps)) }), err
					})
				} else {
					req := &Request{Purpose: "transaction", Digest: sha256.Sum256([]byte("m"))}
					setup := &session.Setup{Protocol: ProtocolSign, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: 2, Parties: com.parties, Payload: req.Encode()}
					next := 0
					sessions = machines(t, com.join(t, setup), func(s Seat) (engine.Stage[string], error) {
						first, err := Sign(s, keys[next], req.Digest[:])
						next++
						return said(first, func(*Signature) string { return "a signature" }), err
					})
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				got, err := enginetest.Script(string(want), sessions...)
				if err != nil {
					t.Fatal(err)
				}
				if *update {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				} else if got != string(want) {
					t.Errorf("got\n%s", got)
				}
			})
		}
	}
}
