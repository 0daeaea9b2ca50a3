package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/offsite"
	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/charter"
	daemon "github.com/ostraka/ostraka/node"
	node "github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/seal"
)

// restoring are the flags of a restore.
type restoring struct {
	identity, operator, circle string
	check, offline, makes      bool
	seal                       []string
	given                      secrets
	memory                     uint32 // MiB
}

func (a *app) backupRestoreCommand() *cobra.Command {
	var x restoring
	c := &cobra.Command{
		Use: "restore EXPORT", Short: "Make your node's folder again from an export, or with --check see that it opens", Args: exactly("EXPORT"),
		Long: "Makes the folder of --dir, which must be empty or absent, under a new passphrase, or what --seal says. The nodes of the context are asked first which epoch is in force: an older\n" +
			"share is of no use, and is refused. Where no node can be asked, say --offline. The node that starts from it signs nothing until you have said that no other copy\n" +
			"runs (`ostraka node confirm-restore --no-other-copy`); pairs are burned until `ostraka vault refresh`; limits count as full until their windows are over.\n" +
			"--check opens everything, holds each share and mask to its point, and writes nothing: your own drill.",
		Example: "  ostraka backup restore acme.ostraka-export --identity key.txt --check\n  ostraka backup restore acme.ostraka-export --identity key.txt --dir /srv/ostraka",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := a.within(c.Context(), exportTimeout)
			defer cancel()
			return a.backupRestore(ctx, args[0], x)
		},
	}
	f := c.Flags()
	f.StringVarP(&x.identity, "identity", "i", "", "private key that opens the export: age's, or one of its plugins' (required)")
	f.BoolVar(&x.check, "check", false, "open everything, and write nothing")
	f.BoolVar(&x.offline, "offline", false, "ask no node which epoch is in force")
	f.StringVar(&x.operator, "operator", "", "refuse an export of another operator")
	f.StringVar(&x.circle, "circle", "", "refuse an export of another circle")
	sealFlags(f, &x.seal, &x.makes)
	x.given.flags(f, "new ")
	memoryFlag(f, &x.memory)
	return c
}

type restoreDocument struct {
	backupDocument
	Dir string `json:"dir,omitempty"` // absent with --check
}

func (a *app) backupRestore(ctx context.Context, path string, x restoring) error {
	if x.identity == "" {
		return usage("give --identity: the private key that opens the export")
	}
	cost, err := passphraseCost(x.memory)
	if err != nil {
		return err
	}
	slot, err := slotOf(seal.MainSlot, x.seal)
	if err != nil {
		return err
	}
	if !x.check {
		if err := daemon.Vacant(a.dir); err != nil {
			return refused("name an empty folder with --dir", "%w", err)
		}
	}
	f, signed, h, err := a.anExport(ctx, path)
	if err != nil {
		return err
	}
	defer f.Close()
	if x.operator != "" && x.operator != h.Operator || x.circle != "" && x.circle != h.Circle {
		return refused("take the export that you mean", "%s is an export of operator %s in circle %s", path, h.Operator, h.Circle)
	}
	if !x.offline {
		if err := a.notOlder(ctx, path, signed, h); err != nil {
			return err
		}
	}
	ids, err := a.identities(x.identity)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	o, err := node.Open(f, ids...)
	if err != nil {
		return unverified("check the private key; else take another copy of the export", "open %s: %w", path, err)
	}
	defer o.Wipe()
	d := restoreDocument{backupDocument: backupOf(path, signed, h)}
	if x.check {
		return a.show(d, func(w io.Writer) {
			d.print(w, time.Now())
			fmt.Fprintf(w, "It opens: every share and mask matches its public point, and %d rows are whole. Nothing was written.\n", len(o.Rows))
		})
	}
	ring := a.ring(x.given, true, cost)
	ring.Make = x.makes
	defer ring.Close() //nolint:errcheck // what it held ends with this program
	if err := daemon.Restore(ctx, time.Now(), a.dir, o, ring.Open, rand.Reader, slot); err != nil {
		return err
	}
	d.Dir = a.dir
	return a.show(d, func(w io.Writer) {
		d.print(w, time.Now())
		fmt.Fprintf(w, "\nThe node of %s is in %s again.\n\nNext:\n  1. Make sure that the old node, and every copy of it, is gone for good.\n  2. `ostraka node run --dir %s`, then `ostraka node confirm-restore --no-other-copy --dir %s`.\n"+
			"  3. Every operator runs `ostraka vault refresh VAULT`; after that, cut a new export.\n", h.Operator, a.dir, a.dir, a.dir)
	})
}

// anExport opens an export and checks it unopened.
func (a *app) anExport(ctx context.Context, path string) (f *os.File, signed []byte, h backup.Header, err error) {
	if err := a.lookAs("", path, fileExport); err != nil {
		return nil, nil, h, err
	}
	if f, err = seekable(ctx, path); err != nil {
		return nil, nil, h, err
	}
	switch signed, h, err = node.Look(f); {
	case err != nil:
		err = a.damagedFile("", path, fileExport, err)
	case h.Level != charter.Export: // from a bucket
		err = a.misfiled("", path, fileReceipt, fileExport)
	}
	if err != nil {
		f.Close()
	}
	return f, signed, h, err
}

// seekable opens an export that can be read twice: a file, or a bucket's object, of which a copy is made; it is encrypted.
func seekable(ctx context.Context, path string) (*os.File, error) {
	if !strings.HasPrefix(path, "s3://") {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read the export: %w", err)
		}
		return f, nil
	}
	at, err := offsite.At(path, 0)
	if err != nil {
		return nil, usage("%s: %w", path, err)
	}
	r, err := at.Open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer r.Close()
	f, err := at.Spool()
	if err != nil {
		return nil, err
	}
	os.Remove(f.Name()) //nolint:errcheck // it is open
	if _, err := io.Copy(f, r); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return f, nil
}

// notOlder refuses an export whose epoch is over: its share is of no use any more, and a node with it would only say so later (protocols.md 5.4, 6.6).
func (a *app) notOlder(ctx context.Context, path string, signed []byte, h backup.Header) error {
	all, err := a.epochsInForce(ctx)
	if err != nil {
		return fail(explain(err).Code, fmt.Errorf("ask which epoch is in force: %w", err), "name the nodes with --context; or, where none is left, give --offline")
	}
	d := backupOf(path, signed, h)
	for i, s := range all.states(h) {
		if s.void {
			return refused("look for a newer export, or have the others reshare the vault without this operator: `ostraka vault reshare`", "%s is not restored: vault %s: %s", path, d.Keys[i].Vault, s.why)
		}
	}
	return nil
}

// epochsInForce asks the nodes of the context, without a key.
func (a *app) epochsInForce(ctx context.Context) (epochs, error) {
	_, c, err := a.chosen()
	if err != nil {
		return epochs{}, err
	}
	circle := client.Dial(c, nil, client.Cache{})
	defer circle.Close()
	b, failed, err := circle.Backups(ctx, false)
	if err != nil {
		return epochs{}, err
	}
	a.down(failed)
	chain, _, err := circle.Chain(ctx)
	return epochs{chain, b}, err
}
