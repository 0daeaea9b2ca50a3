package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/offsite"
	draw "github.com/ostraka/ostraka/client/paper"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/backup/paper"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/session"
	node "github.com/ostraka/ostraka/node/backup"
)

type paperDocument struct {
	backupDocument
	Files   []string `json:"files"`
	Receipt string   `json:"receipt"`
}

// cutPaper makes sheets of an export, offline. The receipt is signed with the identity key that the export holds: a node takes no other's.
func (a *app) cutPaper(ctx context.Context, x cutting) error {
	switch {
	case statement.CheckLabel(x.place) != nil:
		return usage("give --place: where the sheets are to lie, as the charter names it")
	case x.from == "" || x.identity == "":
		return usage("give --export FILE and --identity FILE, the private key that opens it: sheets are made offline")
	case x.out == "":
		return usage("give --out: a folder for the pages")
	}
	if err := a.lookAs("--export", x.from, fileExport); err != nil {
		return err
	}
	f, err := seekable(ctx, x.from)
	if err != nil {
		return err
	}
	defer f.Close()
	ids, err := a.identities(x.identity)
	if err != nil {
		return err
	}
	o, err := node.Open(f, ids...)
	if err != nil {
		return unverified("check the private key; else take another copy of the export", "open %s: %w", x.from, err)
	}
	defer o.Wipe()
	h := o.Header
	h.Level, h.Place, h.Created, h.Recipients, h.Size, h.Sum = charter.Paper, x.place, time.Now().UTC().Truncate(time.Second), 0, 0, backup.Hash(o.Signed)
	h.Quorum, h.Count = x.quorum, x.sheets
	key := ed25519.NewKeyFromSeed(o.Secrets.Seed.Expose())
	defer secret.Wipe(key)
	signed, err := h.Sign(key)
	if err != nil {
		return usage("-k and -m: %w", err)
	}
	d := paperDocument{backupDocument: backupOf("", signed, h), Files: []string{}}
	for _, k := range o.Keys {
		files, err := printSheets(h, k, x.out)
		if err != nil {
			return err
		}
		d.Files = append(d.Files, files...)
	}
	d.Receipt = filepath.Join(x.out, exportName(h, offsite.SuffixReceipt))
	if err := client.CreatePrivate(d.Receipt, append(backup.Front(len(signed)), signed...)); err != nil {
		return fmt.Errorf("write the receipt: %w", err)
	}
	return a.show(d, func(w io.Writer) {
		d.print(w, time.Now())
		fmt.Fprintf(w, "Pages: %s\nReceipt, which holds no secret: %s\n\nNext:\n  1. Print the pages, and destroy the files and what the printer keeps: whoever has %d of a set has your share.\n"+
			"  2. Carry the receipt to your node: `ostraka backup register %s`.\n", join(d.Files), d.Receipt, h.Quorum, filepath.Base(d.Receipt))
	})
}

func join(files []string) string {
	var b bytes.Buffer
	for _, f := range files {
		fmt.Fprintf(&b, "\n  %s", f)
	}
	return b.String()
}

// printSheets writes each sheet of a key into a document of its own, so that they are apart from the beginning. The sheets are put together again first: one
// that brings nothing back is found now.
func printSheets(h backup.Header, k node.OpenedKey, dir string) (files []string, err error) {
	m, ok := k.Record.Member(session.IDOf(h.Identity))
	if !ok {
		return nil, errors.New("the export's operator is no member of its own epoch")
	}
	label := paper.Label{
		Circle: h.Circle, Vault: k.Name, Operator: h.Operator, Key: k.KeyID, Suite: k.Suite, Epoch: k.Epoch, Record: [32]byte(k.Key.Record), Party: share.Index(m.Index), Created: h.Created,
	}
	own := secret.New(k.Secret.Bytes())
	defer own.Wipe()
	var mask secret.Bytes
	if k.Hidden != nil {
		mask = secret.New(k.Hidden.Bytes())
		defer mask.Wipe()
	}
	sheets, err := paper.Cut(label, own, mask, h.Quorum, h.Count, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("vault %s: %w", k.Name, err)
	}
	defer func() {
		for _, s := range sheets {
			s.Wipe()
		}
	}()
	back, err := paper.Restore(sheets[:h.Quorum])
	if err != nil {
		return nil, fmt.Errorf("vault %s: put the sheets together again: %w", k.Name, err)
	}
	same := back.Share.Equal(own)
	back.Wipe()
	if !same {
		return nil, fmt.Errorf("vault %s: the sheets give another share back", k.Name)
	}
	for i, s := range sheets {
		path := filepath.Join(dir, fmt.Sprintf("%s_%s_epoch-%d_sheet-%d-of-%d.pdf", k.Name, k.Suite, k.Epoch, i+1, len(sheets)))
		if err := writePage(path, s); err != nil {
			return files, err
		}
		files = append(files, path)
	}
	return files, nil
}

// writePage writes straight to its name: a secret in plain must not lie under another as well.
func writePage(path string, s paper.Sheet) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write a sheet: %w", err)
	}
	err = draw.Write(f, []paper.Sheet{s})
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(path)))
	}
	return nil
}
