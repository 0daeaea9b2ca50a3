package nodetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/dkls"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store"
)

// First bytes of frames that are no session's (spec/node 2).
const (
	FrameNote      = 16
	FrameVerdict   = 17
	FrameDecline   = 18
	FrameChallenge = 19
	FrameLife      = 20
	FrameOther     = 21
)

// A Watch fails the test when
//
//   - a note, a Join or a session's message leaves before what it stands on is durable;
//   - a node joins a signing session without its own durable ALLOW (I2);
//   - a session goes on after its node was restarted;
//   - a node signs two FINALs of one record, two key choices of one vault, or two decisions
//     on one intent;
//   - a signature leaves that is not of the intent's own transaction by the vault's key, or
//     one intent is signed twice (I1, I10);
//   - a node joins two sessions with one presignature, or one whose burn record is not durable;
//   - two keys of one vault are published;
//   - a record is in force anywhere and none that is higher, and fewer than all its members can
//     load a share that is consistent with it and with the key (I4).
//
// A hostile host's words and disk are its own affair: the watch holds only honest nodes to
// what they say, and all of them to I4.
type Watch struct {
	w *World

	mu       sync.Mutex
	setups   map[[32]byte]*mpc.Setup
	sessions map[string]int    // host and session → life
	said     map[string][]byte // what may be said once → its bytes
	dirty    bool
	certs    map[string]*epoch.FinalCert
	Finals   int // FINALs that were seen
	Joins    int
	Online   int // Joins that used a presignature

	// Digests are all that an intent has signed, of which one is given; nil: that one alone.
	Digests func(it intent.Intent, one [32]byte) [][32]byte
}

func newWatch(w *World) *Watch {
	return &Watch{
		w: w, setups: map[[32]byte]*mpc.Setup{}, sessions: map[string]int{}, said: map[string][]byte{}, certs: map[string]*epoch.FinalCert{},
	}
}

func (x *Watch) wrong(format string, args ...any) {
	x.w.T.Errorf("watch: "+format, args...)
}

// once notes that something was said; it may never be said otherwise.
func (x *Watch) once(what string, b []byte) {
	if old, ok := x.said[what]; ok && !bytes.Equal(old, b) {
		x.wrong("%s: a second, different one", what)
	}
	x.said[what] = bytes.Clone(b)
}

func (x *Watch) wrote(b store.Batch) {
	for _, e := range b.Put {
		x.touched(e.Key)
	}
	for _, k := range b.Delete {
		x.touched(k)
	}
}

func (x *Watch) touched(key string) {
	for _, p := range []string{"epoch/", "gone/", "current/", "choice/"} {
		if strings.HasPrefix(key, p) {
			x.mu.Lock()
			x.dirty = true
			x.mu.Unlock()
		}
	}
}

// forged makes a setup known that an attacker made without its node.
func (x *Watch) forged(frame []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s, err := mpc.OpenSetup(frame); err == nil {
		x.setups[s.Hash()] = s
	}
}

// sent looks at a frame as it leaves.
func (x *Watch) sent(p Parcel) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(p.Frame) > 0 && p.Frame[0] == FrameNote {
		x.note(p)
		return
	}
	switch t, err := mpc.TypeOf(p.Frame); {
	case err != nil:
	case t == mpc.SetupFrame:
		if s, err := mpc.OpenSetup(p.Frame); err == nil {
			x.setups[s.Hash()] = s
		}
	case t == mpc.JoinFrame:
		x.join(p)
	default:
		env, err := mpc.ReadEnvelope(p.Frame)
		if err != nil {
			x.wrong("%s sends a message that does not decode: %v", p.From.Own.Name, err)
			return
		}
		at := p.From.Own.Name + env.Session.String()
		if life, ok := x.sessions[at]; ok && life != p.Life {
			x.wrong("%s goes on with session %v after a restart", p.From.Own.Name, env.Session)
		}
		x.sessions[at] = p.Life
	}
}

func (x *Watch) durable(h *Host, key string) bool {
	for _, it := range x.w.Rows(h, key) {
		if it.Key == key {
			return true
		}
	}
	return false
}

