package rehearse

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/mpc/ceremony"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/seal/passphrase"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
	"github.com/ostraka/ostraka/node/store/tagged"
)

var harmony = Story{
	Name:     "harmony",
	Incident: "June 2022, about 100 million dollars: two of five keys were enough, and servers held them where a thief could read them",
	tell:     tellHarmony,
}

func tellHarmony(ctx context.Context, t *tale) error {
	if err := t.twoOfFive(ctx); err != nil {
		return err
	}
	if err := t.open(ctx); err != nil {
		return err
	}
	return t.stolenDisk(ctx)
}

func (t *tale) twoOfFive(ctx context.Context) error {
	s, err := standard(5)
	if err != nil {
		return err
	}
	file, err := s.File()
	if err != nil {
		return err
	}
	folder, err := t.writeCharter(thresholdOf(file, 2), charter.StartPolicy)
	if err != nil {
		return err
	}
	if _, err := t.lintRefuses(ctx, "2 of 5 sign", folder, "majority"); err != nil {
		return err
	}
	if folder, err = t.writeCharter(thresholdOf(file, 3), charter.StartPolicy); err != nil {
		return err
	}
	return t.lintPasses(ctx, "the same five, 3 of 5 sign", folder, [3]int{3, 3, 4})
}

// stolenDisk: somebody carries acme's data folder and its log away, without the passphrase.
func (t *tale) stolenDisk(ctx context.Context) error {
	t.to.Busy("acme's node is stopped, and its folder and log copied")
	acme := t.operator("acme")
	t.circle.Halt(acme)
	stolen, err := t.folder()
	if err != nil {
		return err
	}
	if err := carry(acme.Dir, stolen+"/node"); err != nil {
		return err
	}
	log, err := os.ReadFile(acme.Log)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(stolen, "log"), log, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(stolen, "passphrase"), []byte(rand.Text()+"\n"), 0o600); err != nil {
		return err
	}
	r, err := t.run(ctx, "node", "run", "--dir", stolen+"/node", "--passphrase-file", stolen+"/passphrase")
	if err != nil {
		return err
	}
	x := Step{What: "a thief runs the copied folder with a passphrase of their own: `ostraka node run`", Outcome: fmt.Sprintf("exit %d: %s", r.code, shorten(r.said()))}
	if x.Held = r.code != 0 && strings.Contains(r.errs, passphrase.ErrPassphrase.Error()); x.Held {
		x.Rule = passphrase.ErrPassphrase.Error()
	}
	t.step(x)
	if err := t.scanFolder(ctx, acme, stolen); err != nil {
		return err
	}
	if err := t.back(ctx, []*local.Operator{acme}); err != nil {
		return err
	}
	return t.pays(ctx, "acme's node runs again on its own folder; alice asks for a payment")
}

// carry copies a folder, and keeps others out of the copy, as nodes ask.
func carry(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	})
}

// scanFolder looks through a folder with the copy of a node's, and its log, for the share that the owner finds in it, having the passphrase.
func (t *tale) scanFolder(ctx context.Context, o *local.Operator, dir string) error {
	share, err := t.shareIn(ctx, o, filepath.Join(dir, "node"))
	if err != nil {
		return err
	}
	defer secret.Wipe(share)
	forms := writings(share)
	found, size, err := scan(dir, forms)
	if err != nil {
		return err
	}
	x := Step{
		What:    "acme's share, which acme opened with its own passphrase, is looked for in the copied folder and the node's log",
		Outcome: fmt.Sprintf("found %d times in %d bytes, looked for in %d forms of writing", len(found), size, len(forms)), Held: len(found) == 0 && size > 0,
	}
	if x.Held {
		x.Rule = "sealed"
	}
	t.step(x)
	// A scan that finds nothing anywhere shows nothing.
	var missed []string
	for name, text := range forms {
		if err := os.WriteFile(filepath.Join(dir, "planted"), []byte("x"+text+"x"), 0o600); err != nil {
			return err
		}
		if found, _, err = scan(dir, forms); err != nil {
			return err
		}
		if !slices.Contains(found, name) {
			missed = append(missed, name)
		}
	}
	t.step(Step{
		What:    "the same scan of the folder with the share planted in it, in one form after another",
		Outcome: fmt.Sprintf("found in %d of %d forms", len(forms)-len(missed), len(forms)), Held: len(missed) == 0,
	})
	return nil
}

// shareIn opens a node's folder as its operator can, and reads the share of the vault's key.
func (t *tale) shareIn(ctx context.Context, o *local.Operator, dir string) ([]byte, error) {
	v, err := t.vault(ctx)
	if err != nil {
		return nil, err
	}
	root, err := v.Root("")
	if err != nil {
		return nil, err
	}
	pass, err := os.ReadFile(o.Passphrase)
	if err != nil {
		return nil, err
	}
	ring := keys.ByPassphrase(secret.New(bytes.TrimSpace(pass)), rand.Reader)
	defer ring.Close() //nolint:errcheck // what it held ends with this program
	box, _, err := seal.OpenFile(ctx, filepath.Join(dir, "key.json"), seal.Label{Row: "node"}, ring.Open, rand.Reader)
	if err != nil {
		return nil, err
	}
	defer box.Wipe()
	st, err := bolt.Open(filepath.Join(dir, "store"), bolt.Options{})
	if err != nil {
		return nil, err
	}
	defer st.Close()
	mac, err := box.MAC(transcript.StoreTagKey)
	if err != nil {
		return nil, err
	}
	defer mac.Wipe()
	rows := tagged.New(st, mac)
	self, eh := mpc.IDOf(o.Identity), root.Record.Hash()
	loaded, err := ceremony.Load(root.Record, self, func(row string) (secret.Bytes, error) {
		it, err := rows.Get(ctx, store.Key("epoch", store.ID(root.Record.KeyID[:]), store.ID(eh[:]), store.Name(row)))
		if err != nil {
			return secret.Bytes{}, err
		}
		return box.Open(seal.Label{Key: root.Record.KeyID[:], Epoch: eh[:], Operator: self[:], Row: row}, it.Value)
	})
	if err != nil {
		return nil, fmt.Errorf("open acme's share: %w", err)
	}
	return loaded.Share.Bytes(), nil
}

// writings are the ways in which a share may have been written down.
func writings(share []byte) map[string]string {
	back := slices.Clone(share)
	slices.Reverse(back)
	out := map[string]string{"decimal": new(big.Int).SetBytes(share).String()}
	for order, b := range map[string][]byte{"": share, ", reversed": back} {
		out["raw"+order], out["hex"+order] = string(b), hex.EncodeToString(b)
		out["HEX"+order] = strings.ToUpper(hex.EncodeToString(b))
		out["escaped"+order] = strings.Trim(strconv.Quote(string(b)), `"`) // as logs write bytes
		out["list"+order] = strings.Trim(fmt.Sprint(b), "[]")
		out["list with commas"+order] = strings.ReplaceAll(out["list"+order], " ", ", ")
		for shift := range 3 { // base64 of a longer text that holds it, without the digits that its neighbours share
			text := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), b...))
			out[fmt.Sprintf("base64 at %d%s", shift, order)] = text[(shift*8+5)/6 : len(text)-2]
		}
	}
	return out
}

// scan names the forms that stand in any file below a folder.
func scan(dir string, forms map[string]string) (found []string, size int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		for name, form := range forms {
			if bytes.Contains(text, []byte(form)) {
				found = append(found, name)
			}
		}
		size += len(text)
		return err
	})
	slices.Sort(found)
	return found, size, err
}
