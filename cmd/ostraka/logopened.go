package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// readOpened reads what log read wrote: entries with their bodies, each held to its leaf, and people's words for what they name, as far as these
// very entries say.
func readOpened(dir string) (size uint64, all []logEntry, n names32, err error) {
	raw, err := readBounded(filepath.Join(dir, tlog.PathOpened), tlog.MaxOpened)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, n, fail(codeError, fmt.Errorf("%s holds nothing that an operator opened", dir), "name the folder that `ostraka log read FILE FOLDER` wrote")
	}
	if err != nil {
		return 0, nil, n, err
	}
	o, err := tlog.DecodeOpened(raw)
	if err == nil {
		var head tlog.Head
		head, err = o.Head()
		size = uint64(head.Size)
	}
	if err != nil {
		return 0, nil, n, unverified("decrypt the file again, with `ostraka log read`", "%w", err)
	}
	n = names32{map[[32]byte]string{}, map[string]string{}, map[string]ed25519.PublicKey{}}
	for _, l := range o.Leaves {
		all = append(all, logEntry{uint64(l.Index), l.Filed})
		n.learn(l.Content)
	}
	return size, all, n, nil
}

// learn takes the names that a statement tells: of a vault, of operators and their officers, of people.
func (n names32) learn(content []byte) {
	s, err := statement.Parse(content)
	if err != nil {
		return
	}
	switch s.Kind() {
	case statement.Vault:
		n.vaults[s.ID()] = s.Get("name")
	case statement.Roster:
		if r, err := charter.RosterOf(s); err == nil {
			for _, o := range r.Operators {
				n.nodes[o.Name] = o.Identity
				for _, k := range o.Officers {
					n.people[k.String()] = "officer of " + o.Name
				}
			}
		}
	case statement.Charter:
		if c, err := charter.Of(s); err == nil {
			for _, p := range c.Document.People {
				for _, k := range p.Keys {
					n.people[k.String()] = p.Name + " of " + p.Organisation
				}
			}
		}
	}
}

// listOpened lists the entries of a folder.
func (a *app) listOpened(f listFlags) error {
	size, all, n, err := readOpened(f.folder)
	if err != nil {
		return err
	}
	from, until, err := f.times()
	if err != nil {
		return err
	}
	vault, err := n.find(f.vault)
	if err != nil {
		return err
	}
	var found []logEntry
	for _, e := range all {
		if e.index >= f.first && (f.kind == "" || e.Kind == f.kind) && (vault == nil || string(vault) == string(e.Vault[:])) && within(e.Time, from, until) {
			found = append(found, e)
		}
	}
	if f.last > 0 {
		found = found[max(0, len(found)-int(min(f.last, uint64(len(found))))):]
	}
	return a.showEntries(size, found, n)
}

// openedEntry is one entry of a folder.
func openedEntry(dir, which string) (e logEntry, n names32, err error) {
	_, all, n, err := readOpened(dir)
	if err != nil {
		return e, n, err
	}
	number, numbered := entryNumber(which)
	for _, e := range all {
		if numbered && e.index == number || !numbered && strings.HasPrefix(hex.EncodeToString(e.ID[:]), which) {
			return e, n, nil
		}
	}
	return e, n, fail(codeError, fmt.Errorf("no entry %s was opened", which), "`ostraka log list --folder "+dir+"` shows those that were")
}
