package verify

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// A Source is one published log, from wherever it was fetched.
type Source struct {
	Name  string     // where: a URL or folder, for people
	Fetch tlog.Fetch // its files
}

// A doc is a body that some log showed, under the id that its leaves name.
type doc struct {
	kind       string // of the leaf that first showed it
	content    []byte
	signatures [][]byte // all that came with it, in any log
	parsed     bool
	statement  statement.Statement // if it is one
	at         time.Time           // of the first leaf that showed it
}

func (d *doc) add(signatures [][]byte) {
	for _, s := range signatures {
		if !contains(d.signatures, s) {
			d.signatures = append(d.signatures, s)
		}
	}
}

func contains(list [][]byte, x []byte) bool {
	for _, s := range list {
		if bytes.Equal(s, x) {
			return true
		}
	}
	return false
}

// as gives a statement of a kind, parsed once.
func (d *doc) as(k statement.Kind) (statement.Statement, bool) {
	if !d.parsed {
		d.parsed = true
		if s, err := statement.Parse(d.content); err == nil {
			d.statement = s
		}
	}
	return d.statement, d.statement.Kind() == k
}

// A history is one log as it was read.
type history struct {
	source     string
	keys       tlog.Keys
	operator   string // that the roster says; "" for a stranger's
	checkpoint tlog.Checkpoint
	signed     []byte
	seen       [][]byte // other logs' checkpoints
	leaves     []tlog.Leaf
	hashes     []tlog.Hash // stored hashes of the tree
	at         map[place]int
	first      int64 // so many leaves are of the first release
	twice      []int // leaves whose id stood before under the same kind, where each may stand once
}

// head is the log's head when it was of a size.
func (h *history) head(size int64) (tlog.Head, error) {
	return tlog.Root(size, h.reader())
}

func (h *history) reader() tlog.Reader {
	return tlog.ReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			if x >= int64(len(h.hashes)) {
				return nil, fmt.Errorf("hash %d lies beyond the log", x)
			}
			out[i] = h.hashes[x]
		}
		return out, nil
	})
}

// has finds the first leaf of a kind with an id.
func (h *history) has(kind string, id [32]byte) (int, bool) {
	i, ok := h.at[place{kind, id}]
	return i, ok
}

// A place tells leaves of one id and different kinds apart.
type place struct {
	kind string
	id   [32]byte
}

// once are the kinds that a log tells of one id a single time: a second leaf would be something old shown as new.
var once = map[string]bool{tlog.KindDecision: true, tlog.KindSigned: true, tlog.KindHeartbeat: true, tlog.KindVote: true, tlog.KindHeard: true}

// read reads one log whole.
func (v *verifier) read(s Source) (*history, error) {
	raw, err := s.Fetch(tlog.PathKeys)
	if err != nil {
		return nil, fmt.Errorf("its keys: %w", err)
	}
	h := &history{source: s.Name, at: map[place]int{}}
	var keys statement.Statement
	var signature []byte
	if h.keys, keys, signature, err = tlog.DecodeKeys(raw); err != nil {
		return nil, err
	}
	v.signatures++
	if h.signed, err = s.Fetch(tlog.PathCheckpoint); err != nil {
		return nil, fmt.Errorf("its checkpoint: %w", err)
	}
	log, err := tlog.NewLogVerifier(h.keys.Origin, h.keys.Log)
	if err != nil {
		return nil, err
	}
	if h.checkpoint, _, err = tlog.OpenCheckpoint(h.signed, log, nil); err != nil {
		return nil, err
	}
	v.signatures++
	v.keep(tlog.KindStatement, keys.ID(), tlog.Body{Content: keys.Bytes(), Signatures: [][]byte{signature}}, h.keys.Created)
	if raw, err = s.Fetch(tlog.PathSeen); err == nil {
		h.seen, err = tlog.DecodeSeen(raw)
	}
	if err != nil && !errors.Is(err, ErrNotThere) {
		return nil, err
	}
	return h, v.readLeaves(h, s.Fetch)
}

// readLeaves reads leaves and bodies, one bundle at a time. Nothing of it counts if it ends in an error.
func (v *verifier) readLeaves(h *history, fetch tlog.Fetch) error {
	size := h.checkpoint.Head.Size
	var bodies []tlog.Body
	return tlog.ReadLeaves(h.checkpoint.Head, fetch, func(n int64, raw []byte) error {
		leaf, err := tlog.Decode(raw)
		if err != nil {
			return fmt.Errorf("leaf %d: %w", n, err)
		}
		leaf.Kind = v.intern(leaf.Kind)
		if n%tileWidth == 0 {
			if bodies, err = readBodies(fetch, n/tileWidth, int(min(size-n, tileWidth))); err != nil {
				return err
			}
			if err := v.progress(h, n); err != nil {
				return err
			}
		}
		if err := v.file(h, n, leaf, bodies[n%tileWidth]); err != nil {
			return err
		}
		_, hashes, err := tlog.Append(n, raw, h.reader())
		h.hashes = append(h.hashes, hashes...)
		return err
	})
}

