package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/guard"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/rescue"
	"github.com/ostraka/ostraka/node/witness"
)

// openRescue reads back every vault's SOS docket.
func (n *Node) openRescue(ctx context.Context) (*rescue.Desk, error) {
	mono := n.cfg.Mono
	if mono == nil {
		began := time.Now() // its monotonic reading is what counts
		mono = func() time.Duration { return time.Since(began) }
	}
	return rescue.Open(ctx, rescue.Config{
		Operator: n.cfg.Own.Name, Identity: n.cfg.Identity, Journal: n.Journal, Sealer: n.cfg.Sealer, Rand: n.cfg.Rand, Log: n.cfg.Log, Post: n.post, Mono: mono,
		Basis: n.sosBasis, Plan: n.sosPlan, Vaults: n.sosVaults, Keys: n.sosKeys, Point: n.sosPoint, CheckSignature: n.sosSignature, Life: n.sosLife(),
		Beats: func() map[string]time.Time {
			out := map[string]time.Time{}
			if r, ok := n.roster(); ok { // who was never heard of is silent too
				for _, o := range r.Operators {
					out[o.Name] = time.Unix(0, 0).UTC()
				}
			}
			for _, b := range n.Pulse.Beats() {
				out[b.Operator] = b.Taken
			}
			return out
		},
		Seats: func(k act.Key, nodes []mpc.Party) ([]mpc.Party, error) {
			return n.Keeper.SeatsOf(k.Key, k.Epoch, nodes)
		},
		MaySit: func(k act.Key, seats []mpc.Party) error { return n.Keeper.MaySit(k.Key, k.Epoch, seats) },
		Had:    n.Keeper.Had,
		Contribution: func(ctx context.Context, k act.Key, a *guard.Activation, raw []byte) (engine.PartyID, error) {
			return n.Keeper.CheckContribution(ctx, k.Key, k.Epoch, a, raw)
		},
		Epoch: func(key [32]byte) (e rescue.Epoch, ok bool) {
			e.Hash, e.Activation, e.Committee, e.Threshold, ok = n.Keeper.InForce(key)
			return e, ok
		},
		Generation: n.Fence.Confirmed, Forks: n.forked,
		Version: func(id statement.ID) bool {
			if n.Charters == nil {
				return false
			}
			_, ok := n.Charters.Version(id)
			return ok
		},
		Reachable: func(name string) bool { id, ok := n.partyOf(name); return ok && n.reachable(id) },
		Ask: func(name string, question []byte) {
			if id, ok := n.partyOf(name); ok && n.wireNow(id) >= WireLogs {
				n.send(id, append([]byte{frameAsk}, question...))
			}
		},
		AskAll: func(name string, question []byte) {
			if id, ok := n.partyOf(name); ok && n.wireNow(id) >= WireLogs {
				n.send(id, append([]byte{frameAskAll}, question...))
			}
		},
		Fatal: n.cfg.Fatal,
		Own:   n.ownLog, Theirs: n.theirLog, At: n.Journal.HeadAt,
	})
}

// forked are the operators of the circle whose logs are known to be forked. Origins name the identity of a log's node, and how often its operator confirmed a restore.
func (n *Node) forked() (names []string) {
	r, ok := n.roster()
	if !ok {
		return nil
	}
	for _, f := range n.Witness.Forks() {
		origin := tlog.Request{Checkpoint: f.A}.Origin()
		for _, o := range r.Operators {
			if tlog.OriginOf(origin, o.Identity) && !slices.Contains(names, o.Name) {
				names = append(names, o.Name)
			}
		}
	}
	return names
}

// partyOf finds a member by its operator's name.
func (n *Node) partyOf(name string) (id engine.PartyID, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, o := range n.peers {
		if o.Name == name {
			return id, true
		}
	}
	return id, false
}

// ownLog is our log as it stands.
func (n *Node) ownLog(ctx context.Context) (sos.Own, error) {
	head, err := n.Journal.Head(ctx)
	return sos.Own{Origin: tlog.Origin(n.cfg.Own.Identity, n.Fence.Confirmed()), Log: head}, err
}

// theirLog is the highest head of a peer's log that we cosigned; of size 0 if we cosigned none.
func (n *Node) theirLog(ctx context.Context, name string) (own sos.Own) {
	id, ok := n.partyOf(name)
	o, known := n.peer(id)
	if !ok || !known {
		return own
	}
	_, confirmed, _ := n.Fence.Head(id)
	own.Origin = tlog.Origin(o.Identity, confirmed)
	if head, _, err := witness.Last(ctx, n.Journal.Store(), own.Origin); err == nil {
		own.Log = head
	}
	return own
}

