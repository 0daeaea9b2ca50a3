package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/link"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/seal/passphrase"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/wallet"
)

// breakPair damages what one host keeps of a pair, under a sound seal: its next session with
// that peer gives wrong transfers, as a dishonest party's would.
func breakPair(w *nodetest.World, h, peer *nodetest.Host, r *epoch.Record) {
	w.T.Helper()
	keys, err := w.Keys(h, r)
	if err != nil {
		w.T.Fatal(err)
	}
	self, other := mpc.IDOf(h.Own.Identity), mpc.IDOf(peer.Own.Identity)
	raw := keys.Pairs[other].Encode().Expose()
	for i := 2; i < 8000; i += 16 { // in every leaf of the receiver's
		raw[i] ^= 1
	}
	eh, row := r.Hash(), protocol.RowPair(other)
	sealed, err := h.Box.Seal(nodetest.Label(self, r.KeyID, eh, row), raw)
	if err != nil {
		w.T.Fatal(err)
	}
	w.Downtime = -1
	w.Crash(h)
	st, err := h.Disk.Open()
	if err != nil {
		w.T.Fatal(err)
	}
	key := store.Key("epoch", store.ID(r.KeyID[:]), store.ID(eh[:]), store.Name(row))
	if _, err := st.Commit(context.Background(), store.Batch{Put: []store.Entry{{Key: key, Value: sealed}}}); err != nil {
		w.T.Fatal(err)
	}
	st.Close()
	w.Start(h)
}

// record taps every frame that nodes send.
func record(w *nodetest.World) *[][]byte {
	frames := new([][]byte)
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		*frames = append(*frames, p.Frame)
		return []nodetest.Parcel{p}
	}
	return frames
}

func recordOf(w *nodetest.World, vault statement.ID) *epoch.Record {
	v, _ := w.Hosts[0].Keeper.Root(vault, charter.SuiteECDSA)
	return v.Current.Record
}

// nonces finds the signing nonces that a host drew: it expands the host's draws as the
// session does, and keeps the scalars whose points the host revealed.
func nonces(w *nodetest.World, h *nodetest.Host, r *epoch.Record, frames [][]byte) (found [][]byte) {
	keys, err := w.Keys(h, r)
	if err != nil {
		w.T.Fatal(err)
	}
	all := bytes.Join(frames, nil)
	for _, s := range h.Sessions.Sessions() {
		if s.Protocol != protocol.ProtocolSign {
			continue
		}
		payload := payloadOf(frames, s.Setup)
		for _, draw := range h.Rand.Drawn {
			if len(draw) != 32 {
				continue
			}
			coins, err := mpc.Coins(bytes.NewReader(draw), keys.Share.Bytes(), s.Session, payload)
			if err != nil {
				w.T.Fatal(err)
			}
			stream := make([]byte, 400)
			if _, err := coins.Read(stream); err != nil {
				w.T.Fatal(err)
			}
			for at := 0; at+secp256k1.WideSize <= len(stream); at += 4 {
				k := secp256k1.ReduceScalar(stream[at : at+secp256k1.WideSize])
				if bytes.Contains(all, secp256k1.Group{}.BaseMul(k).Bytes()) {
					found = append(found, k.Bytes())
				}
			}
		}
	}
	return found
}

func payloadOf(frames [][]byte, hash [32]byte) []byte {
	for _, f := range frames {
		if s, err := mpc.OpenSetup(f); err == nil && s.Hash() == hash {
			return s.Payload
		}
	}
	return nil
}

// known makes a scanner of all secrets of a world.
func known(w *nodetest.World, r *epoch.Record, frames [][]byte) *nodetest.Scanner {
	w.T.Helper()
	s := nodetest.NewScanner()
	for _, h := range w.Hosts {
		s.Add("data key of "+h.Own.Name, h.DEK)
		s.Add("identity seed of "+h.Own.Name, h.Key.Seed())
		keys, err := w.Keys(h, r)
		if err != nil {
			w.T.Fatal(err)
		}
		s.Add("share of "+h.Own.Name, keys.Share.Bytes())
		for peer, p := range keys.Pairs {
			i := 0
			for block := range slices.Chunk(p.Encode().Expose()[2:], 16) {
				// Punctured places are zero.
				if i++; len(block) == 16 && !bytes.Contains(block, make([]byte, 4)) {
					s.Add(fmt.Sprintf("block %d that %s shares with %v", i, h.Own.Name, peer), block)
				}
			}
		}
		found := nonces(w, h, r, frames)
		if len(found) < 1 {
			w.T.Fatalf("no signing nonce of %s was found: the scan would not look for it", h.Own.Name)
		}
		for _, k := range found {
			s.Add("signing nonce of "+h.Own.Name, k)
		}
	}
	s.Draws(w, frames)
	return s
}

