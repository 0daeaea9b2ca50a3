package epoch

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
)

var update = flag.Bool("update", false, "write testdata/golden.txt from this implementation")

// Byte snapshots of every stored and sent type and of every hash.
func TestGolden(t *testing.T) {
	var out bytes.Buffer
	put := func(name string, b []byte) { fmt.Fprintf(&out, "%s %x\n", name, b) }
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	child := w.record(1, 2, 3, []int{0, 1, 2, 5}, root, 4)
	child.Guardians, child.Backups = [32]byte{7}, [32]byte{8}
	for i, r := range []*Record{root, child} {
		eh, peh := r.Hash(), r.PartialHash()
		put(fmt.Sprintf("record-%d", i), r.Encode())
		put(fmt.Sprintf("eh-%d", i), eh[:])
		put(fmt.Sprintf("peh-%d", i), peh[:])
	}
	f := w.finalCert(root, 1)
	h, sum, id, digest := f.Cert.Hash(), f.Sum(), KeyID([32]byte{1}, SuiteECDSA, 1), TestDigest(root, engine.SessionID{1})
	put("cert", f.Cert.Encode())
	put("cert-hash", h[:])
	put("final", f.Finals[0].Encode())
	put("final-cert", f.Encode())
	put("final-cert-sum", sum[:])
	put("key-id", id[:])
	put("test-digest", digest[:])
	leaving := w.record(1, 3, 3, []int{0, 1, 5}, root, 2)
	put("old-ok", SignOldOK(leaving.Hash(), w.signer(engine.PartyID{3})))
	put("cert-with-old-ok", w.certOf(leaving, root).Encode())
	chain, err := NewChain(f, enrolled(root))
	if err == nil {
		chain, err = chain.Extend(w.finalCertOf(leaving, root, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	put("chain", chain.Encode())
	for _, suite := range []string{SuiteEd25519, SuiteBIP340} {
		w.suite = suite
		r := w.record(1, 1, 2, three, nil, 0)
		digest := TestDigest(r, engine.SessionID{1})
		put("record-"+suite, r.Encode())
		put("final-"+suite, w.final(r, w.cert(r), r.Members[0].ID, 1).Encode())
		put("test-digest-"+suite, digest[:])
	}
	sos := newRescue(t)
	peh := sos.child.PartialHash()
	put("record-of-rescue", sos.child.Encode())
	put("peh-of-rescue", peh[:])
	put("record-after-rescue", sos.record(1, 3, 2, []int{0, 5}, sos.child, 0).Encode())
	put("grounds", sos.cert.Rescue.encode())
	put("cert-of-rescue", sos.cert.Encode())

	file := filepath.Join("testdata", "golden.txt")
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("snapshots differ\ngot:\n%s", out.Bytes())
	}
}
