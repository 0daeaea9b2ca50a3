package node_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/wallet"
)

var suites = []string{charter.SuiteECDSA, charter.SuiteBIP340, charter.SuiteEd25519}

// ofSuite is prepare with keys of a suite.
func ofSuite(t *testing.T, suite string, n, threshold int) setting {
	w := nodetest.New(t, n)
	w.Suite = suite
	id, addr := nodetest.Ready(w, threshold)
	return setting{w, id, addr}
}

// asks is an intent for a proof by a given address.
func (s setting) asks(from wallet.Address, text string) intent.Intent {
	it := s.Intent(s.vault, from, 0)
	it.Purpose, it.Transaction, it.Claim = intent.PurposeProof, nil, intent.Claim{Entity: nodetest.Entity, Text: text}
	return it
}

// prove has all that is needed for a proof's signature done.
func (s setting) prove(it intent.Intent) statement.Statement {
	s.T.Helper()
	st, n := s.Proposal(it)
	s.Run("proposal taken", func() bool { _, err := s.Submit(n); return err == nil })
	s.Approve(st)
	s.Run("signed", func() bool { return s.Signed(st) })
	return st
}

// child is the key that an address is of.
func (s setting) child(suite string, path hd.Path) group.Point {
	s.T.Helper()
	v, _ := s.Hosts[0].Keeper.Root(s.vault, suite)
	key, err := decide.Key(v, path)
	if err != nil {
		s.T.Fatal(err)
	}
	return key
}

// A proof is decided by every node for itself, signed, and verifies for who has nothing but the address's key; it is the same
// everywhere.
func TestProofOfEverySuite(t *testing.T) {
	t.Parallel()
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			s := ofSuite(t, suite, 3, 2)
			st := s.prove(s.asks(s.addr, "reserves of 31 January 2026"))
			p, err := intent.ProofOf(st, suite)
			if err != nil {
				t.Fatal(err)
			}
			text, err := p.Statement()
			if err != nil {
				t.Fatal(err)
			}
			key := s.child(suite, s.addr.Path)
			var raw []byte
			for i, h := range s.Hosts {
				v, err := h.Desk.Show(st.ID())
				if err != nil {
					t.Fatal(err)
				}
				if err := chain.CheckProof(suite, s.addr.Chain, key, nil, text.Bytes(), v.Raw); err != nil {
					t.Errorf("%s: %v", h.Own.Name, err)
				}
				if i > 0 && !bytes.Equal(raw, v.Raw) {
					t.Errorf("%s holds another signature", h.Own.Name)
				}
				raw = v.Raw
				for _, d := range v.Decisions {
					if d.Verdict != intent.Allow || !slices.Equal(d.Facts, p.Facts()) {
						t.Errorf("%s: %s decided %s on %v", h.Own.Name, d.Operator, d.Verdict, d.Facts)
					}
				}
			}
			calm(t, s.World, s.vault)
		})
	}
}

// What must not be proved is denied by every node, by itself.
func TestProofsDenied(t *testing.T) {
	t.Parallel()
	base := ofSuite(t, charter.SuiteBIP340, 2, 2)
	for name, c := range map[string]struct {
		change func(it *intent.Intent)
		rule   string
		reason string
	}{
		"other key":         {func(it *intent.Intent) { it.Key[0] ^= 1 }, intent.RuleKey, ""},
		"other address":     {func(it *intent.Intent) { it.Address = it.Address[:len(it.Address)-1] + "x" }, intent.RuleAddress, "this node holds bc1p"},
		"other path":        {func(it *intent.Intent) { it.Path[2]++ }, intent.RuleAddress, "this node holds bc1p"},
		"another's network": {func(it *intent.Intent) { it.Chain = "bip122:000000000933ea01ad0ee984209779ba" }, "", ""},
		"another's chain":   {func(it *intent.Intent) { it.Chain = "eip155:1" }, "", ""},
		"words of a transfer": {func(it *intent.Intent) {
			it.Facts = []intent.Fact{{Name: "operation", Value: "native-transfer"}}
		}, intent.RuleShown, "decoded is operation \"proof\""},
		// A proof's words as a transaction are none.
		"a transaction": {func(it *intent.Intent) {
			it.Purpose, it.Claim, it.Transaction = intent.PurposeTransaction, intent.Claim{}, []byte("ostraka/1 proof\n")
		}, intent.RuleDecoded, "decode Bitcoin transaction: packet"},
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			it := s.asks(s.addr, "ours")
			c.change(&it)
			st, n := s.Proposal(it)
			if _, err := s.Submit(n); err != nil {
				t.Fatal(err)
			}
			s.Run("denied everywhere", func() bool {
				return s.All(func(h *nodetest.Host) bool {
					v, err := h.Desk.Show(st.ID())
					return err == nil && v.State == intent.Denied && len(v.Decisions) == 2
				})
			})
			v, err := s.Hosts[0].Desk.Show(st.ID())
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range v.Decisions {
				if d.Verdict != intent.Deny || c.rule != "" && d.Rule != c.rule || d.Reason == "" || !strings.Contains(d.Reason, c.reason) {
					t.Errorf("%s: %s by rule %s: %q, want rule %s and %q", d.Operator, d.Verdict, d.Rule, d.Reason, c.rule, c.reason)
				}
			}
		})
	}
}

