package tlog

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// MaxProof is the most hashes of a proof (C2SP tlog-witness).
	MaxProof = 63
	// MaxExtra is the most extra bytes of a proof's file.
	MaxExtra = 16 << 10
	// MaxProofFile is the largest proof's file in bytes.
	MaxProofFile = MaxNote + MaxExtra*4/3 + MaxProof*45 + 100

	proofHeader = "c2sp.org/tlog-proof@v1"
)

// A ProofError says which claim is not proved, and what is wrong.
type ProofError struct {
	Claim  string // as "inclusion of leaf 5 in size 8"
	Field  string // size, index, root, or proof
	Reason string
}

func (e *ProofError) Error() string { return e.Claim + ": " + e.Field + " " + e.Reason }

func inclusion(size, index int64) string {
	return fmt.Sprintf("inclusion of leaf %d in size %d", index, size)
}

func consistency(old, size int64) string {
	return fmt.Sprintf("consistency of size %d with size %d", old, size)
}

// ProveInclusion gives the hashes from the leaf's sibling up to the root's child (RFC 6962
// 2.1.1). Stored must be good for the size.
func ProveInclusion(size, index int64, stored Reader) ([]Hash, error) {
	if size < 0 || size > MaxSize || index < 0 || index >= size {
		return nil, &ProofError{inclusion(size, index), "index", "is not of a leaf"}
	}
	proof, err := tlog.ProveRecord(size, index, stored)
	if err != nil {
		return nil, fmt.Errorf("prove %s: %w", inclusion(size, index), err)
	}
	return proof, nil
}

// CheckInclusion says whether a tree of this head has this leaf at this index. Any bytes may be
// given; other than the whole proof is refused.
func CheckInclusion(head Head, index int64, leaf []byte, proof []Hash) error {
	return checkInclusion(head, index, tlog.RecordHash(leaf), proof)
}

func checkInclusion(head Head, index int64, leaf Hash, proof []Hash) error {
	claim := inclusion(head.Size, index)
	switch {
	case head.Size < 0 || head.Size > MaxSize:
		return &ProofError{claim, "size", "is out of range"}
	case index < 0 || index >= head.Size:
		return &ProofError{claim, "index", "is not of a leaf"}
	case len(proof) > MaxProof:
		return &ProofError{claim, "proof", fmt.Sprintf("has %d hashes, at most %d are allowed", len(proof), MaxProof)}
	}
	if err := tlog.CheckRecord(proof, head.Size, head.Root, index, leaf); err != nil {
		return &ProofError{claim, "proof", "does not give the root"}
	}
	return nil
}

// ProveConsistency gives the hashes that lead from an older tree's root to a tree's (RFC 6962
// 2.1.2); none from size 0, and none from a size to itself. Stored must be good for the size.
func ProveConsistency(old, size int64, stored Reader) ([]Hash, error) {
	if old < 0 || old > size || size > MaxSize {
		return nil, &ProofError{consistency(old, size), "size", "is out of range"}
	}
	if old == 0 {
		return nil, nil
	}
	proof, err := tlog.ProveTree(size, old, stored)
	if err != nil {
		return nil, fmt.Errorf("prove %s: %w", consistency(old, size), err)
	}
	return proof, nil
}

// CheckConsistency says whether the tree of one head grew into that of another: nothing was
// changed, removed or put between. Every tree grew from the empty one, by an empty proof.
func CheckConsistency(old, head Head, proof []Hash) error {
	claim := consistency(old.Size, head.Size)
	for _, h := range []Head{old, head} {
		if err := h.check(); err != nil {
			return &ProofError{claim, "head", err.Error()}
		}
	}
	switch {
	case old.Size > head.Size:
		return &ProofError{claim, "size", "is smaller: the log went back"}
	case len(proof) > MaxProof:
		return &ProofError{claim, "proof", fmt.Sprintf("has %d hashes, at most %d are allowed", len(proof), MaxProof)}
	case old.Size == head.Size && old.Root != head.Root:
		return &ProofError{claim, "root", "is another: the log forked"}
	case old.Size == 0:
		if len(proof) > 0 {
			return &ProofError{claim, "proof", "is not empty"}
		}
		return nil
	}
	if err := tlog.CheckTree(proof, head.Size, head.Root, old.Size, old.Root); err != nil {
		return &ProofError{claim, "proof", "does not lead from the one root to the other"}
	}
	return nil
}

