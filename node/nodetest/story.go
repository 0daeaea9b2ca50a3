package nodetest

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/wallet"
)

// People of every vault that a World makes.
const Initiator = "ines"

// Approvers of every vault; both must approve.
var Approvers = []string{"abel", "bea"}

// Found makes the circle: invitations, joins, acceptances by every officer. What a crash
// undoes, people do again.
func (w *World) Found() {
	w.T.Helper()
	ctx := context.Background()
	for _, h := range w.Hosts[1:] {
		w.Join(w.Hosts[0], h)
	}
	for i, h := range w.Hosts {
		name := ""
		if i == 0 {
			name = "test circle"
		}
		w.Run("roster signed", func() (signed bool) {
			w.Act(h, func() {
				a, _, err := h.Circle.PrepareRoster(w.Clock(h), name)
				if err == nil {
					_, _, err = h.Circle.Accept(ctx, w.Clock(h), a.Statement.Bytes(), h.Officer.Makes(w.T, a.Statement))
				}
				_, _, founded := h.Circle.Roster()
				signed = err == nil || founded
			})
			return signed
		})
	}
	w.Run("roster in force everywhere", func() bool {
		return w.All(func(h *Host) bool { _, _, ok := h.Circle.Roster(); return ok })
	})
}

// Join has a node invite another, and that one join.
func (w *World) Join(by, h *Host) {
	w.T.Helper()
	ctx := context.Background()
	w.Run("join", func() (joined bool) {
		var line string
		w.Act(by, func() {
			if i, err := by.Circle.Invite(ctx, w.Clock(by), h.Own.Name, time.Hour); err == nil {
				line = i.Line()
			}
		})
		w.Act(h, func() {
			_, err := h.Circle.Join(ctx, w.Clock(h), line)
			joined = err == nil
		})
		return joined
	})
}

// Newcomer starts one node more.
func (w *World) Newcomer() *Host {
	w.T.Helper()
	w.add(len(w.Hosts))
	h := w.Hosts[len(w.Hosts)-1]
	w.Start(h)
	return h
}

// Prepare gives a roster for a host's officer to sign.
type Prepare func(h *Host, now time.Time) (charter.Accepted, bool, error)

// What officers ask their nodes for.
func Accept(h *Host, now time.Time) (charter.Accepted, bool, error) {
	return h.Circle.PrepareRoster(now, "")
}

func Anew(h *Host, now time.Time) (charter.Accepted, bool, error) { return h.Circle.PrepareAnew(now) }

func Resign(h *Host, now time.Time) (charter.Accepted, bool, error) {
	return h.Circle.PrepareResign(now)
}

func Replace(old *Host) Prepare {
	return func(h *Host, now time.Time) (charter.Accepted, bool, error) {
		return h.Circle.PrepareReplace(now, old.Own.Name)
	}
}

// Remove leaves out an operator that is lost.
func Remove(lost *Host) Prepare {
	return func(h *Host, now time.Time) (charter.Accepted, bool, error) {
		return h.Circle.PrepareRemove(now, lost.Own.Name)
	}
}

// SignRoster is one officer's try at a roster: prepare, sign, hand in.
func (w *World) SignRoster(h *Host, prepare Prepare) (a charter.Accepted, err error) {
	w.T.Helper()
	if !w.Act(h, func() {
		if a, _, err = prepare(h, w.Clock(h)); err == nil {
			a, _, err = h.Circle.Accept(context.Background(), w.Clock(h), a.Statement.Bytes(), h.Officer.Makes(w.T, a.Statement))
		}
	}) {
		err = errNobody
	}
	return a, err
}

// Amend has the first of some hosts propose a roster and the others accept it, each again and again until
// it did, and waits until all that are up and named hold the version.
func (w *World) Amend(version uint64, first Prepare, hosts ...*Host) {
	w.T.Helper()
	holds := func(h *Host) bool { _, r, _ := h.Circle.Roster(); return r.Version >= version }
	var proposed statement.ID
	for i, h := range hosts {
		prepare := Prepare(Accept)
		if i == 0 {
			prepare = first
		}
		var err error
		if !w.Try(Patience, func() bool {
			if h.Up && holds(h) {
				return true
			}
			var a charter.Accepted
			if a, err = w.SignRoster(h, prepare); err == nil && i == 0 {
				proposed = a.Statement.ID()
			}
			return err == nil && a.Statement.ID() == proposed
		}) {
			w.T.Fatalf("version %d is not signed by %s: %v; log:\n%s", version, h.Own.Name, err, w.Tail())
		}
	}
	w.Run(fmt.Sprintf("version %d is in force", version), func() bool {
		return !slices.ContainsFunc(hosts, func(h *Host) bool { return !h.Up || !holds(h) })
	})
}

