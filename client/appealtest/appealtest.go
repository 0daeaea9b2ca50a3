// Package appealtest makes appeals for tests: of a vault whose guarded epoch real nodes made, with statements that their keys signed.
package appealtest

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/ostraka/ostraka/client/carry"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/guardian"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/nodetest"
)

// Delay is D of the plan, for every trigger.
const Delay = time.Minute

// A Vault is of three operators, of whom all sign; two of them and two of three guardians rescue it. operator-2 is lost.
type Vault struct {
	t       testing.TB
	w       *nodetest.World
	Charter statement.ID
	Record  *epoch.Record
	file    carry.Appeal // without what was said
	Request act.Request
	Made    time.Time // when the request was
	seats   []session.Party
	fresh   []*pve.PrivateKey
}

// New makes the circle, its vault, and a request of guardian-0 at a time.
func New(t testing.TB, made time.Time) *Vault {
	t.Helper()
	w := nodetest.New(t, 3)
	w.Change = func(d *charter.Document) {
		d.Guardians = nodetest.Guardians(t, 3, 0)
		for i := range d.Vaults {
			d.Vaults[i].Rescue = nodetest.Plan(2, 2)
		}
	}
	id, _ := nodetest.Ready(w, 3)
	v := &Vault{t: t, w: w, Made: made.UTC().Truncate(time.Second)}
	h := w.Hosts[0]
	v.public(h, id)
	v.Request = act.Request{
		Drill: true, Charter: v.Charter, Vault: id, Trigger: charter.TriggerLegal, Subjects: []string{"operator-2"}, Reason: "wound up", Document: [32]byte{1},
		Keys: []act.Key{{Key: v.Record.KeyID, Epoch: v.Record.Hash()}}, Role: act.Guardian, By: "guardian-0", Created: v.Made, Expires: v.Made.Add(time.Hour),
	}
	s, err := v.Request.Statement(w.Salt())
	v.file.Request = v.person(0, s, err)
	v.Request, _ = act.RequestOf(s)
	return v
}

// public is what the nodes show everybody, or those of the circle.
func (v *Vault) public(h *nodetest.Host, vault statement.ID) {
	v.t.Helper()
	for _, a := range h.Circle.Versions() {
		s := carry.Signed{Statement: a.Statement.Bytes()}
		for _, name := range slices.Sorted(maps.Keys(a.Signatures)) {
			s.Signatures = append(s.Signatures, a.Signatures[name])
		}
		v.file.Rosters = append(v.file.Rosters, s)
	}
	for _, e := range h.Charters.Versions() {
		v.file.Charters = append(v.file.Charters, e.Bytes())
	}
	x, _ := h.Charters.Charter()
	v.Charter = x.ID
	for _, a := range h.Circle.Vaults() {
		if a.Statement.ID() == vault {
			v.file.Vault = a.Statement.Bytes()
		}
	}
	root, _ := h.Keeper.Root(vault, v.w.Suite)
	v.Record = root.Current.Record
	cert, plan, set, err := h.BackupSet(v.t.Context(), v.Record.KeyID)
	if err != nil {
		v.t.Fatal(err)
	}
	v.file.Keys = []carry.AppealKey{{Certificate: cert, Plan: plan, Set: set}}
	var parties []session.Party
	for _, o := range []int{0, 1} {
		parties = append(parties, session.Party{ID: session.IDOf(v.w.Hosts[o].Own.Identity), Identity: v.w.Hosts[o].Own.Identity})
		key, err := pve.NewPrivateKey(rand.Reader)
		if err != nil {
			v.t.Fatal(err)
		}
		v.fresh = append(v.fresh, key)
	}
	if v.seats, err = v.Record.Seats(parties, 0); err != nil {
		v.t.Fatal(err)
	}
}

// File is the request with what was said about it. The seats of those who live, for two attempts, are in it.
func (v *Vault) File(said ...carry.Signed) carry.Appeal {
	f := v.file
	f.Said = slices.Concat(said, v.Seats(1), v.Seats(2))
	return f
}

