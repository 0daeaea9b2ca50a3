package release

import (
	"bytes"
	"testing"
)

// Whatever is read is written again as the same bytes; what opens was signed by those whom it names.
func FuzzOpen(f *testing.F) {
	alice, aliceKey := maintainer(f, "alice", 1)
	bob, bobKey := maintainer(f, "bob", 2)
	who, bare := list(f, aliceKey, bobKey), text(f, sample())
	signed := sign(f, bare, alice, bob)
	f.Add(bare)
	f.Add(sign(f, bare, alice))
	f.Add(signed)
	f.Add(append(append(bytes.Clone(bare), '\n'), signed...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := Open(b, who, Needed); err == nil && (!bytes.HasPrefix(b, bare) || len(got.By) != Needed) {
			t.Fatalf("nobody signed this, and it opens:\n%s", b)
		}
		r, err := Read(b)
		if err != nil {
			return
		}
		if again := text(t, r); !bytes.HasPrefix(b, again) || len(b) > len(again) && b[len(again)] != '\n' {
			t.Fatalf("read\n%s\nwrote\n%s", b, again)
		}
		if r.Compare(r.Files) != nil {
			t.Fatal("it is not itself")
		}
		if more, err := Sign(b, alice); err == nil {
			if got, err := Open(more, list(t, aliceKey), 1); err != nil || got.Version != r.Version {
				t.Fatalf("signed, it does not open: %v", err)
			}
		}
	})
}

// A list of maintainers never counts one key twice.
func FuzzParseMaintainers(f *testing.F) {
	_, alice := maintainer(f, "alice", 1)
	_, bob := maintainer(f, "bob", 2)
	f.Add([]byte("# two\n" + alice + "\n" + bob + "\n"))
	f.Add([]byte(alice + "\n" + alice))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMaintainers(b)
		if err != nil {
			return
		}
		if len(m.Names()) > len(m.keys) || len(m.keys) > maxKeys {
			t.Fatal("more names than keys, or too many")
		}
	})
}
