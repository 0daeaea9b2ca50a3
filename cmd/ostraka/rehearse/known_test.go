package rehearse

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/guardian"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
	"github.com/ostraka/ostraka/node/store/tagged"
)

// A hoard is every secret of a circle and its guardians, each under its owner's name, as their owners can read them: operators with their passphrases,
// guardians with their keys.
type hoard struct {
	t      testing.TB
	tale   *tale
	boxes  map[string]*seal.Box // by operator
	cards  []guardian.Card
	keys   []guardian.Key
	scan   *nodetest.Scanner
	added  map[string]bool
	counts map[string]int             // by kind
	epochs map[string]map[uint64]bool // by operator: those of which its store has shares now
}

// past says whether a secret that a scan found in its owner's memory is of an epoch that its store has erased: nothing has a use for it.
func (h *hoard) past(found, owner string) bool {
	_, text, of := strings.Cut(found, ", epoch ")
	var n uint64
	_, err := fmt.Sscanf(text, "%d", &n)
	return of && err == nil && !h.epochs[owner][n]
}

// owned ends the name of a secret: whose it is.
func owned(what, owner string) string { return what + " of " + owner }

// ownerOf is whose a secret is that a scan found.
func ownerOf(found string) string {
	name, _, _ := strings.Cut(found, " as ")
	return name[strings.LastIndex(name, " of ")+len(" of "):]
}

func newHoard(ctx context.Context, t testing.TB, x *tale) *hoard {
	t.Helper()
	h := &hoard{t: t, tale: x, boxes: map[string]*seal.Box{}, scan: nodetest.NewScanner(), added: map[string]bool{}, counts: map[string]int{}, epochs: map[string]map[uint64]bool{}}
	ids, err := age.ParseIdentities(bytes.NewReader(h.must(os.ReadFile(x.guards.identity))))
	h.ok(err)
	for _, o := range x.circle.Operators {
		pass := bytes.TrimSpace(h.must(os.ReadFile(o.Passphrase)))
		box := h.box(ctx, o, pass, ids)
		h.boxes[o.Name] = box
		h.add("passphrase", o.Name, pass)
		h.add("data key", o.Name, box.DataKey().Expose())
		var identity struct{ Sealed []byte }
		h.ok(json.Unmarshal(h.must(os.ReadFile(filepath.Join(o.Dir, "identity.json"))), &identity))
		seed, err := box.Open(seal.Label{Row: "identity of tagged rows"}, identity.Sealed)
		h.ok(err)
		h.add("identity", o.Name, seed.Expose())
		h.add("officer's key", "the officer of "+o.Name, seedOf(h.must(os.ReadFile(o.Officer))))
	}
	for i, file := range x.guards.keys {
		key, err := guardian.ParseKey(h.decrypted(file, ids))
		h.ok(err)
		text := h.decrypted(file, ids)
		h.add("private key, as a line", guardianName(i), text[len(text)/3:len(text)-1])
		dk, err := key.Decryption()
		h.ok(err)
		h.add("decryption key", guardianName(i), dk.Bytes().Expose())
		card, err := key.Card()
		h.ok(err)
		h.keys, h.cards = append(h.keys, key), append(h.cards, card)
	}
	return h
}

// box opens what an operator sealed: by its export, or else by its passphrase, which costs a second.
func (h *hoard) box(ctx context.Context, o *local.Operator, pass []byte, ids []age.Identity) *seal.Box {
	h.t.Helper()
	if file := h.tale.guards.exports[o.Name]; file != "" {
		f, err := os.Open(file)
		h.ok(err)
		defer f.Close()
		x, err := backup.Open(f, ids...)
		h.ok(err)
		box, err := seal.NewBox(secret.Copy(x.Secrets.DataKey.Expose()), rand.Reader)
		h.ok(err)
		return box
	}
	box, _, err := seal.OpenFile(ctx, filepath.Join(o.Dir, "key.json"), seal.Label{Row: "node"}, keys.ByPassphrase(secret.Copy(pass), rand.Reader).Open, rand.Reader)
	h.ok(err)
	return box
}

func guardianName(i int) string { return fmt.Sprintf("guardian-%d", i+1) }

func (h *hoard) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *hoard) must(b []byte, err error) []byte {
	h.t.Helper()
	h.ok(err)
	return b
}

// add makes a secret known, once. A scalar may stand in memory in Montgomery form, too.
func (h *hoard) add(what, owner string, b []byte) {
	if h.added[string(b)] {
		return
	}
	h.added[string(b)] = true
	h.counts[strings.Split(what, ",")[0]]++
	h.scan.Add(owned(what, owner), b)
	if len(b) != 32 {
		return
	}
	q, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
	x := new(big.Int).Lsh(new(big.Int).SetBytes(b), 256)
	h.scan.Add(owned(what+", in Montgomery form", owner), x.Mod(x, q).FillBytes(make([]byte, 32)))
}

