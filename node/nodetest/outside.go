package nodetest

import (
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// What outsiders see of a World, and what a thief of enough shares could do.

// PublishAll waits until every host's whole log is cosigned by all others, and shares of a vault are proved everywhere, and reads what they publish.
func (w *World) PublishAll() (all []*Published) {
	w.T.Helper()
	w.Run("every log is cosigned, and every share proved", func() bool {
		return w.All(func(h *Host) bool {
			head, err := h.Journal.Head(context.Background())
			_, shown, by := h.Witness.Checkpoint()
			proved := 0
			for _, b := range h.Pulse.Beats() {
				if len(b.Shares) > 0 {
					proved++
				}
			}
			return err == nil && head == shown && len(by) == len(w.Hosts)-1 && proved == len(w.Hosts)
		})
	})
	for _, h := range w.Hosts {
		all = append(all, w.Publish(h))
	}
	return all
}

// Write puts what a host publishes into a folder.
func (p *Published) Write(dir string) error {
	files, err := p.Files()
	if err != nil {
		return err
	}
	for name, b := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Pose is the log with keys that an identity signed over another name or generation: what a hostile operator may serve, or one whose node was restored.
func (p *Published) Pose(name string, identity ed25519.PrivateKey, generation uint64) (*Published, error) {
	k := tlog.KeysFor(name, identity, generation, p.Leaves[0].Time)
	s, err := k.Statement(statement.Salt{1})
	if err != nil {
		return nil, err
	}
	signature, err := signet.SignNode(identity, s)
	if err != nil {
		return nil, err
	}
	out := *p
	out.Origin, out.Keys = k.Origin, tlog.EncodeKeys(s, signature)
	out.key, _ = tlog.Derive(identity, generation)
	return &out, out.Sign()
}

// Steal takes the shares of a vault off enough hosts' disks and makes up the private key at a path: what no node ever does.
func (w *World) Steal(vault statement.ID, path hd.Path) group.Scalar {
	w.T.Helper()
	v, ok := w.Hosts[0].Keeper.Root(vault, w.Suite)
	if !ok || v.Current == nil {
		w.T.Fatal("the vault has no key")
	}
	rec := v.Current.Record
	var points []share.Index
	var values []group.Scalar
	for _, m := range rec.Members[:rec.Threshold] {
		keys, err := w.Keys(w.Find(m.Identity), rec)
		if err != nil {
			w.T.Fatal(err)
		}
		points, values = append(points, m.Index), append(values, keys.Share)
	}
	root, err := share.Interpolate(rec.Public.Group(), points, values)
	if err != nil {
		w.T.Fatal(err)
	}
	_, shift, err := hd.Derive(rec.Public, rec.ChainCode, path)
	if err != nil {
		w.T.Fatal(err)
	}
	return root.Add(shift)
}