// A Proof is what convinces somebody who has nothing but the keys that a leaf is in a log (C2SP
// tlog-proof, spec/log 7.4).
type Proof struct {
	Extra      []byte // signed by nobody; ours is the leaf, which the proof itself holds to the root
	Index      int64  // of the leaf, from 0
	Hashes     []Hash // inclusion, from the leaf's sibling up
	Checkpoint []byte // signed
}

// Encode is the proof's file.
func (p Proof) Encode() []byte {
	var b bytes.Buffer
	b.WriteString(proofHeader + "\n")
	if len(p.Extra) > 0 {
		b.WriteString("extra " + base64std.EncodeToString(p.Extra) + "\n")
	}
	fmt.Fprintf(&b, "index %d\n", p.Index)
	writeHashes(&b, p.Hashes)
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return b.Bytes()
}

func writeHashes(b *bytes.Buffer, hashes []Hash) {
	for _, h := range hashes {
		b.WriteString(h.String() + "\n")
	}
}

// ParseProof reads a proof's file of at most MaxProofFile bytes, in its one form. Verify says
// what it is worth.
func ParseProof(file []byte) (Proof, error) {
	bad := func(line int, field, reason string) (Proof, error) {
		return Proof{}, &FormatError{"proof", line, field, reason}
	}
	if len(file) > MaxProofFile {
		return bad(0, "file", fmt.Sprintf("has %d bytes, at most %d are allowed", len(file), MaxProofFile))
	}
	head, checkpoint, ok := bytes.Cut(file, []byte("\n\n"))
	if !ok {
		return bad(0, "file", "has no empty line before the checkpoint")
	}
	p := Proof{Checkpoint: checkpoint}
	lines := strings.Split(string(head), "\n")
	if lines[0] != proofHeader {
		return bad(1, "header", "is not "+proofHeader)
	}
	at := 1
	if text, ok := strings.CutPrefix(lineAt(lines, at), "extra "); ok {
		extra, err := base64std.DecodeString(text)
		if err != nil || len(extra) == 0 || len(extra) > MaxExtra || base64std.EncodeToString(extra) != text {
			return bad(at+1, "extra", fmt.Sprintf("is not base64 of 1 to %d bytes", MaxExtra))
		}
		p.Extra = extra
		at++
	}
	text, ok := strings.CutPrefix(lineAt(lines, at), "index ")
	if !ok {
		return bad(at+1, "index", "is missing")
	}
	index, reason := parseSize(text)
	if reason == "" && index == MaxSize {
		reason = "is not of a leaf"
	}
	if reason != "" {
		return bad(at+1, "index", reason)
	}
	p.Index = index
	var err error
	if p.Hashes, err = parseHashes("proof", lines[at+1:], at+2); err != nil {
		return Proof{}, err
	}
	if _, err := splitNote(checkpoint); err != nil {
		return Proof{}, fmt.Errorf("proof: %w", err)
	}
	return p, nil
}

// lineAt is a line, or nothing behind the last.
func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// parseHashes reads at most MaxProof lines of hashes; the first has this number.
func parseHashes(format string, lines []string, first int) ([]Hash, error) {
	if len(lines) > MaxProof {
		return nil, &FormatError{format, first + MaxProof, "hashes", "are more than " + strconv.Itoa(MaxProof)}
	}
	var hashes []Hash
	for i, l := range lines {
		h, reason := parseHash(l)
		if reason != "" {
			return nil, &FormatError{format, first + i, "hash", reason}
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}

// Verify says whether the leaf is in the log, and who saw the log so: how many witnesses are
// enough, the caller knows.
func (p Proof) Verify(leaf []byte, log LogVerifier, witnesses []Witness) (Checkpoint, []Cosigned, error) {
	c, cosigned, err := OpenCheckpoint(p.Checkpoint, log, witnesses)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	if err := CheckInclusion(c.Head, p.Index, leaf, p.Hashes); err != nil {
		return Checkpoint{}, nil, err
	}
	return c, cosigned, nil
}