func (h *hoard) decrypted(file string, ids []age.Identity) []byte {
	h.t.Helper()
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(h.must(os.ReadFile(file)))), ids...)
	h.ok(err)
	var b bytes.Buffer
	_, err = b.ReadFrom(r)
	h.ok(err)
	return b.Bytes()
}

// seedOf is the secret half of an OpenSSH key file.
func seedOf(file []byte) []byte {
	raw, err := ssh.ParseRawPrivateKey(file)
	if key, ok := raw.(*ed25519.PrivateKey); err == nil && ok {
		return key.Seed()
	}
	return nil
}

// opened opens a copy of an operator's store, which its node may have open: it is copied while the node stands still.
func (h *hoard) opened(o *local.Operator) store.Store {
	h.t.Helper()
	dir := filepath.Join(h.t.TempDir(), "store")
	alive := syscall.Kill(o.PID(), syscall.SIGSTOP) == nil
	out, err := exec.Command("cp", "-a", filepath.Join(o.Dir, "store"), dir).CombinedOutput()
	if alive {
		h.ok(syscall.Kill(o.PID(), syscall.SIGCONT))
	}
	if err != nil {
		h.t.Fatalf("copy the store of %s: %v: %s", o.Name, err, out)
	}
	st, err := bolt.Open(dir, bolt.Options{})
	h.ok(err)
	h.t.Cleanup(func() { st.Close() })
	mac, err := h.boxes[o.Name].MAC(transcript.StoreTagKey)
	h.ok(err)
	return tagged.New(st, mac)
}

func (h *hoard) rows(ctx context.Context, st store.Store, prefix string) (all []store.Item) {
	h.t.Helper()
	for after := ""; ; {
		items, err := st.Range(ctx, prefix, after, store.MaxLimit)
		h.ok(err)
		if all = append(all, items...); len(items) < store.MaxLimit {
			return all
		}
		after = items[len(items)-1].Key
	}
}

// learn adds what an operator's store has sealed now: identity, shares, masks, pairs, keys of ceremonies; and what guardians have of each epoch.
func (h *hoard) learn(ctx context.Context, o *local.Operator) {
	h.t.Helper()
	st, box, self := h.opened(o), h.boxes[o.Name], mpc.IDOf(o.Identity)
	open := func(label seal.Label, sealed []byte) []byte {
		b, err := box.Open(label, sealed)
		h.ok(err)
		return b.Expose()
	}
	all, number := h.rows(ctx, st, store.Prefix("epoch")), map[[32]byte]uint64{}
	for _, it := range all {
		if part := strings.Split(it.Key, "/"); part[3] == protocol.RowRecord {
			r, err := epoch.Decode(it.Value)
			h.ok(err)
			number[h.id(part[2])] = r.Epoch
			h.guards(ctx, st, r)
		}
	}
	h.epochs[o.Name] = map[uint64]bool{}
	for _, it := range all {
		part := strings.Split(it.Key, "/")
		key, eh := h.id(part[1]), h.id(part[2])
		row := strings.ReplaceAll(strings.Join(part[3:], "/"), "%2f", "/")
		switch {
		case protocol.Open(row) || row == "cert" || row == "tested":
		default:
			plain := open(seal.Label{Key: key[:], Epoch: eh[:], Operator: self[:], Row: row}, it.Value)
			what := fmt.Sprintf("%s, epoch %d", row, number[eh])
			h.epochs[o.Name][number[eh]] = true
			if len(plain) > 32 { // of a pair there is much, and all of one sort
				n := 0
				for block := range slices.Chunk(plain[2:], 16) {
					if len(block) == 16 && !bytes.Contains(block, make([]byte, 3)) && n < 32 {
						h.add(fmt.Sprintf("%s, block %d", what, n), o.Name, block)
						n++
					}
				}
				continue
			}
			h.add(what, o.Name, plain)
		}
	}
	for _, it := range h.rows(ctx, st, store.Prefix("sos-key")) {
		key := h.id(strings.Split(it.Key, "/")[3])
		v, err := st.Get(ctx, store.Key("current", store.ID(key[:])))
		h.ok(err)
		f, err := epoch.DecodeFinalCert(v.Value)
		h.ok(err)
		r := f.Record
		if r.Rescued() { // the key is of the epoch before
			prev, err := st.Get(ctx, store.Key("epoch", store.ID(key[:]), store.ID(r.Prev[:]), protocol.RowRecord))
			h.ok(err)
			r, err = epoch.Decode(prev.Value)
			h.ok(err)
		}
		eh := r.Hash()
		seat, err := pve.ParsePrivateKey(open(seal.Label{Key: key[:], Epoch: eh[:], Operator: []byte(o.Name), Row: it.Key}, it.Value))
		h.ok(err)
		h.add("seat's key", o.Name, seat.Bytes().Expose())
		h.dealt(ctx, st, r, o, seat)
	}
}