func (x *Watch) join(p Parcel) {
	x.Joins++
	hash, _, err := mpc.JoinSetup(p.Frame)
	s := x.setups[hash]
	if err != nil || s == nil {
		x.wrong("%s sends a join of no setup", p.From.Own.Name)
		return
	}
	if !x.durable(p.From, store.SeenKey(uint64(s.NotAfter.Unix()), hash[:])) {
		x.wrong("%s joins a session that is not marked as seen", p.From.Own.Name)
	}
	var req *protocol.Request
	switch s.Protocol {
	case protocol.ProtocolSign:
		req, err = protocol.DecodeRequest(s.Payload)
	case protocol.ProtocolOnline:
		var online *protocol.OnlineRequest
		if online, err = protocol.DecodeOnlineRequest(s.Payload); err == nil {
			x.presignature(p.From, online, hash)
			req = &online.Request
		}
	default:
		return
	}
	if err != nil {
		x.wrong("%s joins a request that does not decode: %v", p.From.Own.Name, err)
		return
	}
	d, ok := x.decision(p.From, req.Intent, p.From.Own.Name)
	if !ok || d.Verdict != intent.Allow {
		x.wrong("%s joins the signing of intent %x without its own ALLOW", p.From.Own.Name, req.Intent[:6])
	}
	if it, st, ok := x.intent(p.From, req.Intent); ok {
		digests, err := x.digests(p.From, it, st, s.Suite)
		if err != nil || !slices.Contains(digests, req.Digest) || req.Purpose != it.Purpose {
			x.wrong("%s joins the signing of another digest than intent %x has", p.From.Own.Name, req.Intent[:6])
		}
	}
}

// presignature holds a Join of an online session to the burn record: durable, of this very use, and there is one Join for
// each presignature (spec/presign 5.2).
func (x *Watch) presignature(h *Host, req *protocol.OnlineRequest, setup [32]byte) {
	x.once(fmt.Sprintf("%s: join for presignature %v", h.Own.Name, req.Presignature), setup[:])
	key := store.Key("presig-burn", store.ID(req.Presignature[:]))
	for _, it := range x.w.Rows(h, key) {
		burn, err := dkls.DecodeBurn(it.Value)
		if err == nil && burn.ID == req.Presignature && burn.Use == (dkls.Use{Setup: setup, Digest: req.Digest}) {
			x.Online++
			return
		}
	}
	x.wrong("%s joins with presignature %v, which is not burned for it", h.Own.Name, req.Presignature)
}

// decision reads an operator's decision from a host's disk.
func (x *Watch) decision(h *Host, id statement.ID, operator string) (intent.Decision, bool) {
	for _, it := range x.w.Rows(h, store.Key("decision", store.ID(id[:]), store.Name(operator))) {
		if s, err := statement.ParseKind(it.Value[64:], statement.Decision); err == nil {
			d, err := intent.DecisionOf(s)
			return d, err == nil
		}
	}
	return intent.Decision{}, false
}

// digests are all that an intent asks keys of a suite to sign, in the form of requests.
func (x *Watch) digests(h *Host, it intent.Intent, st statement.Statement, suite string) (all [][32]byte, err error) {
	if it.Purpose == intent.PurposeTransaction && !strings.HasPrefix(it.Chain, "eip155:") {
		p, err := x.w.Read(h, it)
		if err != nil {
			return nil, err
		}
		for _, u := range p.Uses() {
			d, err := protocol.Digest(u.Suite, u.Message)
			if err != nil {
				return nil, err
			}
			all = append(all, d)
		}
		return all, nil
	}
	one, err := x.digest(h, it, st, suite)
	if x.Digests != nil {
		return x.Digests(it, one), err
	}
	return [][32]byte{one}, err
}

// digest is what an intent asks a key of a suite to sign, in the form of a request.
func (x *Watch) digest(h *Host, it intent.Intent, st statement.Statement, suite string) ([32]byte, error) {
	if it.Purpose != intent.PurposeProof {
		return evm.DigestOf(it.Transaction)
	}
	text, err := proofText(st, suite)
	if err != nil {
		return [32]byte{}, err
	}
	_, key, err := x.child(h, it)
	if err != nil {
		return [32]byte{}, err
	}
	message, err := chain.ProofMessage(suite, it.Chain, key, x.tree(h, it, suite), text)
	if err != nil {
		return [32]byte{}, err
	}
	return protocol.Digest(suite, message)
}

// proofText is the statement that a proof's intent asks to be signed.
func proofText(st statement.Statement, suite string) ([]byte, error) {
	p, err := intent.ProofOf(st, suite)
	if err != nil {
		return nil, err
	}
	s, err := p.Statement()
	return s.Bytes(), err
}