// A signature that is shown for a proof is held to the proof that the node built itself.
func TestForeignProofSignatures(t *testing.T) {
	t.Parallel()
	base := ofSuite(t, charter.SuiteEd25519, 3, 2)
	raw := func(s setting, it intent.Intent) []byte {
		v, err := s.Hosts[0].Desk.Show(s.prove(it).ID())
		if err != nil {
			t.Fatal(err)
		}
		return v.Raw
	}
	for name, make := range map[string]func(s setting, it intent.Intent) []byte{
		"of another text": func(s setting, it intent.Intent) []byte { it.Text += "!"; return raw(s, it) },
		// The same words a second time are another proof: it names its intent.
		"of another intent": func(s setting, it intent.Intent) []byte { return raw(s, it) },
		"by another key": func(s setting, it intent.Intent) []byte {
			var other wallet.Address
			for _, h := range s.Hosts {
				a, err := h.Accounts.New(context.Background(), s.Now, s.vault, s.Suite, "ops", "main")
				if err != nil {
					t.Fatal(err)
				}
				other = a
			}
			return raw(s, s.asks(other, it.Text))
		},
		"of zeros":      func(setting, intent.Intent) []byte { return bytes.Repeat([]byte{0}, 64) },
		"of no bytes":   func(setting, intent.Intent) []byte { return nil },
		"too long":      func(setting, intent.Intent) []byte { return bytes.Repeat([]byte{7}, 65) },
		"the statement": func(_ setting, it intent.Intent) []byte { return []byte(it.Text) },
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			foreign := make(s, s.asks(s.addr, "ours"))
			st, n := s.Proposal(s.asks(s.addr, "ours"))
			if _, err := s.Submit(n); err != nil {
				t.Fatal(err)
			}
			s.Deliver()
			id := st.ID()
			verdict, log := s.tell(s.Hosts[1], s.Hosts[0], outbox.Note{Kind: decide.NoteSigned, Fields: [][]byte{id[:], foreign}})
			if verdict != outbox.Refused {
				t.Errorf("verdict %d; log: %s", verdict, log)
			}
			if v, err := s.Hosts[0].Desk.Show(id); err != nil || v.Raw != nil || v.State == intent.Signed {
				t.Errorf("it is kept: %v, %v", v.State, err)
			}
			s.Queue = nil
			s.Approve(st)
			s.Run("signed all the same", func() bool { return s.Signed(st) })
		})
	}
}