func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	for _, h := range w.Hosts {
		h.Rand.Keep = true
	}
	frames := record(w)
	vault, addr := nodetest.Ready(w, 3)
	s := w.Propose(vault, addr, 0)
	w.Approve(s)
	w.Run("signed", func() bool { return w.Signed(s) })
	secrets := known(w, recordOf(w, vault), *frames)
	trouble(w, vault, addr, frames)
	secrets.Draws(w, *frames)
	t.Logf("%d secrets", secrets.Secrets)

	shown := map[string][]byte{"log": w.Log.Bytes()}
	for _, h := range w.Hosts {
		for _, it := range w.Rows(h, "") {
			shown["row "+it.Key+" of "+h.Own.Name] = append([]byte(it.Key+" "), it.Value...)
		}
		shown["metrics of "+h.Own.Name] = metrics(t, h)
		for _, st := range h.Sessions.Sessions() {
			shown["session of "+h.Own.Name+st.Session.String()] = fmt.Appendf(nil, "%+v %v", st, st.Err)
		}
		shown["intents of "+h.Own.Name] = fmt.Appendf(nil, "%+v", h.Desk.List())
		shown["vaults of "+h.Own.Name] = fmt.Appendf(nil, "%+v", h.Keeper.Roots())
	}
	keys, err := w.Keys(w.Hosts[2], recordOf(w, vault))
	if err != nil {
		t.Fatal(err)
	}
	if planted := fmt.Appendf(w.Log.Bytes(), "level=WARN error=\"share %x\"", keys.Share.Bytes()); len(secrets.Find(planted)) == 0 {
		t.Fatal("a share planted in the log is not found: the scan sees nothing")
	}
	for where, text := range shown {
		if found := secrets.Find(text); len(found) > 0 {
			t.Errorf("%s shows %v", where, found[0])
		}
	}
}

// trouble is what goes wrong in a node's life: frames changed on their way, a burned pair, a
// refused proposal.
func trouble(w *nodetest.World, vault statement.ID, addr wallet.Address, frames *[][]byte) {
	w.T.Helper()
	n := 0
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		*frames = append(*frames, p.Frame)
		if n++; n%7 == 0 {
			p.Frame = bytes.Clone(p.Frame)
			p.Frame[len(p.Frame)/2] ^= 0x10
		}
		return []nodetest.Parcel{p}
	}
	s := w.Propose(vault, addr, 1)
	w.Approve(s)
	w.Run("the intent ends", func() bool { return w.All(func(h *nodetest.Host) bool { return ended(w, h, s) }) })
	breakPair(w, w.Hosts[1], w.Hosts[0], recordOf(w, vault))
	frames2 := record(w)
	s = w.Propose(vault, addr, 2)
	w.Approve(s)
	w.Run("the pair is burned", func() bool { return len(w.Hosts[0].Sessions.Burned(pairs(w, vault))) > 0 })
	w.Run("the intent ends", func() bool { return w.All(func(h *nodetest.Host) bool { return ended(w, h, s) }) })
	*frames = append(*frames, *frames2...)
}

func metrics(t *testing.T, h *nodetest.Host) []byte {
	t.Helper()
	l, err := link.New(link.Config{Key: h.Key, Listen: "127.0.0.1:0", Receive: func(ed25519.PublicKey, []byte) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	rec := httptest.NewRecorder()
	(&node.Daemon{Node: h.Node, Link: l}).Metrics().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), "ostraka_log_entries") {
		t.Fatalf("metrics: %d %s", rec.Code, rec.Body)
	}
	return rec.Body.Bytes()
}

// The scanner finds what is there: each secret that the scan looks for, in each form.
func TestScannerFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	s := nodetest.NewScanner()
	b := []byte("\x01\x99\x80 a share of 32 bytes, no more\xfe")
	s.AddKey("share", b)
	back := slices.Clone(b)
	slices.Reverse(back)
	pads := map[byte]string{}
	for _, with := range []byte{0x36, 0x5c} {
		pad := bytes.Repeat([]byte{with}, 64)
		subtle.XORBytes(pad, pad, b)
		pads[with] = string(pad)
	}
	for name, text := range map[string]string{
		"inner block": pads[0x36], "outer block": pads[0x5c], "raw": string(b), "reversed": string(back), "hex": hex.EncodeToString(b), "upper": strings.ToUpper(hex.EncodeToString(b)),
		"reversed hex": hex.EncodeToString(back), "base64": base64.StdEncoding.EncodeToString(b),
		"base64 inside": base64.StdEncoding.EncodeToString(append([]byte("k"), b...)), "base64 further inside": base64.URLEncoding.EncodeToString(append([]byte("ke"), b...)),
		"go": fmt.Sprintf("%v", b), "go syntax": fmt.Sprintf("%q", b), "number": fmt.Sprintf("%d", new(big.Int).SetBytes(b)),
	} {
		if found := s.Find([]byte("level=INFO msg=\"some words before\" value=" + text + " and after")); len(found) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
	if found := s.Find([]byte("nothing of it is here, though this line is as long as it likes to be")); len(found) > 0 {
		t.Errorf("found %v where nothing is", found)
	}
}

// A data folder holds neither the passphrase nor the identity's seed.
func TestNoSecretInDataFolder(t *testing.T) {
	t.Parallel()
	dir, rand := filepath.Join(t.TempDir(), "node"), nodetest.NewEntropy("folder")
	rand.Keep = true
	pass := "correct horse battery staple"
	_, err := node.Init(context.Background(), dir, node.Settings{
		Operator: "acme", Entity: "Acme Ltd", Link: "127.0.0.1:7000", People: "127.0.0.1:7001", Officers: []string{nodetest.NewPerson(t, "olga").Key.String()},
	}, keys.ByPassphrase(secret.Copy([]byte(pass)), rand, passphrase.TestingOnlyCost(passphrase.Cost{Time: 1, MemoryKiB: 8, Threads: 1})).Open, rand, keys.Main(seal.Provider{Kind: keys.Passphrase}))
	if err != nil {
		t.Fatal(err)
	}
	s := nodetest.NewScanner()
	s.Add("passphrase", []byte(pass))
	s.Add("identity seed", rand.Drawn[0])
	files := 0
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		raw, err := os.ReadFile(path)
		if found := s.Find(raw); len(found) > 0 {
			t.Errorf("%s holds %v", path, found)
		}
		return err
	})
	if err != nil || files < 4 {
		t.Fatalf("%d files read: %v", files, err)
	}
}
