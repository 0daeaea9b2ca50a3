package tlog

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/transparency-dev/formats/log"
	cosignature "github.com/transparency-dev/formats/note"
	prooffile "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
	"golang.org/x/mod/sumdb/note"
)

// Independent implementations: golang.org/x/mod's signed notes, and transparency-dev's formats and
// Merkle trees, which Google's logs and witnesses use.

// skey is a private key in x/mod's form.
func skey(k noteKey, seed byte) string {
	raw := append([]byte{k.kind}, private(seed).Seed()...)
	return fmt.Sprintf("PRIVATE+KEY+%s+%s", k.label(), base64.StdEncoding.EncodeToString(raw))
}

// theirs are their verifiers of our vkeys.
func theirs(t *testing.T) (ofLog, ofWitness note.Verifier) {
	t.Helper()
	ofLog, err := note.NewVerifier(logSigner(t).Verifier().String())
	if err != nil {
		t.Fatal(err)
	}
	ofWitness, err = cosignature.NewVerifierForCosignatureV1(cosigner(t, 2).Witness().String())
	if err != nil {
		t.Fatal(err)
	}
	return ofLog, ofWitness
}

func TestTheyOpenOurs(t *testing.T) {
	ofLog, ofWitness := theirs(t)
	signed := cosign(t, checkpoint(t, sampleHead, "extension"), cosigner(t, 2), 1_679_315_147)
	c, rest, n, err := log.ParseCheckpoint(signed, origin, ofLog, ofWitness)
	if err != nil {
		t.Fatal(err)
	}
	if c.Origin != origin || c.Size != uint64(sampleHead.Size) || !bytes.Equal(c.Hash, sampleHead.Root[:]) || string(rest) != "extension\n" || len(n.Sigs) != 2 || len(n.UnverifiedSigs) != 0 {
		t.Errorf("%+v, %q, %+v", c, rest, n)
	}
	if at, err := cosignature.CoSigV1Timestamp(n.Sigs[1]); err != nil || at.Unix() != 1_679_315_147 {
		t.Errorf("%v, %v", at, err)
	}
	again, err := note.Sign(n)
	if err != nil || !bytes.Equal(again, signed) {
		t.Errorf("they write it as\n%s%v", again, err)
	}
}

func TestWeOpenTheirs(t *testing.T) {
	ours, w := logSigner(t).Verifier(), cosigner(t, 2).Witness()
	signer, err := note.NewSigner(skey(ours.noteKey, 1))
	if err != nil {
		t.Fatal(err)
	}
	witness, err := cosignature.NewSignerForCosignatureV1(skey(w.noteKey, 2))
	if err != nil {
		t.Fatal(err)
	}
	body := log.Checkpoint{Origin: origin, Size: uint64(sampleHead.Size), Hash: sampleHead.Root[:]}.Marshal()
	before := time.Now().Truncate(time.Second)
	signed, err := note.Sign(&note.Note{Text: string(body)}, signer, witness)
	if err != nil {
		t.Fatal(err)
	}
	c, cosigned, err := OpenCheckpoint(signed, ours, []Witness{w})
	if err != nil || c.Head != sampleHead || len(cosigned) != 1 || cosigned[0].Time.Before(before) {
		t.Errorf("%+v, %v, %v", c, cosigned, err)
	}
	// What a witness answers alone, added to the log's own checkpoint.
	alone, err := note.Sign(&note.Note{Text: string(body)}, witness)
	if err != nil {
		t.Fatal(err)
	}
	added, _, err := AddCosignature(checkpoint(t, sampleHead), alone[len(body)+1:], w)
	if err != nil {
		t.Fatal(err)
	}
	if _, cosigned, err := OpenCheckpoint(added, ours, []Witness{w}); err != nil || len(cosigned) != 1 {
		t.Errorf("%v, %v", cosigned, err)
	}
}

// Post-quantum cosignatures of others are passed over.
func TestLargeSignaturesOfOthers(t *testing.T) {
	key, _, err := cosignature.GenerateMLDSAKey("mldsa.example")
	if err != nil {
		t.Fatal(err)
	}
	signed := checkpoint(t, sampleHead)
	for range 15 {
		s, err := cosignature.NewSignerForCosignatureV1(key)
		if err != nil {
			t.Fatal(err)
		}
		n, err := splitNote(signed)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := s.Sign(n.body)
		if err != nil {
			t.Fatal(err)
		}
		signed = append(signed, noteKey{name: s.Name(), id: s.KeyHash()}.line(signature)...)
	}
	if c, _, err := OpenCheckpoint(signed, logSigner(t).Verifier(), nil); err != nil || c.Head != sampleHead {
		t.Errorf("%d bytes: %v", len(signed), err)
	}
}

