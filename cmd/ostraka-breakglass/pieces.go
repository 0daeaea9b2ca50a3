package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/backup/paper"
	"github.com/ostraka/ostraka/custody/breakglass"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/guardian"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
	node "github.com/ostraka/ostraka/node/backup"
)

// given is all that was brought, opened. It is wiped as a whole.
type given struct {
	vault     string
	doc       charter.Document
	facts     []backup.KeyFacts
	exports   []*node.Opened
	files     []string // of exports, for people
	bundles   []paper.Bundle
	guardians []guardian.Key
	names     []string // of guardians' files
	tell      io.Writer
}

func (g *given) wipe() {
	for _, o := range g.exports {
		o.Wipe()
	}
	for _, b := range g.bundles {
		b.Wipe()
	}
	for _, k := range g.guardians {
		k.Wipe()
	}
}

// gather opens everything. Whatever cannot be opened, or is not of this vault, is named.
func (a *app) gather(doc charter.Document, vault string, x opening) (*given, error) {
	g := &given{vault: vault, doc: doc, tell: a.err}
	err := a.gatherAll(g, x)
	if err != nil {
		g.wipe()
		return nil, err
	}
	return g, nil
}

func (a *app) gatherAll(g *given, x opening) error {
	for _, path := range x.facts {
		f, err := readFacts(path, g.doc, g.vault)
		if err != nil {
			return err
		}
		g.facts = append(g.facts, f.Keys...)
	}
	ids, err := a.identities(x.identities)
	if err != nil {
		return err
	}
	for _, path := range x.exports {
		if err := g.export(path, ids); err != nil {
			return err
		}
	}
	if err := g.sheets(x.sheets); err != nil {
		return err
	}
	passFiles := slices.Clone(x.passFiles)
	for _, path := range x.guardians {
		k, err := a.guardianKey(path, ids, &passFiles)
		if err != nil {
			return err
		}
		g.guardians, g.names = append(g.guardians, k), append(g.names, path)
	}
	if len(passFiles) > 0 {
		return usage("--passphrase-file: more are given than guardians' files that open with one")
	}
	if len(g.exports)+len(g.bundles) == 0 {
		return usage("%w: give --export or --sheet, and --guardian where shares are too few", errNoPieces)
	}
	return nil
}