// emergencies tells the keeper which keys may be reshared with guardians now, and all nodes of the keys of vaults in an emergency.
func (n *Node) emergencies(ctx context.Context, now time.Time) (err error) {
	if n.Rescue.Quiet() {
		return nil
	}
	all := map[[32]byte]ceremony.Emergency{}
	for _, p := range n.Rescue.Parts(ctx) {
		x := ceremony.Emergency{
			Key: p.Key.Key, Epoch: p.Key.Epoch, Activation: p.Activation, Gives: p.Gives, LockUp: p.LockUp, Quorum: p.Quorum, From: p.From,
			OwnKey: func(ctx context.Context) (*pve.PrivateKey, error) { return n.Rescue.OwnKey(ctx, p) },
		}
		for _, name := range p.Contributors {
			id, ok := n.partyOf(name)
			if name == n.cfg.Own.Name {
				id, ok = n.self, true
			}
			if ok {
				x.Contributors = append(x.Contributors, id)
			}
		}
		all[x.Key] = x // of several attempts, the last
	}
	n.Keeper.SetEmergencies(now, all)
	for _, vault := range n.Rescue.Alive() {
		err = errors.Join(err, n.Keeper.Follow(ctx, now, vault))
		if now.Sub(n.askedSets) < askSetsEvery && !now.Before(n.askedSets) {
			continue
		}
		for _, want := range n.Keeper.WantsSets(ctx, vault) {
			if len(want.Members) > 0 {
				n.askedSets = now
				n.asks++
				n.send(want.Members[n.asks%len(want.Members)], slices.Concat([]byte{frameAskSet}, want.Key[:], want.Epoch[:]))
			}
		}
	}
	return err
}

// askSetsEvery is how often members are asked for a backup set that is not here.
const askSetsEvery = 5 * time.Second

// asked answers a peer's question about vetoes.
func (n *Node) asked(ctx context.Context, now time.Time, link engine.PartyID, raw []byte) error {
	if err := cmp.Or(n.Fence.Fenced(), n.Fence.Settled(now)); err != nil {
		return err
	}
	notes, err := n.Rescue.Answer(ctx, now, n.Name(link), raw)
	for _, note := range notes {
		frame := byte(frameNote) // a veto is taken as if it had come by itself
		if s, err := statement.ParseKind(note.Fields[0], statement.SOSNoVeto); err == nil && !s.IsZero() {
			frame = frameAnswer
		}
		n.send(link, append([]byte{frame}, note.Encode()...))
	}
	return err
}

// askedAll tells a peer that was set back all that is known here of a vault's requests, and that this was all.
func (n *Node) askedAll(ctx context.Context, now time.Time, link engine.PartyID, raw []byte) error {
	if err := cmp.Or(n.Fence.Fenced(), n.Fence.Settled(now)); err != nil {
		return err
	}
	notes, err := n.Rescue.AnswerAll(ctx, now, n.Name(link), raw)
	if err != nil {
		return err
	}
	bound := n.boundWith(raw)
	for _, v := range n.Keeper.Roots() {
		if note, ok := n.Keeper.FinalCert(v.KeyID); ok && slices.Contains(bound, v.Vault.ID) {
			notes = append(notes, note) // what left is judged by the epoch that it names
		}
	}
	for _, note := range append(notes, n.Desk.Told(now, bound...)...) { // it counts against caps and tranches
		n.send(link, append([]byte{frameNote}, note.Encode()...))
	}
	n.send(link, append([]byte{frameAll}, raw...))
	return nil
}

// boundWith are the vault that a question is about, and its rescue vaults: tranches bound what leaves all of them together.
func (n *Node) boundWith(question []byte) (ids []statement.ID) {
	vault, err := rescue.AskedOf(question)
	if err != nil {
		return nil
	}
	ids = append(ids, vault)
	names := n.Rescue.RescueVaults(vault)
	for _, v := range n.Keeper.Roots() {
		if slices.Contains(names, v.Vault.Name) && !slices.Contains(ids, v.Vault.ID) {
			ids = append(ids, v.Vault.ID)
		}
	}
	return ids
}

// recount has the dockets count what left without this node's leave.
func (n *Node) recount(ctx context.Context, now time.Time) error {
	at := recounted{n.Desk.Moves(), n.Rescue.Requests()}
	if n.Rescue.Quiet() && !n.Rescue.Fetching() || at == n.recounted && !n.Rescue.Fetching() {
		return nil
	}
	err := n.Rescue.Recount(ctx, now, n.Desk.Left)
	if err == nil {
		n.recounted = at
	}
	return err
}