// intent reads an intent from a host's disk.
func (x *Watch) intent(h *Host, id statement.ID) (intent.Intent, statement.Statement, bool) {
	for _, it := range x.w.Rows(h, store.Key("proposal", store.ID(id[:]))) {
		at := bytes.Index(it.Value, []byte("ostraka/1 intent\n"))
		end := bytes.Index(it.Value, []byte("\nsalt: ")) + len("\nsalt: ") + 64 + 1
		if at < 0 || end < at {
			continue
		}
		if s, err := statement.ParseKind(it.Value[at:end], statement.Intent); err == nil {
			in, err := intent.Of(s)
			return in, s, err == nil
		}
	}
	return intent.Intent{}, statement.Statement{}, false
}

func (x *Watch) note(p Parcel) {
	n, err := outbox.Decode(p.Frame[1:])
	if err != nil {
		x.wrong("%s sends a note that does not decode: %v", p.From.Own.Name, err)
		return
	}
	id := n.ID()
	// A lagging peer is helped with the certificate in force, which is a row of its own.
	if n.Kind != ceremony.NoteFinalCert && !x.durable(p.From, store.Key("noted", store.ID(id[:]))) {
		x.wrong("%s sends a note of kind %#x that it has not made durable", p.From.Own.Name, uint8(n.Kind))
	}
	switch n.Kind {
	case ceremony.NoteFinal:
		if f, err := epoch.DecodeFinal(n.Fields[0]); err == nil && !x.w.hostile(f.From) {
			x.Finals++
			x.once(fmt.Sprintf("FINAL of %v by %v", f.Record, f.From), n.Fields[0])
		}
	case ceremony.NoteChoice:
		if s, err := statement.ParseKind(n.Fields[0], statement.Key); err == nil {
			x.once(fmt.Sprintf("%s key choice of vault %s by %s", s.Get("suite"), s.Get("vault"), n.Fields[1]), n.Fields[0])
		}
	case decide.NoteDecision:
		if s, err := statement.ParseKind(n.Fields[0], statement.Decision); err == nil && !x.w.hostileOperator(s.Get("operator")) {
			x.once(fmt.Sprintf("decision on %s by %s", s.Get("intent"), s.Get("operator")), n.Fields[0])
		}
	case decide.NoteSigned:
		x.signature(p.From, statement.ID(n.Fields[0]), n.Fields[1])
	}
}

// signature holds what leaves to the intent as the sender's own disk has it.
func (x *Watch) signature(h *Host, id statement.ID, raw []byte) {
	x.once(fmt.Sprintf("signature of intent %s", id.Short()), raw)
	it, st, ok := x.intent(h, id)
	if !ok {
		x.wrong("%s sends a signature of an intent that it does not hold", h.Own.Name)
		return
	}
	if it.Purpose == intent.PurposeProof {
		if err := x.proof(h, it, st, raw); err != nil {
			x.wrong("%s sends a signature that is not of proof %s by its address: %v", h.Own.Name, id.Short(), err)
		}
		return
	}
	if it.Purpose == intent.PurposeMessage {
		if _, from, err := evm.CheckMessage(it.Transaction, raw); err != nil || from.String() != it.Address {
			x.wrong("%s sends a signature that is not of message %s by its address: %v", h.Own.Name, id.Short(), err)
		}
		return
	}
	if !strings.HasPrefix(it.Chain, "eip155:") {
		p, err := x.w.Read(h, it)
		if err == nil {
			_, err = p.ParseSigned(raw)
		}
		if err != nil {
			x.wrong("%s sends a signature that is not of intent %s: %v", h.Own.Name, id.Short(), err)
		}
		return
	}
	got, err := evm.ParseAny(raw)
	if err != nil || !bytes.Equal(got.Transaction.Unsigned(), it.Transaction) || got.From.String() != it.Address {
		x.wrong("%s sends a signature that is not of intent %s by its address: %v", h.Own.Name, id.Short(), err)
	}
}

// proof holds a proof's signature to the key that the sender's disk has in force.
func (x *Watch) proof(h *Host, it intent.Intent, st statement.Statement, raw []byte) error {
	suite, key, err := x.child(h, it)
	if err != nil {
		return err
	}
	text, err := proofText(st, suite)
	if err != nil {
		return err
	}
	return chain.CheckProof(suite, it.Chain, key, x.tree(h, it, suite), text, raw)
}

// tree is the root of the scripts of a vault's addresses, as a host has the vault.
func (x *Watch) tree(h *Host, it intent.Intent, suite string) *[32]byte {
	v, _ := h.Keeper.Root(it.Vault, suite)
	return policy.Tree(v.Vault, suite)
}

