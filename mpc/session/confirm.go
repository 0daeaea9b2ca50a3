package session

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
)

// A Confirmation is how the parties of keygen and reshare say that they hold the same public
// output, and each of them its own share of it (protocols.md 1.1 R3): the identity key's signature over
// the output, and a proof of knowledge of the share. Other protocols have other labels.
type Confirmation struct {
	output *transcript.Hash
	proof  transcript.Label
}

// NewConfirmation is over the whole public output, chain code included (TOB-SILA-7):
// H(signature; sid, T₂, X, cc, all Xⱼ), the Xⱼ by PartyID. proof is the label of the proofs of shares.
func NewConfirmation(signature, proof transcript.Label, id engine.SessionID, t2 engine.Transcript,
	public group.Point, chainCode [32]byte, publics map[engine.PartyID]group.Point,
) Confirmation {
	h := transcript.New(signature).Bytes(id[:]).Bytes(t2[:]).Points(public).Bytes(chainCode[:])
	ids := make([]engine.PartyID, 0, len(publics))
	for pid := range publics {
		ids = append(ids, pid)
	}
	slices.SortFunc(ids, func(a, b engine.PartyID) int { return bytes.Compare(a[:], b[:]) })
	h.Uint(uint64(len(ids)))
	for _, pid := range ids {
		h.Bytes(pid[:]).Points(publics[pid])
	}
	return Confirmation{output: h, proof: proof}
}

// ConfirmationSize is the length of a confirmation, in bytes: signature 64 ‖ proof.
func ConfirmationSize(g group.Group) int { return ed25519.SignatureSize + share.ProofSize(g) }

// context binds the proof of a share to the output and to its prover (TOB-BRON-9, -18).
func (c Confirmation) context(prover engine.PartyID) []byte {
	return transcript.New(c.proof).Bytes(c.output.Tree()).Bytes(prover[:]).Tree()
}

// Make signs and proves: s is our share, public its public form.
func (c Confirmation) Make(self engine.PartyID, s group.Scalar, public group.Point, sign Signer, rand io.Reader) ([]byte, error) {
	sig := sign(c.output)
	proof, err := share.Prove(c.proof, c.context(self), s, public, rand)
	if err != nil {
		return nil, err
	}
	return append(slices.Clone(sig), proof.Bytes()...), nil
}

// Check holds a confirmation to our own output: all agree on the broadcasts that give it, so
// another one is a lie (TOB-SILA-7), and without the proof a member could lack its share.
func (c Confirmation) Check(from Party, public group.Point, body []byte) error {
	g := public.Group()
	if n := ConfirmationSize(g); len(body) != n {
		return fmt.Errorf("has %d bytes, not %d", len(body), n)
	}
	if !Verify(from.Identity, c.output, body[:ed25519.SignatureSize]) {
		return errors.New("does not sign the output that the echoed broadcasts give")
	}
	proof, err := share.DecodeProof(g, body[ed25519.SignatureSize:])
	if err != nil {
		return err
	}
	return proof.Verify(c.proof, c.context(from.ID), public)
}