// recounted is what there was when the dockets last counted what left.
type recounted struct {
	moves    uint64
	requests int
}

// sendSetEvery is how often one peer is sent a key's backup set: less than it asks one member after the other.
const sendSetEvery = askSetsEvery - time.Second

// setAsked is a peer that was sent a key's backup set.
type setAsked struct {
	peer engine.PartyID
	key  [32]byte
}

// sendSet sends a backup set to who asks, at its pace.
func (n *Node) sendSet(ctx context.Context, now time.Time, link engine.PartyID, raw []byte) error {
	if len(raw) != 64 {
		return fmt.Errorf("decode a question for a backup set: %d bytes", len(raw))
	}
	who := setAsked{link, [32]byte(raw[:32])}
	n.mu.Lock()
	last, before := n.setsSent[who]
	n.mu.Unlock()
	if before && now.Sub(last) < sendSetEvery && !now.Before(last) { // a question of 65 bytes brings a megabyte
		return fmt.Errorf("the backup set of key %x was sent to it a moment ago", raw[:6])
	}
	parts, err := n.Keeper.SetParts(ctx, [32]byte(raw[:32]), [32]byte(raw[32:]))
	if err == nil { // of a key of ours: there are few
		n.mu.Lock()
		n.setsSent[who] = now
		n.mu.Unlock()
	}
	for _, p := range parts {
		n.send(link, append([]byte{frameSet}, p.Encode()...))
	}
	return err
}

// sosVaults lists the vaults with a published key that have an SOS plan in force.
func (n *Node) sosVaults() []statement.ID { return n.Keeper.Planned() }

// sosBasis is what a vault's plan in force is read from. The keys of a vault may be held by several committees after an emergency: it goes by that of the first key that a
// request names.
func (n *Node) sosBasis(vault statement.ID, keys []act.Key) (rescue.Basis, error) {
	if n.Charters == nil {
		return rescue.Basis{}, errors.New("there is no charter yet")
	}
	views := n.Keeper.Vault(vault)
	x, ok := n.Charters.Charter()
	if len(views) == 0 || !ok {
		return rescue.Basis{}, fmt.Errorf("vault %s is not known here", vault.Short())
	}
	r, ok := n.roster()
	if !ok {
		return rescue.Basis{}, errors.New("there is no roster yet")
	}
	v := views[0].Vault
	if len(keys) > 0 {
		if i := slices.IndexFunc(views, func(x ceremony.View) bool { return x.KeyID == keys[0].Key }); i >= 0 {
			v = views[i].Vault
		}
	}
	return rescue.Basis{Vault: vault, Charter: x.ID, Roster: r.ID, Name: v.Name, Threshold: v.Threshold, Committee: v.Committee}, nil
}

// sosPlan reads a plan.
func (n *Node) sosPlan(b rescue.Basis) (plan.Plan, error) {
	x, ok := n.Charters.Version(b.Charter)
	if !ok {
		return plan.Plan{}, fmt.Errorf("charter %s was never in force here", b.Charter.Short())
	}
	r, ok := n.Circle.At(b.Roster, b.Committee) // who joins or leaves later changes nothing of a plan that a request began with
	if !ok {
		return plan.Plan{}, fmt.Errorf("roster %s is not known here", b.Roster.Short())
	}
	return plan.Of(x, r, charter.Vault{ID: b.Vault, Name: b.Name, Threshold: b.Threshold, Committee: b.Committee})
}

