package dkls

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

var update = flag.Bool("update", false, "write the outputs of testdata anew")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs; now it is\n%s", path, got)
	}
}

// Sessions of three signers, to be read.
func TestSessionTranscripts(t *testing.T) {
	s := newStand(t, 3, 3, 0, 1)
	transcripts(t, "testdata/sessions", func(t *testing.T) []*engine.Session[Signature] { return honest(t, s.fresh()) })
}

// Presign sessions of three signers, and what they do with a presignature.
func TestPresignTranscripts(t *testing.T) {
	transcripts(t, "testdata/presign", func(t *testing.T) []*engine.Session[Presignature] {
		return presigners(t, newCircle(t, 3, 3).reserve(t))
	})
	c, r := newCircle(t, 3, 3), request{digest: [32]byte{9}}
	used := c.take(t, c.presign(t), r)
	transcripts(t, "testdata/online", func(t *testing.T) []*engine.Session[Signature] {
		fresh := slices.Clone(used)
		for i := range fresh {
			fresh[i].Presignature = copied(used[i].Presignature)
		}
		return users(t, fresh)
	})
}

func transcripts[R any](t *testing.T, folder string, sessions func(t *testing.T) []*engine.Session[R]) {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := enginetest.Script(string(text), sessions(t)...)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, path, got)
		})
	}
}

// The bytes on the wire for fixed coins: a change here is a change of spec/dkls-sign.
func TestWireSnapshot(t *testing.T) {
	golden(t, "testdata/wire.txt", wire(newStand(t, 2, 2, 0, 1).now))
	golden(t, "testdata/wire-presign.txt", wire(newPresignStand(t, 2, 2, 0, 1).now)+wire(newOnlineStand(t, 2, 2, 0, 1).now))
}

func wire(msgs []engine.Msg) string {
	var b strings.Builder
	for _, m := range msgs {
		fmt.Fprintf(&b, "%v to %v, round %d, kind %#x, %d bytes, sha256 %x\n",
			m.From, m.To, m.Round, uint8(m.Kind), len(m.Body), sha256.Sum256(m.Body))
	}
	return b.String()
}

// Vectors for another implementation of spec/presign 2.2 and 4.1: ids and shifts of fixed inputs.
func TestPresignVectors(t *testing.T) {
	var b strings.Builder
	c, g := newCircle(t, 2, 3), func(k uint64) *secp256k1.Point { return secp256k1.BaseMul(secp256k1.NewScalar(k)) }
	for k := range uint64(3) {
		n := byte(k)
		q := &presig{session: engine.SessionID{n, 1}, keyID: [32]byte{n, 2}, epoch: [32]byte{n, 3}, signers: c.signers[:2+k/2], nonce: g(10 + k), public: g(20 + k)}
		q.id = q.name(engine.Transcript{n, 4})
		p := &OnlineParams{Session: engine.SessionID{n, 5}, Digest: [32]byte{n, 6}}
		for i := range k {
			p.Path = append(p.Path, uint32(7+i))
		}
		for i := range q.signers {
			p.Nonces = append(p.Nonces, [32]byte{n, 8, byte(i)})
		}
		fmt.Fprintf(&b, "presign sid %x\nT2 %x\nkey id %x\neh %x\n", q.session[:], [32]byte{n, 4}, q.keyID, q.epoch)
		for _, s := range q.signers {
			fmt.Fprintf(&b, "signer %x index %d\n", s.ID[:], s.Index)
		}
		fmt.Fprintf(&b, "R %x\nX %x\nid %x\n", q.nonce.Bytes(), q.public.Bytes(), q.id[:])
		fmt.Fprintf(&b, "child %x\npath %s\nm %x\nsid %x\n", g(30+k).Bytes(), p.Path, p.Digest, p.Session[:])
		for _, nonce := range p.Nonces {
			fmt.Fprintf(&b, "nonce %x\n", nonce)
		}
		fmt.Fprintf(&b, "delta %x\n\n", p.shift(q, g(30+k)).Bytes())
	}
	golden(t, "testdata/presign-vectors.txt", b.String())
}