func TestProofFilesBothWays(t *testing.T) {
	f := plant(t, 11)
	for _, extra := range []string{"", "extra"} {
		p, _ := prove(t, f, 5, extra)
		var got prooffile.TLogProof
		if err := got.Unmarshal(p.Encode()); err != nil {
			t.Fatal(err)
		}
		if got.Index != 5 || len(got.Hashes) != len(p.Hashes) || !bytes.Equal(got.Checkpoint, p.Checkpoint) || string(got.ExtraData) != extra {
			t.Errorf("they read %+v", got)
		}
		if !bytes.Equal(got.Marshal(), p.Encode()) {
			t.Errorf("they write\n%s", got.Marshal())
		}
		ours, err := ParseProof(got.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := ours.Verify(f.leaves[5], logSigner(t).Verifier(), nil); err != nil {
			t.Error(err)
		}
	}
}

func rows(proof []Hash) [][]byte {
	out := make([][]byte, len(proof))
	for i := range proof {
		out[i] = proof[i][:]
	}
	return out
}

// Random trees: their proofs are ours to the byte, and both say yes and no to the same ones.
func TestProofsAgainstMerkle(t *testing.T) {
	const size = 600
	f, random := plant(t, size), rand.New(rand.NewSource(4))
	tree := testonly.New(rfc6962.DefaultHasher)
	tree.AppendData(f.leaves...)
	yes, no := 0, 0
	agree := func(what string, ours, theirs error) {
		if (ours == nil) != (theirs == nil) {
			t.Errorf("%s: we say %v, they say %v", what, ours, theirs)
		}
		if ours == nil {
			yes++
		} else {
			no++
		}
	}
	for range 4000 {
		n := 1 + random.Int63n(size)
		i, old := random.Int63n(n), random.Int63n(n+1)
		head, before := f.head(t, n), f.head(t, old)
		if !bytes.Equal(tree.HashAt(uint64(n)), head.Root[:]) {
			t.Fatalf("another root at %d", n)
		}
		in, err := ProveInclusion(n, i, f.reader())
		if err != nil {
			t.Fatal(err)
		}
		con, err := ProveConsistency(old, n, f.reader())
		if err != nil {
			t.Fatal(err)
		}
		theirIn, err1 := tree.InclusionProof(uint64(i), uint64(n))
		theirCon, err2 := tree.ConsistencyProof(uint64(old), uint64(n))
		if err1 != nil || err2 != nil || !bytes.Equal(bytes.Join(rows(in), nil), bytes.Join(theirIn, nil)) || !bytes.Equal(bytes.Join(rows(con), nil), bytes.Join(theirCon, nil)) {
			t.Fatalf("leaf %d of %d, %d to %d: %v, %v, other proofs", i, n, old, n, err1, err2)
		}
		for _, p := range []*[]Hash{&in, &con} { // half of them damaged
			switch at := random.Intn(len(*p) + 1); random.Intn(6) {
			case 0:
				*p = append((*p)[:at:at], append([]Hash{{1}}, (*p)[at:]...)...)
			case 1:
				*p = (*p)[:at:at]
			case 2:
				if at < len(*p) {
					(*p)[at][random.Intn(32)] ^= 1 << random.Intn(8)
				}
			}
		}
		wrong := i + random.Int63n(3) - 1
		agree(fmt.Sprintf("leaf %d at %d of %d", i, wrong, n), CheckInclusion(head, wrong, f.leaves[i], in),
			proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(wrong), uint64(n), rfc6962.DefaultHasher.HashLeaf(f.leaves[i]), rows(in), head.Root[:]))
		agree(fmt.Sprintf("%d to %d", old, n), CheckConsistency(before, head, con),
			proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(old), uint64(n), rows(con), before.Root[:], head.Root[:]))
	}
	if yes < 1000 || no < 1000 {
		t.Errorf("%d yes, %d no", yes, no)
	}
}