// chains are what vaults sign for, by the suite of their keys.
var chains = map[string]string{
	charter.SuiteECDSA: "eip155:1", charter.SuiteBIP340: "bip122:000000000019d6689c085ae165831e93", charter.SuiteEd25519: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
}

// VaultFile is a vault of some hosts, as a charter lists it; of all, if none is named.
func (w *World) VaultFile(name string, threshold int, hosts ...*Host) charter.Blueprint {
	if len(hosts) == 0 {
		hosts = w.Hosts
	}
	return charter.Blueprint{
		Name: name, Tier: w.Tier, Suites: []string{w.Suite}, Threshold: threshold, Committee: Names(hosts...),
		Initiators: []string{"proposers"}, Approvers: []string{"approvers"}, Quorum: 2, Organisations: 1, Chains: []string{chains[w.Suite]}, Expiry: time.Hour,
	}
}

// Vault has every officer accept a vault file, and waits until all nodes publish its key.
func (w *World) Vault(threshold int) statement.ID {
	w.T.Helper()
	id := w.AcceptVault(w.VaultFile("treasury", threshold))
	w.Run("the vault's key is published", func() bool { return w.Published(id) })
	return id
}

// AcceptVault puts a vault into the charter, if it is not there, and has the officers of some hosts accept it; of all, if none is named.
func (w *World) AcceptVault(file charter.Blueprint, hosts ...*Host) statement.ID {
	w.T.Helper()
	if len(hosts) == 0 {
		hosts = w.Hosts
	}
	w.List(file)
	return w.SignVault(file.Name, hosts...)
}

// SignVault has the officers of some hosts accept a vault that the charter lists.
func (w *World) SignVault(name string, hosts ...*Host) (id statement.ID) {
	w.T.Helper()
	for i, h := range hosts {
		w.Run("vault accepted by "+h.Own.Name, func() (accepted bool) {
			w.Act(h, func() {
				a, fresh, err := h.Circle.PrepareVault(w.Clock(h), name)
				if err != nil {
					w.T.Fatal(err)
				}
				if i > 0 && fresh {
					return // the first officer's statement is still on its way
				}
				id = a.Statement.ID()
				_, _, err = h.Circle.Accept(context.Background(), w.Clock(h), a.Statement.Bytes(), h.Officer.Makes(w.T, a.Statement))
				accepted = err == nil
			})
			return accepted
		})
	}
	return id
}

// Published says whether all nodes publish a vault's key.
func (w *World) Published(id statement.ID) bool {
	return w.All(func(h *Host) bool { v, ok := h.Keeper.Root(id, w.Suite); return ok && v.Current != nil })
}

// Account makes the account ops/main and its first address, which all nodes must derive alike.
func (w *World) Account(vault statement.ID) (addr wallet.Address) {
	w.T.Helper()
	w.Run("account taken", func() bool { _, err := w.Submit(w.AccountNote(vault, "main", 1)); return err == nil })
	for i, h := range w.Hosts {
		var a wallet.Address
		w.Run("account known to "+h.Own.Name, func() (known bool) {
			w.Act(h, func() {
				var err error
				a, err = h.Accounts.New(context.Background(), w.Clock(h), vault, w.Suite, "ops", "main")
				known = err == nil
			})
			return known
		})
		// A crash after an address was given out: people asked for the next one.
		if given, err := h.Accounts.Addresses(context.Background(), vault, w.Suite, "ops", "main"); err == nil {
			a = given[0]
		}
		if i > 0 && a.Address != addr.Address {
			w.T.Fatalf("%s derives %s, the first node %s", h.Own.Name, a.Address, addr.Address)
		}
		addr = a
	}
	return addr
}

// AccountNote is an account of department ops, made by the initiator.
func (w *World) AccountNote(vault statement.ID, name string, number uint32) outbox.Note {
	w.T.Helper()
	v, _ := w.Hosts[0].Keeper.Root(vault, w.Suite)
	s, err := charter.Account{
		Charter: v.Vault.Charter, Vault: vault, Department: "ops", Name: name, Path: [2]uint32{0, number}, Created: w.Now.Truncate(time.Second),
	}.Statement(w.Salt())
	if err != nil {
		w.T.Fatal(err)
	}
	return outbox.Note{Kind: wallet.NoteAccount, Fields: [][]byte{s.Bytes(), NewPerson(w.T, Initiator).Makes(w.T, s)}}
}

// Salt draws a statement's salt.
func (w *World) Salt() (s statement.Salt) {
	if _, err := w.Rand.Read(s[:]); err != nil {
		w.T.Fatal(err)
	}
	return s
}