// child is an intent's key as a host's disk has it in force.
func (x *Watch) child(h *Host, it intent.Intent) (suite string, key group.Point, err error) {
	for _, row := range x.w.Rows(h, store.Key("current", store.ID(it.Key[:]))) {
		f, err := epoch.DecodeFinalCert(row.Value)
		if err != nil {
			return "", nil, err
		}
		key, _, err := protocol.Child(f.Record, it.Path[:])
		return f.Record.Suite, key, err
	}
	return "", nil, errors.New("its key is not in force here")
}

// look reads the disks, if records or certificates changed since the last time.
func (x *Watch) look() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.dirty {
		return
	}
	x.dirty = false
	newest := map[[32]byte]*epoch.Record{} // who has moved on has erased its share of the record before
	for _, h := range x.w.Hosts {
		for _, it := range x.w.Rows(h, store.Prefix("current")) {
			f := x.certs[string(it.Value)]
			if f == nil {
				var err error
				if f, err = epoch.DecodeFinalCert(it.Value); err != nil {
					x.wrong("%s holds a final certificate that does not hold: %v", h.Own.Name, err)
					continue
				}
				x.certs[string(it.Value)] = f
			}
			if r := newest[f.Record.KeyID]; r == nil || f.Record.Higher(r) {
				newest[f.Record.KeyID] = f.Record
			}
		}
		if !h.Up {
			continue
		}
		for _, v := range h.Keeper.Roots() {
			if v.Current != nil {
				x.once("published "+v.Suite+" key of vault "+v.Vault.ID.Short(), v.Current.Record.Public.Bytes())
			}
		}
	}
	for _, r := range newest {
		x.alive(r)
	}
	x.choices()
}

// choices holds all disks' key choices against one another.
func (x *Watch) choices() {
	for _, h := range x.w.Hosts {
		for _, it := range x.w.Rows(h, store.Prefix("choice")) {
			s, err := statement.ParseKind(it.Value[64:], statement.Key)
			if err == nil {
				_, err = charter.KeyChoiceOf(s)
			}
			if err != nil {
				x.wrong("%s holds a key choice that does not decode: %v", h.Own.Name, err)
				continue
			}
			x.once(s.Get("suite")+" key that vault "+s.Get("vault")+" publishes", []byte(s.Get("key")))
		}
	}
}

// alive checks that every member of a record in force can load its share, and that any
// threshold of them makes up the key.
func (x *Watch) alive(r *epoch.Record) {
	shares, setBack := map[share.Index]group.Scalar{}, 0
	for _, m := range r.Members {
		h := x.w.Find(m.Identity)
		keys, err := x.w.Keys(h, r)
		if err != nil && h.Restored {
			setBack++
			continue
		}
		if err != nil {
			x.wrong("record %v is in force, and %s cannot load its share: %v", r.Hash(), h.Own.Name, err)
			continue
		}
		shares[m.Index] = keys.Share
	}
	if len(shares)+setBack < r.Threshold {
		x.wrong("record %v is in force, and %d of %d shares are left", r.Hash(), len(shares), r.Threshold)
	}
	if len(shares) < r.Threshold {
		return
	}
	var points []share.Index
	var values []group.Scalar
	for _, m := range r.Members {
		if shares[m.Index] != nil && len(points) < r.Threshold {
			points, values = append(points, m.Index), append(values, shares[m.Index])
		}
	}
	g := r.Public.Group()
	sum, err := share.Interpolate(g, points, values)
	if err != nil || !g.BaseMul(sum).Equal(r.Public) {
		x.wrong("record %v: the members' shares do not make up its key: %v", r.Hash(), err)
	}
}

// Keys loads a member's secrets of a record from its disk.
func (w *World) Keys(h *Host, r *epoch.Record) (*protocol.Keys, error) {
	self, eh := mpc.IDOf(h.Own.Identity), r.Hash()
	return protocol.Load(r, self, func(row string) (secret.Bytes, error) {
		key := store.Key("epoch", store.ID(r.KeyID[:]), store.ID(eh[:]), store.Name(row))
		for _, it := range w.Rows(h, key) {
			if it.Key == key {
				return h.Box.Open(Label(self, r.KeyID, eh, row), it.Value)
			}
		}
		return secret.Bytes{}, fmt.Errorf("row %s is missing", row)
	})
}

// Label is what a sealed row of a record stands under.
func Label(self engine.PartyID, key [32]byte, eh epoch.Hash, row string) seal.Label {
	return seal.Label{Key: key[:], Epoch: eh[:], Operator: self[:], Row: row}
}