// sosKeys are a vault's published keys in the epochs in force.
func (n *Node) sosKeys(vault statement.ID) (keys []act.Key) {
	for _, v := range n.Keeper.Vault(vault) {
		if v.Current != nil {
			keys = append(keys, act.Key{Key: v.KeyID, Epoch: v.Current.Record.Hash()})
		}
	}
	slices.SortFunc(keys, func(a, b act.Key) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return keys
}

// inEpoch finds a key in force.
func (n *Node) inEpoch(k act.Key) (ceremony.View, error) {
	if v, ok := n.Keeper.ByKey(k.Key); ok && v.Current != nil && v.Current.Record.Hash() == k.Epoch {
		return v, nil
	}
	return ceremony.View{}, fmt.Errorf("key %x is in another epoch here, or not known", k.Key[:6])
}

// sosPoint is an operator's party and public share, by our own record.
func (n *Node) sosPoint(k act.Key, operator string) (party [16]byte, public group.Point, err error) {
	v, err := n.inEpoch(k)
	if err != nil {
		return party, nil, err
	}
	for _, m := range v.Current.Record.Members {
		if v.Names[m.ID] == operator {
			return m.ID, m.Public, nil
		}
	}
	return party, nil, fmt.Errorf("%s holds no share of key %x", operator, k.Key[:6])
}

func (n *Node) sosSignature(k act.Key, digest [32]byte, sig []byte) error {
	v, err := n.inEpoch(k)
	if err != nil {
		return err
	}
	return chain.CheckDigest(v.Suite, v.Current.Record.Public, digest, sig)
}

// held says why nothing ordinary runs on a vault: somebody froze it, or SOS holds it.
func (n *Node) held(ctx context.Context, vault statement.ID) string {
	if n.Rescue == nil {
		return ""
	}
	return n.Rescue.Held(ctx, vault)
}

// mayStart refuses a session on a vault that SOS holds, but for SOS's own.
func (n *Node) mayStart(ctx context.Context, now time.Time, s *mpc.Setup) error {
	if s.Protocol == protocol.ProtocolLive {
		return nil // Rescue.Admit asks whether a live test may run
	}
	quiet := n.Rescue == nil || n.Rescue.Quiet()
	if quiet && s.Protocol == protocol.ProtocolRescue {
		return errors.New("no emergency is known here")
	}
	v, known := n.Keeper.ByKey(s.KeyID)
	if !known {
		return nil
	}
	if why := n.lockedUp(ctx, now, v); why != "" && s.Protocol != protocol.ProtocolRescue {
		return fmt.Errorf("vault %s: %s", v.Vault.Name, why)
	}
	if quiet {
		return nil
	}
	if id, err := n.guarded(s); err != nil || id != [32]byte{} {
		if err == nil {
			err = n.Rescue.MayRun(ctx, v.Vault.ID, sos.Guarded, id)
		}
		return err
	}
	if why := n.held(ctx, v.Vault.ID); why != "" && !n.sweeps(ctx, v.Vault.ID, s) {
		return fmt.Errorf("vault %s: %s", v.Vault.Name, why)
	}
	return nil
}

// lockedUp is why a key is held by the record of its own epoch: an emergency made it or one before it, its lock-up is not over, and the docket of that emergency is
// not here, as on a node that was restored or came late. Where it is, the docket rules: it counts what leaves, and knows whether all released early. Without it
// nothing leaves, not even to rescue addresses: nobody here would count that (protocols.md 6.3, spec/node 12.21).
func (n *Node) lockedUp(ctx context.Context, now time.Time, v ceremony.View) string {
	if v.Current == nil {
		return ""
	}
	r := v.Current.Record
	if r.Rescue == nil || now.Unix() >= int64(r.Rescue.Until) || n.Rescue != nil && n.Rescue.Reshared(ctx, v.Vault.ID, r.KeyID) {
		return ""
	}
	return fmt.Sprintf("it is in lock-up until %s, as the record of its epoch says, and the docket of that emergency is not here: the other operators' nodes sign meanwhile",
		statement.FormatTime(time.Unix(int64(r.Rescue.Until), 0)))
}

// frozen says by whom a vault is frozen, or that the record of its epoch holds it.
func (n *Node) frozen(vault statement.ID, now time.Time) string {
	if by := n.Charters.Frozen(vault, now); by != "" {
		return by
	}
	for _, v := range n.Keeper.Vault(vault) {
		if why := n.lockedUp(context.Background(), now, v); why != "" {
			return "an emergency: " + why
		}
	}
	return ""
}

// guarded is the activation whose guarded reshare a session belongs to, up to its FINAL; zero if it belongs to none.
func (n *Node) guarded(s *mpc.Setup) (id [32]byte, err error) {
	switch s.Protocol {
	case protocol.ProtocolRescue:
		return ceremony.Activation(s)
	case protocol.ProtocolTest:
		return n.Keeper.Rescues(s.KeyID, s.Epoch), nil
	}
	return id, nil
}

// signed ends what was counted of refusals on a vault.
func (n *Node) signed(vault statement.ID) {
	if n.Rescue != nil {
		n.Rescue.Signed(vault)
	}
}

// handOver sends who came to the circle what is known of the charter, and what epochs rest on that emergencies made: officers' reshares follow from them.
func (n *Node) handOver(ctx context.Context, now time.Time, to []charter.Operator) error {
	if err := n.Charters.HandOver(ctx, now, to); err != nil {
		return err
	}
	for _, note := range n.Keeper.Grounds() {
		if err := n.forward(ctx, now, note, to); err != nil {
			return err
		}
	}
	return nil
}