// Resigned is what was said, with other nodes' signatures.
func (v *Vault) Resigned(x carry.Signed, nodes ...int) carry.Signed {
	v.t.Helper()
	s, err := statement.Parse(x.Statement)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.Signed(s, nodes...)
}

// Seats are what the nodes of those who live announced for an attempt.
func (v *Vault) Seats(attempt int) []carry.Signed {
	return []carry.Signed{v.Seat(0, attempt, nil), v.Seat(1, attempt, nil)}
}

// Seat is one, edited before its key is proved.
func (v *Vault) Seat(i, attempt int, edit func(*act.Seat)) carry.Signed {
	v.t.Helper()
	seat := act.Seat{Head: v.Request.Head(), Operator: fmt.Sprintf("operator-%d", i), Key: v.Request.Keys[0], Attempt: attempt, Created: v.Made}
	if edit != nil {
		edit(&seat)
	}
	seat, err := seat.Prove(v.fresh[i], rand.Reader)
	if err != nil {
		v.t.Fatal(err)
	}
	s, err := seat.Statement(v.w.Salt())
	if err != nil {
		v.t.Fatal(err)
	}
	return v.Signed(s, i)
}

// Usual is what a contributor's node shows once the delay is over: the activation, and when both delays began.
func (v *Vault) Usual() []carry.Signed {
	return []carry.Signed{v.Activation(nil), v.Step(0, sos.Contest.String(), v.Made), v.Step(1, sos.Contest.String(), v.Made)}
}

// Guardian is the offline key of a guardian with a number; 3 and more are nobody's.
func (v *Vault) Guardian(i int) guardian.Key { return nodetest.GuardianKey(v.t, i, 0) }

func (v *Vault) person(i int, s statement.Statement, err error) carry.Signed {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	by, err := v.Guardian(i).Signer()
	if err != nil {
		v.t.Fatal(err)
	}
	sig, err := signet.Sign(rand.Reader, by, signet.Makes(s.Kind()), s.Bytes())
	if err != nil {
		v.t.Fatal(err)
	}
	return carry.Signed{Statement: s.Bytes(), Signatures: [][]byte{sig}}
}

// Signed is a statement with the signatures of these operators' nodes.
func (v *Vault) Signed(s statement.Statement, nodes ...int) carry.Signed {
	v.t.Helper()
	out := carry.Signed{Statement: s.Bytes()}
	for _, i := range nodes {
		sig, err := signet.SignNode(v.w.Hosts[i].Key, s)
		if err != nil {
			v.t.Fatal(err)
		}
		out.Signatures = append(out.Signatures, sig)
	}
	return out
}

// Draft is an activation for the two that live, who stay alone.
func (v *Vault) Draft() act.Activation {
	a := act.Activation{Head: v.Request.Head(), Key: v.Request.Keys[0], Attempt: 1, Contributors: []string{"operator-0", "operator-1"}, Threshold: 2, Created: v.Made.Add(Delay)}
	for i, name := range a.Contributors {
		id := session.IDOf(v.w.Hosts[i].Own.Identity)
		at := slices.IndexFunc(v.seats, func(p session.Party) bool { return p.ID == id })
		a.Members = append(a.Members, act.Member{Operator: name, Party: id, Index: uint16(v.seats[at].Index), Encryption: v.fresh[i].Public()})
	}
	return a
}

// Activation is the draft, edited, as both contributors' nodes sign it.
func (v *Vault) Activation(edit func(*act.Activation)) carry.Signed {
	v.t.Helper()
	a := v.Draft()
	if edit != nil {
		edit(&a)
	}
	s, err := a.Statement(v.w.Salt())
	if err != nil {
		v.t.Fatal(err)
	}
	return v.Signed(s, 1, 0) // in no order
}

