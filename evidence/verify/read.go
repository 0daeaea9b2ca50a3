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
	id         [32]byte
	kinds      []string // of leaves that showed it
	content    []byte
	signatures []*signature // all that came with it, in any log
	parsed     bool
	statement  statement.Statement // if it is one
	alive      bool                // a heartbeat that its operator's identity signed
}

// A signature that came with a body. The tree does not hold it: who serves a log may change it.
type signature struct {
	bytes []byte
	from  string // where it was first shown
	holds bool   // somebody's key made it
}

// maxSignatures is how many different signatures one log may show of one body: no operator makes the others' unreadable.
const maxSignatures = 64

// add keeps the signatures that a log shows with a body.
func (d *doc) add(signatures [][]byte, from string) error {
	own := 0
	for _, s := range signatures {
		if slices.ContainsFunc(d.signatures, func(o *signature) bool { return bytes.Equal(o.bytes, s) }) {
			continue
		}
		if own == 0 {
			for _, o := range d.signatures {
				if o.from == from {
					own++
				}
			}
		}
		if own++; own > maxSignatures {
			return fmt.Errorf("it shows more than %d signatures beside one body", maxSignatures)
		}
		d.signatures = append(d.signatures, &signature{bytes.Clone(s), from, false})
	}
	return nil
}

// is says whether a leaf of one of these kinds showed it.
func (d *doc) is(kinds ...string) bool {
	return slices.ContainsFunc(d.kinds, func(k string) bool { return slices.Contains(kinds, k) })
}

// A naming is a body under an id that others gave: a signed transaction's hash, a proof's statement.
type naming struct {
	raw  []byte
	from string // where it is shown
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
	fetch      tlog.Fetch
	keys       tlog.Keys
	operator   string    // that the roster says; "" for a stranger's
	generation uint64    // how often its node was restored
	renewed    time.Time // when it was begun anew, if it was
	checkpoint tlog.Checkpoint
	signed     []byte
	seen       [][]byte       // other logs' checkpoints
	named      []tlog.Witness // beyond the circle, as its node names them
	leaves     []tlog.Leaf
	hashes     []tlog.Hash // stored hashes of the tree
	times      []time.Time // of leaves: none lies before the one before it, or ahead of the reader's clock
	bare       []int       // leaves that stand for a body, and this log shows none
	at         map[place]int
	first      int64         // so many leaves are of the first release
	back       time.Duration // the most that its clock ran back
	ahead      time.Duration // the most that it was ahead of the reader's
	lost       int           // things of before it was restored that others tell of
	reach      time.Time     // up to when it is shown, by anybody's clock
	twice      []int         // leaves whose id stood before under the same kind, where each may stand once
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
	h := &history{source: s.Name, fetch: s.Fetch, at: map[place]int{}}
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
	if err := v.keep(h, tlog.KindStatement, keys.ID(), tlog.Body{Content: keys.Bytes(), Signatures: [][]byte{signature}}); err != nil {
		return nil, err
	}
	if raw, err = s.Fetch(tlog.PathSeen); err == nil {
		h.seen, err = tlog.DecodeSeen(raw)
	}
	if err != nil && !errors.Is(err, ErrNotThere) {
		return nil, err
	}
	if raw, err = s.Fetch(tlog.PathWitnesses); err == nil {
		h.named, err = tlog.DecodeWitnesses(raw)
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

// kindFirst is the kind of the leaves of the first release, as they are filed.
const kindFirst = "of the first release"

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
	leaf.Kind = kindFirst
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
		h.tick(leaf.Time, v.Now)
		return h.fileFirst(n, leaf)
	}
	key := place{leaf.Kind, leaf.ID}
	if i, before := h.at[key]; !before {
		h.at[key] = int(n)
	} else if once[leaf.Kind] && !h.leaves[i].First {
		h.twice = append(h.twice, int(n))
	}
	h.leaves = append(h.leaves, leaf)
	h.tick(leaf.Time, v.Now)
	if len(body.Content) == 0 {
		if bodied[leaf.Kind] {
			h.bare = append(h.bare, int(n))
		}
		return nil
	}
	if pair := [2][32]byte{leaf.About, leaf.ID}; leaf.About != [32]byte{} && !v.paired[pair] {
		v.paired[pair] = true
		v.about[leaf.About] = append(v.about[leaf.About], leaf.ID)
	}
	if tlog.Named(leaf.Kind) { // whether it has that name is looked at where chains are known
		if !slices.ContainsFunc(v.named[leaf.ID], func(o naming) bool { return o.from == h.source || bytes.Equal(o.raw, body.Content) }) {
			v.named[leaf.ID] = append(v.named[leaf.ID], naming{bytes.Clone(body.Content), h.source})
		}
		return nil
	}
	if d := v.docs[leaf.ID]; (d == nil || !bytes.Equal(d.content, body.Content)) && !leaf.Fits(body) {
		return fmt.Errorf("leaf %d (%s): the body that is shown is not what its id names", n, leaf.Kind)
	}
	if err := v.keep(h, leaf.Kind, leaf.ID, body); err != nil {
		return fmt.Errorf("leaf %d (%s): %w", n, leaf.Kind, err)
	}
	return nil
}

func (v *verifier) keep(h *history, kind string, id [32]byte, body tlog.Body) error {
	d := v.docs[id]
	if d == nil {
		d = &doc{id: id, content: bytes.Clone(body.Content)}
		v.docs[id] = d
		v.order = append(v.order, d)
	}
	if bodied[kind] && !slices.Contains(d.kinds, kind) {
		d.kinds = append(d.kinds, kind)
	}
	return d.add(body.Signatures, h.source)
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