func (h *hoard) id(text string) (id [32]byte) {
	h.t.Helper()
	copy(id[:], h.must(hex.DecodeString(text)))
	return id
}

// terms are those of an epoch's second sharing.
func (h *hoard) terms(ctx context.Context, st store.Store, r *epoch.Record) (t guard.Terms, set *guard.Set, guarded bool) {
	h.t.Helper()
	eh := r.Hash()
	row := func(name string) []byte {
		it, err := st.Get(ctx, store.Key("epoch", store.ID(r.KeyID[:]), store.ID(eh[:]), store.Name(name)))
		if err != nil {
			return nil
		}
		return it.Value
	}
	plan, raw := row(protocol.RowGuards), row(protocol.RowBackups)
	if r.Guardians == [32]byte{} || plan == nil || raw == nil {
		return t, nil, false
	}
	p, err := guard.DecodePlan(plan)
	h.ok(err)
	set, _, err = r.OpenBackups(p, raw)
	h.ok(err)
	t, err = r.Terms(p)
	h.ok(err)
	return t, set, true
}

// guards adds what each guardian can open of an epoch.
func (h *hoard) guards(ctx context.Context, st store.Store, r *epoch.Record) {
	h.t.Helper()
	t, set, ok := h.terms(ctx, st, r)
	if !ok {
		return
	}
	for i, key := range h.keys {
		dk, err := key.Decryption()
		h.ok(err)
		y, _, err := set.Open(t, h.cards[i].Party(), dk)
		h.ok(err)
		h.add(fmt.Sprintf("value, epoch %d", r.Epoch), guardianName(i), y.Bytes())
	}
}

// dealt adds what guardians dealt to a member of the new committee, which its key of the ceremony opens.
func (h *hoard) dealt(ctx context.Context, st store.Store, r *epoch.Record, o *local.Operator, seat *pve.PrivateKey) {
	h.t.Helper()
	t, _, ok := h.terms(ctx, st, r)
	if !ok {
		return
	}
	for _, it := range h.rows(ctx, st, store.Prefix("sos-given")) {
		a := h.activation(ctx, st, h.id(strings.Split(it.Key, "/")[1]))
		if !slices.ContainsFunc(a.Members, func(m guard.NewMember) bool { return m.Key == seat.Public() }) {
			continue // another attempt's
		}
		c, err := guard.DecodeContribution(t.Group, a, it.Value)
		h.ok(err)
		x, err := c.Open(t, a, mpc.IDOf(o.Identity), seat)
		h.ok(err)
		h.add(fmt.Sprintf("sub-share, by guardian %x", c.Signer[:4]), o.Name, x.Bytes())
	}
}

// activation finds one in the log.
func (h *hoard) activation(ctx context.Context, st store.Store, id statement.ID) *guard.Activation {
	h.t.Helper()
	for _, s := range said(ctx, h.t, st) {
		if s.ID() != id {
			continue
		}
		x, err := act.ActivationOf(s)
		h.ok(err)
		a := &guard.Activation{ID: x.ID, Threshold: x.Threshold}
		for _, m := range x.Members {
			o := h.tale.operator(m.Operator)
			key, err := pve.ParseKey(m.Encryption[:])
			h.ok(err)
			a.Members = append(a.Members, guard.NewMember{Party: mpc.Party{ID: mpc.IDOf(o.Identity), Index: share.Index(m.Index), Identity: o.Identity}, Key: key})
		}
		slices.SortFunc(a.Members, func(a, b guard.NewMember) int { return int(a.Index) - int(b.Index) })
		return a
	}
	h.t.Fatalf("activation %s is in no log", id.Short())
	return nil
}

// said are the statements of an operator's log, in its order.
func said(ctx context.Context, t testing.TB, st store.Store) (all []statement.Statement) {
	t.Helper()
	j, err := journal.Open(ctx, st)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Verify(ctx); err != nil {
		t.Fatal(err)
	}
	head, err := j.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(0); at < head.Size; {
		leaves, err := j.Leaves(ctx, at, 256)
		if err != nil || len(leaves) == 0 {
			t.Fatalf("leaves from %d of %d: %v", at, head.Size, err)
		}
		at += int64(len(leaves))
		for _, f := range leaves {
			if f.Kind != tlog.KindStatement {
				continue
			}
			if s, err := statement.Parse(f.Content); err == nil {
				all = append(all, s)
			}
		}
	}
	return all
}