// Other is an encryption key that nobody announced.
func (v *Vault) Other() [32]byte {
	k, err := pve.NewPrivateKey(rand.Reader)
	if err != nil {
		v.t.Fatal(err)
	}
	return k.Public()
}

// Step is an operator's word about its state.
func (v *Vault) Step(i int, state string, at time.Time) carry.Signed {
	v.t.Helper()
	s, err := act.Step{Head: v.Request.Head(), Operator: fmt.Sprintf("operator-%d", i), State: state, Why: "a test", FirstSeen: at, Created: at}.Statement(v.w.Salt())
	if err != nil {
		v.t.Fatal(err)
	}
	return v.Signed(s, i)
}

// Veto is a guardian's.
func (v *Vault) Veto(i int) carry.Signed {
	v.t.Helper()
	s, err := act.Veto{Head: v.Request.Head(), By: fmt.Sprintf("guardian-%d", i), Reason: "no", Created: v.Made}.Statement(v.w.Salt())
	return v.person(i, s, err)
}

// Lost is the subject's seat.
func (v *Vault) Lost() (name string, party [16]byte, index uint16) {
	id := session.IDOf(v.w.Hosts[2].Own.Identity)
	m, _ := v.Record.Member(id)
	return "operator-2", id, uint16(m.Index)
}

// Silence is the same vault with a request because of silence, which a proof of life and a signature of the vault end.
func (v *Vault) Silence() *Vault {
	v.t.Helper()
	x := *v
	x.Request.ID, x.Request.Trigger, x.Request.Document = statement.ID{}, charter.TriggerSilence, [32]byte{}
	s, err := x.Request.Statement(v.w.Salt())
	x.file.Request = v.person(0, s, err)
	x.Request, _ = act.RequestOf(s)
	return &x
}

// Alive is the lost operator's proof that it holds its share.
func (v *Vault) Alive() carry.Signed {
	v.t.Helper()
	name, party, _ := v.Lost()
	keys := v.keys(2)
	defer keys.Wipe()
	m, _ := v.Record.Member(party)
	a, err := act.DraftAlive(v.Request.Head(), name, v.Made, v.w.Salt()).Prove(v.Request.Keys[0], party, keys.Share, m.Public, rand.Reader)
	if err != nil {
		v.t.Fatal(err)
	}
	s, err := a.Statement()
	if err != nil {
		v.t.Fatal(err)
	}
	return carry.Signed{Statement: s.Bytes()}
}

// Tested is what the vault signs with the lost operator.
func (v *Vault) Tested() carry.Signed {
	v.t.Helper()
	name, _, _ := v.Lost()
	var at []share.Index
	var parts []group.Scalar
	for i, h := range v.w.Hosts {
		m, _ := v.Record.Member(session.IDOf(h.Own.Identity))
		at, parts = append(at, m.Index), append(parts, v.keys(i).Share)
	}
	root, err := share.Interpolate(v.Record.Public.Group(), at, parts)
	if err != nil {
		v.t.Fatal(err)
	}
	digest := act.TestDigest(v.Request, v.Request.Keys[0], name)
	sig := ecdsa.Sign(secp256k1.PrivKeyFromBytes(root.Bytes()), digest[:])
	r, x := sig.R(), sig.S()
	rb, xb := r.Bytes(), x.Bytes()
	s, err := act.Signed{Head: v.Request.Head(), Operator: name, Signatures: []act.Proof{{Key: v.Request.Keys[0], Bytes: append(rb[:], xb[:]...)}}, Created: v.Made}.Statement(v.w.Salt())
	if err != nil {
		v.t.Fatal(err)
	}
	return carry.Signed{Statement: s.Bytes()}
}

func (v *Vault) keys(i int) *ceremony.Keys {
	v.t.Helper()
	k, err := v.w.Hosts[i].Keeper.Keys(v.t.Context(), v.Record.KeyID, v.Record.Hash())
	if err != nil {
		v.t.Fatal(err)
	}
	return k
}