// A vault of several suites has a root for each, with an id, an epoch, addresses and signatures of its own.
func TestVaultOfSeveralSuites(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	file := w.VaultFile("treasury", 2)
	file.Suites = slices.Sorted(slices.Values(suites))
	file.Chains = []string{"bip122:000000000019d6689c085ae165831e93", "eip155:1", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"}
	s := setting{World: w, vault: w.AcceptVault(file)}
	w.Run("all keys are published", func() bool {
		return w.All(func(h *nodetest.Host) bool {
			return len(h.Keeper.Vault(s.vault)) == 3 && !slices.ContainsFunc(suites, func(suite string) bool {
				v, ok := h.Keeper.Root(s.vault, suite)
				return !ok || v.Current == nil
			})
		})
	})
	keys, ids := map[string]bool{}, map[[32]byte]bool{}
	for i, suite := range suites {
		var first []byte
		for _, h := range w.Hosts {
			v, _ := h.Keeper.Root(s.vault, suite)
			r := v.Current.Record
			if r.Suite != suite || first != nil && !bytes.Equal(first, r.Encode()) {
				t.Errorf("%s: %s holds another record, of suite %s", suite, h.Own.Name, r.Suite)
			}
			first = r.Encode()
			keys[string(r.Public.Bytes())], ids[r.KeyID] = true, true
		}
		if len(keys) != i+1 || len(ids) != i+1 {
			t.Errorf("%s has the key, or the key id, of another suite", suite)
		}
	}
	w.Run("account taken", func() bool { _, err := w.Submit(w.AccountNote(s.vault, "main", 1)); return err == nil })
	w.Deliver()
	var asked []statement.Statement
	for i, suite := range suites {
		w.Suite = suite
		// Each suite counts its own addresses: i of them before the one that signs.
		var addr wallet.Address
		for n := range i + 1 {
			for k, h := range w.Hosts {
				a, err := h.Accounts.New(context.Background(), w.Now, s.vault, suite, "ops", "main")
				if err != nil || a.Path[2] != uint32(n) || a.Suite != suite || k > 0 && a.Address != addr.Address {
					t.Fatalf("%s: address %d of %s is %+v, %v", suite, n, h.Own.Name, a, err)
				}
				addr = a
			}
		}
		st := s.prove(s.asks(addr, "ours"))
		asked = append(asked, st)
		p, err := intent.ProofOf(st, suite)
		if err != nil {
			t.Fatal(err)
		}
		text, err := p.Statement()
		if err != nil {
			t.Fatal(err)
		}
		v, _ := w.Hosts[2].Desk.Show(st.ID())
		if err := chain.CheckProof(suite, addr.Chain, s.child(suite, addr.Path), nil, text.Bytes(), v.Raw); err != nil {
			t.Errorf("%s: %v", suite, err)
		}
	}
	// A key of one suite is not asked for under the address of another.
	it, err := intent.Of(asked[0])
	if err != nil {
		t.Fatal(err)
	}
	other, err := intent.Of(asked[2])
	if err != nil {
		t.Fatal(err)
	}
	it.Created, it.Expires = w.Now.Truncate(time.Second), w.Now.Truncate(time.Second).Add(nodetest.Life)
	it.Key, it.Epoch = other.Key, other.Epoch
	st, n := w.Proposal(it)
	if _, err := w.Submit(n); err != nil {
		t.Fatal(err)
	}
	w.Run("denied everywhere", func() bool {
		return w.All(func(h *nodetest.Host) bool { return w.State(h, st.ID()) == intent.Denied })
	})
	// Nodes that start again have all three.
	w.Downtime = 0
	w.Crash(w.Hosts[1])
	w.Step(time.Second)
	if got := w.Hosts[1].Keeper.Vault(s.vault); len(got) != 3 || slices.ContainsFunc(got, func(v ceremony.View) bool { return v.Current == nil }) {
		t.Errorf("after a restart it holds %d roots", len(got))
	}
}

// A key that no chain of the vault needs, and a chain that no key signs for, are mistakes in the charter.
func TestVaultOfSuitesWithoutChain(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 2)
	w.Found()
	file := w.VaultFile("treasury", 2)
	for name, c := range map[string]struct {
		change func(*charter.Blueprint)
		want   string
	}{
		"a key without chain": {func(v *charter.Blueprint) { v.Suites = []string{charter.SuiteECDSA, charter.SuiteEd25519} }, "ed25519 signs for none of its chains"},
		"a chain without key": {func(v *charter.Blueprint) {
			v.Chains = []string{"eip155:1", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"}
		}, "signs for solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"},
		"a key twice": {func(v *charter.Blueprint) { v.Suites = []string{charter.SuiteECDSA, charter.SuiteECDSA} }, "stands twice"},
	} {
		changed := file
		c.change(&changed)
		w.Vaults = []charter.Blueprint{changed}
		if _, _, err := w.Hosts[0].Charters.Prepare(w.Now, w.Document()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	w.Vaults = []charter.Blueprint{file}
	if _, _, err := w.Hosts[0].Charters.Prepare(w.Now, w.Document()); err != nil {
		t.Errorf("without a mistake: %v", err)
	}
}