const tileWidth = 256

// readBodies reads the bodies of a bundle's leaves; a bundle that is not there shows none.
func readBodies(fetch tlog.Fetch, index int64, width int) ([]tlog.Body, error) {
	raw, err := fetch(tlog.Tile{Level: tlog.Entries, Index: index, Width: width}.BodyPath())
	n := width
	if err != nil && width < tileWidth {
		if raw, err = fetch(tlog.Tile{Level: tlog.Entries, Index: index, Width: tileWidth}.BodyPath()); err == nil {
			n = tileWidth
		}
	}
	if errors.Is(err, ErrNotThere) {
		return make([]tlog.Body, width), nil
	}
	if err != nil {
		return nil, fmt.Errorf("bodies of the leaves from %d on: %w", index*tileWidth, err)
	}
	return tlog.DecodeBodies(raw, n)
}

// ErrNotThere is what a Source's Fetch wraps for a file that is not published.
var ErrNotThere = errors.New("there is no such file")

// earlier is the kind of the leaves of the first release, as they are filed.
const earlier = "of the first release"

// meant are the kinds that one of the first release could mean today, where that is not the kind itself.
var meant = map[string][]string{tlog.KindDecision: {tlog.KindDecision, tlog.KindHeard}, tlog.KindStatement: {tlog.KindStatement, tlog.KindInForce}}

// fileFirst takes a leaf of the first release (spec/log 13). It shows no body, and does not say what it is about; but what its id names stood in
// this log there. After a leaf of today's form none is taken: who could go back to saying less would.
func (h *history) fileFirst(n int64, leaf tlog.Leaf) error {
	if h.first < n {
		return fmt.Errorf("leaf %d has the form of the first release, and others stand before it that have today's", n)
	}
	h.first++
	kinds := meant[leaf.Kind]
	if kinds == nil {
		kinds = []string{leaf.Kind}
	}
	for _, k := range kinds {
		if _, before := h.at[place{k, leaf.ID}]; !before {
			h.at[place{k, leaf.ID}] = int(n)
		}
	}
	leaf.Kind = earlier
	h.leaves = append(h.leaves, leaf)
	return nil
}

// toldFirst finds a leaf of the first release that could mean this kind.
func (h *history) toldFirst(kind string, id [32]byte) (int, bool) {
	i, ok := h.has(kind, id)
	return i, ok && h.leaves[i].First
}

// file takes one leaf, and its body if it is shown.
func (v *verifier) file(h *history, n int64, leaf tlog.Leaf, body tlog.Body) error {
	if leaf.First {
		return h.fileFirst(n, leaf)
	}
	key := place{leaf.Kind, leaf.ID}
	if i, before := h.at[key]; !before {
		h.at[key] = int(n)
	} else if once[leaf.Kind] && !h.leaves[i].First {
		h.twice = append(h.twice, int(n))
	}
	h.leaves = append(h.leaves, leaf)
	if len(body.Content) == 0 {
		return nil
	}
	if leaf.About != [32]byte{} && !slices.Contains(v.about[leaf.About], leaf.ID) {
		v.about[leaf.About] = append(v.about[leaf.About], leaf.ID)
	}
	if tlog.Named(leaf.Kind) { // whether it has that name is looked at where chains are known
		if !contains(v.named[leaf.ID], body.Content) {
			v.named[leaf.ID] = append(v.named[leaf.ID], bytes.Clone(body.Content))
		}
		return nil
	}
	if d := v.docs[leaf.ID]; d != nil && bytes.Equal(d.content, body.Content) {
		d.add(body.Signatures)
		return nil
	}
	if !leaf.Fits(body) {
		return fmt.Errorf("leaf %d (%s): the body that is shown is not what its id names", n, leaf.Kind)
	}
	v.keep(leaf.Kind, leaf.ID, body, leaf.Time)
	return nil
}

func (v *verifier) keep(kind string, id [32]byte, body tlog.Body, at time.Time) {
	d := v.docs[id]
	if d == nil {
		d = &doc{kind: kind, content: bytes.Clone(body.Content), at: at}
		v.docs[id] = d
		v.order = append(v.order, id)
	}
	var own [][]byte
	for _, s := range body.Signatures {
		own = append(own, bytes.Clone(s))
	}
	d.add(own)
}

func (v *verifier) intern(kind string) string {
	if k, ok := v.kinds[kind]; ok {
		return k
	}
	if len(v.kinds) < 256 {
		v.kinds[kind] = kind
	}
	return kind
}