// Submit gives a note to every node that is up, as people's contexts do. It is an error if no
// node takes it; known says that the first that did knew it.
func (w *World) Submit(n outbox.Note) (known bool, err error) {
	err = errNobody
	for _, h := range w.Hosts {
		w.Act(h, func() {
			k, e := h.Submit(context.Background(), w.Clock(h), n)
			if e == nil && err != nil {
				known, err = k, nil
			} else if err != nil {
				err = errors.Join(err, e)
			}
		})
	}
	return known, err
}

// Life is how long a World's intents live: less than Run waits, so that every intent ends.
const Life = 10 * time.Minute

// Entity is in whose name a World's proofs are said.
const Entity = "Example Ltd"

// Intent is a transfer of one ether, or a proof where the suite is not Ethereum's, that all nodes allow once it is approved.
func (w *World) Intent(vault statement.ID, from wallet.Address, nonce uint64) intent.Intent {
	w.T.Helper()
	v, _ := w.Hosts[0].Keeper.Root(vault, w.Suite)
	created := w.Now.Truncate(time.Second)
	it := intent.Intent{
		Charter: v.Vault.Under, Vault: vault, Key: v.Current.Record.KeyID, Epoch: v.Current.Record.Hash(),
		Path: [3]uint32(from.Path), Address: from.Address, Chain: from.Chain, Memo: "rent", Initiator: Initiator,
		Created: created, Expires: created.Add(Life),
	}
	if w.Suite != charter.SuiteECDSA {
		it.Purpose, it.Claim = intent.PurposeProof, intent.Claim{Entity: Entity, Text: fmt.Sprintf("proof %d", nonce)}
		return it
	}
	to, err := evm.ParseAddress("0x" + strings.Repeat("00", 16) + "deadbeef")
	if err != nil {
		w.T.Fatal(err)
	}
	raw, err := evm.Build(evm.Request{
		Kind: evm.Dynamic, ChainID: 1, Nonce: nonce, Gas: 21000, FeeCap: big.NewInt(30e9), TipCap: big.NewInt(1e9), To: to, Amount: big.NewInt(1e18),
	})
	if err != nil {
		w.T.Fatal(err)
	}
	it.Purpose, it.Transaction = intent.PurposeTransaction, raw
	return it
}

// Words are the facts of what an intent asks to be signed. What cannot be decoded is called a transfer.
func Words(it intent.Intent) (facts []intent.Fact) {
	if it.Purpose == intent.PurposeProof {
		return intent.Written(intent.Proof{Address: it.Address, Claim: it.Claim}.Facts())
	}
	tx, err := evm.Decode(it.Transaction)
	if err != nil {
		return []intent.Fact{{Name: "operation", Value: string(evm.NativeTransfer)}}
	}
	for _, l := range tx.Facts().Lines() {
		facts = append(facts, intent.Fact(l))
	}
	return intent.Written(facts)
}

// Proposal signs an intent as its initiator, who says of it what it is unless its facts say otherwise already.
func (w *World) Proposal(it intent.Intent) (statement.Statement, outbox.Note) {
	w.T.Helper()
	if it.Facts == nil {
		it.Facts = Words(it)
	}
	s, err := it.Statement(w.Salt())
	if err != nil {
		w.T.Fatal(err)
	}
	return s, outbox.Note{Kind: decide.NoteProposal, Fields: [][]byte{s.Bytes(), NewPerson(w.T, it.Initiator).Makes(w.T, s)}}
}

// Vote is a person's answer to an intent.
func (w *World) Vote(s statement.Statement, person string, verb signet.Verb) outbox.Note {
	w.T.Helper()
	id := s.ID()
	return outbox.Note{Kind: decide.NoteVote, Fields: [][]byte{id[:], []byte(verb), NewPerson(w.T, person).Sign(w.T, verb, s.Bytes())}}
}

// Propose submits a transfer, again and again until a node has it.
func (w *World) Propose(vault statement.ID, from wallet.Address, nonce uint64) statement.Statement {
	w.T.Helper()
	s, n := w.Proposal(w.Intent(vault, from, nonce))
	w.Run("proposal taken", func() bool { _, err := w.Submit(n); return err == nil })
	return s
}

// Approve has all approvers approve.
func (w *World) Approve(s statement.Statement) {
	w.T.Helper()
	for _, a := range Approvers {
		n := w.Vote(s, a, signet.Approve)
		w.Run("approval taken", func() bool { _, err := w.Submit(n); return err == nil })
	}
}

// State is an intent's state at a host; Proposed also where it is not known.
func (w *World) State(h *Host, id statement.ID) intent.State {
	if v, err := h.Desk.Show(id); err == nil {
		return v.State
	}
	return intent.Proposed
}

// Signed says whether all hosts hold an intent's signature.
func (w *World) Signed(s statement.Statement) bool {
	return w.All(func(h *Host) bool { return w.State(h, s.ID()) == intent.Signed })
}