func (g *given) export(path string, ids []age.Identity) error {
	if len(ids) == 0 {
		return usage("give --identity: the private key that opens %s", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	o, err := node.Open(f, ids...)
	if err != nil {
		return unverified("check the private keys; else take another copy of the export", "open %s: %w", path, err)
	}
	g.exports, g.files = append(g.exports, o), append(g.files, path)
	facts := o.Facts(g.vault)
	if o.Header.Circle != g.doc.Circle || facts == nil {
		return refused("leave it out", "%s: it is of circle %q, and holds no share of vault %s", path, o.Header.Circle, g.vault)
	}
	g.facts = append(g.facts, facts.Keys...)
	return nil
}

// sheets reads files of one sheet each, scanned or typed, and puts each set together.
func (g *given) sheets(paths []string) error {
	type set struct {
		key, record [32]byte
		operator    string
		number      uint16
	}
	var order []set
	sets := map[set][]paper.Sheet{}
	defer func() {
		for _, s := range slices.Concat(slices.Collect(maps.Values(sets))...) {
			s.Wipe()
		}
	}()
	for _, path := range paths {
		b, err := readBounded(path, maxIdentity)
		if err != nil {
			return err
		}
		s, err := readSheet(string(b))
		clear(b)
		if err != nil {
			return unverified("compare the file with the sheet, letter by letter", "%s: %w", path, err)
		}
		if s.Circle != g.doc.Circle || s.Vault != g.vault {
			s.Wipe()
			return refused("leave it out", "%s: it is a sheet of vault %s of circle %q, not of vault %s of %q", path, s.Vault, s.Circle, g.vault, g.doc.Circle)
		}
		at := set{s.Key, s.Record, s.Operator, s.Set}
		if sets[at] == nil {
			order = append(order, at)
		}
		sets[at] = append(sets[at], s)
	}
	for _, at := range order {
		b, err := paper.Restore(sets[at])
		if err != nil {
			return unverified("find the missing sheets, or leave this set out", "sheets of operator %s, set %d: %w", at.operator, at.number, err)
		}
		g.bundles = append(g.bundles, b)
	}
	return nil
}

func readSheet(text string) (paper.Sheet, error) {
	if strings.HasPrefix(strings.TrimSpace(text), paper.Prefix) {
		return paper.Scan(text)
	}
	return paper.Typed(text)
}

// key is the public side of a key that the statement names: of the files that have it in that epoch, one with what is encrypted to the guardians.
func (g *given) key(t breakglass.Target) (*breakglass.Key, error) {
	var best *backup.KeyFacts
	for i, f := range g.facts {
		cert, err := epoch.DecodeFinalCert(f.Cert)
		if err != nil {
			return nil, unverified("take another copy of the file", "public facts of key %x: %w", f.KeyID[:6], err)
		}
		if cert.Record.Hash() == t.Epoch && (best == nil || len(best.Set) == 0) {
			best = &g.facts[i]
		}
	}
	if best == nil {
		return nil, refused("give --facts, or an export of this epoch", "no file here has the record of epoch %d (%v) of key %x: without it no piece can be checked", t.Number, t.Epoch, t.KeyID[:6])
	}
	k, err := breakglass.OpenKey(g.doc, best.Cert, best.Plan, best.Set)
	if err != nil {
		return nil, unverified("take another copy of the file", "%w", err)
	}
	return k, nil
}

// assemble hands in every piece of one key, and rebuilds it.
func (g *given) assemble(k *breakglass.Key) (*breakglass.Root, error) {
	a := k.Assemble()
	defer a.Wipe()
	suite := k.Record.Suite
	for i, o := range g.exports {
		for _, x := range o.Keys {
			if x.Name != g.vault || x.Suite != suite {
				continue
			}
			p := breakglass.Piece{From: g.files[i], KeyID: x.KeyID, Number: x.Epoch, Epoch: epoch.Hash(x.Key.Record), Party: session.IDOf(o.Header.Identity), Share: x.Secret, Mask: x.Hidden}
			if err := a.Operator(p); err != nil {
				return nil, bad(err)
			}
		}
	}
	for _, b := range g.bundles {
		if b.Suite != suite {
			continue
		}
		if err := handIn(a, k, b); err != nil {
			return nil, bad(err)
		}
	}
	if err := g.values(a, k); err != nil {
		return nil, err
	}
	root, err := a.Rebuild()
	var few *breakglass.TooFewError
	if errors.As(err, &few) {
		return nil, fail(codeNotReady, fmt.Errorf("vault %s, suite %s: %w", g.vault, suite, err), "nothing was rebuilt or written; find more pieces of this epoch")
	}
	return root, err
}

// values opens what guardians have, with their key files. A file of nobody's here is refused.
func (g *given) values(a *breakglass.Assembly, k *breakglass.Key) error {
	for i, own := range g.guardians {
		id, value, spoiled, err := k.Value(own)
		if err != nil {
			return bad(fmt.Errorf("%s: %w", g.names[i], err))
		}
		for _, s := range spoiled {
			fmt.Fprintf(g.tell, "note: %s: %s\n", oneLine(g.names[i]), oneLine(s.Error()))
		}
		err = a.Guardian(id, value)
		value.Wipe()
		if err != nil {
			return bad(err)
		}
	}
	return nil
}

// handIn takes what a set of sheets gave.
func handIn(a *breakglass.Assembly, k *breakglass.Key, b paper.Bundle) error {
	g := k.Record.Public.Group()
	p := breakglass.Piece{From: "sheets of operator " + b.Operator, KeyID: b.Key, Number: b.Epoch, Epoch: epoch.Hash(b.Record)}
	p.Party, _ = k.At(b.Party)
	var err error
	if p.Share, err = scalar(g, b.Share.Expose()); err != nil {
		return err
	}
	defer p.Share.Wipe()
	if b.Mask.Len() > 0 {
		if p.Mask, err = scalar(g, b.Mask.Expose()); err != nil {
			return err
		}
		defer p.Mask.Wipe()
	}
	return a.Operator(p)
}

func scalar(g group.Group, b []byte) (group.Scalar, error) {
	s, err := g.DecodeScalar(b)
	if err != nil {
		return nil, errors.New("what the sheets give is no scalar of the suite") // the decoder's words could carry it
	}
	return s, nil
}

// bad is a piece that was refused.
func bad(err error) error {
	return unverified("leave this piece out, and find out where it comes from; take another copy", "%w", err)
}
