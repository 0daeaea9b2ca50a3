package ot

import (
	"crypto/subtle"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// treeKeys are the base-OT keys of one tree: level, slot.
type treeKeys [treeDepth][2]key

// treeMsg is one tree's part of the answer: corrections of levels 1 to 3, t̃, s̃.
type treeMsg []byte

func (m treeMsg) corr(level int, v byte) []byte {
	off := (2*(level-1) + int(v)) * keyLen
	return m[off : off+keyLen]
}
func (m treeMsg) t() []byte { return m[corrLen : corrLen+hashLen] }
func (m treeMsg) s() []byte { return m[corrLen+hashLen : treeLen] }

// grow builds tree i from both keys of each level, writes its message and returns its
// leaves. SoftSpokenOT Fig. 13 and 14 (sender), spec/ot 3.1.
func grow(id PairID, i int, keys *treeKeys, msg treeMsg) (leaf [leaves]key) {
	var node, next [leaves]key
	defer wipeKeys(node[:], next[:])
	node[0], node[1] = keys[0][0], keys[0][1]
	for level := 1; level < treeDepth; level++ {
		for v := range byte(2) {
			copy(msg.corr(level, v), keys[level][v][:])
		}
		for y := range 1 << level {
			next[2*y], next[2*y+1] = id.children(i, level, y, &node[y])
			subtle.XORBytes(msg.corr(level, 0), msg.corr(level, 0), next[2*y][:])
			subtle.XORBytes(msg.corr(level, 1), msg.corr(level, 1), next[2*y+1][:])
		}
		node = next
	}
	var proofs [leaves * hashLen]byte
	defer secret.Wipe(proofs[:])
	clear(msg.t())
	for y := range leaves {
		p := proofs[y*hashLen : (y+1)*hashLen]
		leaf[y] = id.leaf(i, y, &node[y], p)
		subtle.XORBytes(msg.t(), msg.t(), p)
	}
	copy(msg.s(), id.treeCheck(i, proofs[:]))
	return leaf
}

// rebuild recovers all leaves but the one at Δᵢ = at, which stays zero. choice holds the four
// choice bits of the tree, key the four keys. SoftSpokenOT Fig. 13 and 14 (receiver), spec/ot 3.2.
func rebuild(id PairID, i int, choice [treeDepth]byte, keys []key, msg treeMsg) (leaf [leaves]key, at int, bad byte) {
	var node [leaves]key
	defer wipeKeys(node[:])
	for y := range byte(2) {
		xorMasked(node[y][:], keys[0][:], 1^y^choice[0])
	}
	at = int(1 - choice[0])
	for level := 1; level < treeDepth; level++ {
		descend(id, i, level, at, choice[level], &node, &keys[level], msg)
		at = 2*at + int(1-choice[level])
	}

	var proofs [leaves * hashLen]byte
	var missing, s [hashLen]byte
	defer secret.Wipe(proofs[:])
	copy(missing[:], msg.t())
	for y := range leaves {
		p := proofs[y*hashLen : (y+1)*hashLen]
		leaf[y] = id.leaf(i, y, &node[y], p)
		known := isNot(y, at)
		for n := range leaf[y] {
			leaf[y][n] &= maskOf(known)
		}
		for n := range p {
			p[n] &= maskOf(known)
		}
		subtle.XORBytes(missing[:], missing[:], p)
	}
	for y := range leaves {
		xorMasked(proofs[y*hashLen:(y+1)*hashLen], missing[:], 1^isNot(y, at))
	}
	copy(s[:], id.treeCheck(i, proofs[:]))
	return leaf, at, byte(1 ^ subtle.ConstantTimeCompare(s[:], msg.s()))
}

// descend replaces the nodes of one level by those of the next: the children of all known
// nodes, and the path's other child out of the correction.
func descend(id PairID, i, level, at int, choice byte, node *[leaves]key, k *key, msg treeMsg) {
	var next [leaves]key
	var sum [2]key
	for y := range 1 << level {
		l, r := id.children(i, level, y, &node[y])
		xorMasked(next[2*y][:], l[:], isNot(y, at))
		xorMasked(next[2*y+1][:], r[:], isNot(y, at))
		subtle.XORBytes(sum[0][:], sum[0][:], next[2*y][:])
		subtle.XORBytes(sum[1][:], sum[1][:], next[2*y+1][:])
	}
	var sibling, corr key
	selectBytes(sibling[:], sum[0][:], sum[1][:], choice)
	selectBytes(corr[:], msg.corr(level, 0), msg.corr(level, 1), choice)
	subtle.XORBytes(sibling[:], sibling[:], corr[:])
	subtle.XORBytes(sibling[:], sibling[:], k[:])
	for y := range 2 << level {
		xorMasked(next[y][:], sibling[:], 1^isNot(y, 2*at+int(choice)))
	}
	*node = next
	wipeKeys(next[:], sum[:])
	secret.Wipe(sibling[:])
}

// isNot is 0 if a = b and 1 otherwise, for secret a or b in 0…255.
func isNot(a, b int) byte { return byte(1 ^ subtle.ConstantTimeByteEq(byte(a), byte(b))) }

func (id PairID) children(i, level, y int, node *key) (left, right key) {
	h := transcript.NewSecret(transcript.TreeNode).Bytes(id[:]).Uint(uint64(i)).Uint(uint64(level)).Uint(uint64(y)).Bytes(node[:]).Sum256()
	copy(left[:], h[:keyLen])
	copy(right[:], h[keyLen:])
	secret.Wipe(h[:])
	return left, right
}

// leaf is the leaf under a node of the last level; its proof p_y goes to proof.
func (id PairID) leaf(i, y int, node *key, proof []byte) (l key) {
	h := transcript.NewSecret(transcript.TreeLeaf).Bytes(id[:]).Uint(uint64(i)).Uint(uint64(y)).Bytes(node[:]).Sum256()
	copy(l[:], h[:])
	p := transcript.NewSecret(transcript.TreeProof).Bytes(id[:]).Uint(uint64(i)).Uint(uint64(y)).Bytes(node[:]).Sum256()
	copy(proof, p[:])
	secret.Wipe(h[:])
	return l
}

// treeCheck is s̃ of tree i. TOB-SILA-5: psid names both parties.
func (id PairID) treeCheck(i int, proofs []byte) []byte {
	h := transcript.New(transcript.TreeCheck).Bytes(id[:]).Uint(uint64(i)).Bytes(proofs).Sum256()
	return h[:]
}

func wipeKeys(lists ...[]key) {
	for _, l := range lists {
		clear(l)
	}
}
