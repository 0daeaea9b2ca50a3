package sim_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/sim"
)

// The toy is a signing node in small: real engine, real store, crypto of hashes. A signer
// takes a one-time nonce from a counter, commits to it, checks its pairs under guard, and
// gives its part of a signature. Who knows no secret could not run it; the test knows all.
const (
	kindCommit engine.Kind = iota + 1
	kindOpen
	kindPad
	kindPart
)

const (
	limit   = 6 // signatures that a node takes part in, in safety mode
	timeout = 3 * time.Second
)

// bugs are what a mutant of the toy does wrong; the checkers must catch each.
type bugs struct {
	sendFirst, unknownIsDone, burnInMemory, blindJudge, anyMeaning, blameAll,
	noAllow, releaseUnverified, logFromStart, freeUnknown, neverRepeat, afterEnd bool
}

type request struct {
	Intent  byte
	Signers sim.Set
	Attempt byte
	Message [8]byte
}

func (q request) bytes() []byte {
	b := []byte{'q', q.Intent, byte(q.Signers), q.Attempt}
	return append(b, q.Message[:]...)
}

func parseRequest(b []byte) (q request, ok bool) {
	if len(b) != 12 || b[0] != 'q' {
		return q, false
	}
	q = request{Intent: b[1], Signers: sim.Set(b[2]), Attempt: b[3]}
	copy(q.Message[:], b[4:])
	return q, true
}

func (q request) session() engine.SessionID { return sha256.Sum256(q.bytes()) }

func hash(label string, parts ...[]byte) []byte {
	h := sha256.New()
	io.WriteString(h, label)
	for _, p := range parts {
		h.Write([]byte{byte(len(p) >> 8), byte(len(p))})
		h.Write(p)
	}
	return h.Sum(nil)
}

func party(i int) engine.PartyID { return engine.PartyID{byte(i + 1)} }
func index(p engine.PartyID) int { return int(p[0]) - 1 }

func pad(sid engine.SessionID, from, to engine.PartyID) []byte {
	return hash("pad", sid[:], from[:1], to[:1])[:8]
}

func part(sid engine.SessionID, who engine.PartyID, message, nonces []byte) []byte {
	return hash("part", who[:1], message, hash("all", nonces))[:16]
}

// A seal stands for an identity key's signature.
func seal(from int, payload []byte) []byte {
	return append(slices.Clone(payload), hash("seal", []byte{byte(from + 1)}, payload)[:8]...)
}

func unseal(from int, frame []byte) ([]byte, bool) {
	if len(frame) < 9 {
		return nil, false
	}
	payload := frame[:len(frame)-8]
	return payload, bytes.Equal(seal(from, payload), frame)
}

const header = 1 + 32 + 1 + 1 + 1 + 1 + 32

func encode(m engine.Msg) []byte {
	b := append([]byte{'m'}, m.Session[:]...)
	b = append(b, m.Round, byte(m.Kind), m.From[0], m.To[0])
	return append(append(b, m.Echo[:]...), m.Body...)
}

func decode(b []byte) (m engine.Msg, ok bool) {
	if len(b) < header || b[0] != 'm' {
		return m, false
	}
	m = engine.Msg{Session: engine.SessionID(b[1:33]), Round: b[33], Kind: engine.Kind(b[34])}
	m.From[0], m.To[0] = b[35], b[36]
	m.Echo, m.Body = engine.Transcript(b[37:header]), b[header:]
	return m, true
}

// What the toy tells checkers.
type (
	signed struct {
		request request
		sig     []byte
	}
	accused struct {
		sid engine.SessionID
		who []int
	}
	burned   struct{ peer int }
	usedPair struct{ peer int }
)

// signer is the toy protocol; its methods per stage follow.
type signer struct {
	req        request
	sid        engine.SessionID
	self       engine.PartyID
	all, peers []engine.PartyID
	nonce      []byte
	commits    map[engine.PartyID][]byte
	nonces     map[engine.PartyID][]byte
	pads       map[engine.PartyID][]byte
	parts      map[engine.PartyID][]byte
	unverified bool
}

type signature struct{ bytes []byte }

type (
	stageCommit struct{ *signer }
	stageOpen   struct{ *signer }
	stagePair   struct{ *signer }
	stageEnd    struct{ *signer }
	outcome     = engine.Outcome[signature]
)

func want(from []engine.PartyID, kind engine.Kind, direct bool, size int) engine.Want {
	return engine.Want{Kind: kind, Direct: direct, From: from, MaxBody: size}
}

func (stageCommit) Expect() engine.Expect                            { return engine.Expect{} }
func (stageCommit) Accept(engine.Kind, engine.PartyID, []byte) error { return nil }
func (s stageCommit) Finish(engine.Transcript) (outcome, error) {
	out := engine.Out{Kind: kindCommit, Body: hash("commit", s.self[:1], s.nonce)}
	return outcome{Send: []engine.Out{out}, Next: stageOpen{s.signer}}, nil
}

func (s stageOpen) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{want(s.peers, kindCommit, false, 32)}}
}
func (s stageOpen) Accept(_ engine.Kind, from engine.PartyID, body []byte) error {
	s.commits[from] = body
	return nil
}
func (s stageOpen) Finish(engine.Transcript) (outcome, error) {
	send := []engine.Out{{Kind: kindOpen, Body: s.nonce}}
	for _, p := range s.peers {
		send = append(send, engine.Out{Kind: kindPad, To: p, Body: pad(s.sid, s.self, p)})
	}
	return outcome{Send: send, Next: stagePair{s.signer}}, nil
}

func (s stagePair) Expect() engine.Expect {
	e := engine.Expect{Wants: []engine.Want{want(s.peers, kindOpen, false, 32), want(s.peers, kindPad, true, 8)}}
	for _, p := range s.peers {
		e.Guard = append(e.Guard, engine.Token{Peer: p})
	}
	return e
}
func (s stagePair) Accept(kind engine.Kind, from engine.PartyID, body []byte) error {
	if kind == kindPad {
		s.pads[from] = body
	} else if s.nonces[from] = body; !bytes.Equal(hash("commit", from[:1], body), s.commits[from]) {
		return engine.Blamed("toy: opening", from, nil)
	}
	return nil
}
func (s stagePair) Finish(engine.Transcript) (out outcome, err error) {
	var faults []*engine.Fault
	for _, p := range s.peers {
		if !bytes.Equal(s.pads[p], pad(s.sid, p, s.self)) {
			out.Burn = append(out.Burn, engine.Token{Peer: p})
			faults = append(faults, engine.Burned("toy: pad", p, nil))
		}
	}
	if f := engine.Merge(faults...); f != nil {
		return out, f
	}
	s.nonces[s.self] = s.nonce
	s.parts[s.self] = part(s.sid, s.self, s.req.Message[:], s.sum())
	out.Send = []engine.Out{{Kind: kindPart, Body: s.parts[s.self]}}
	out.Next = stageEnd{s.signer}
	return out, nil
}

// sum is all nonces, hashed in the order of parties.
func (s *signer) sum() []byte {
	var all []byte
	for _, p := range s.all {
		all = append(all, hash("nonce", s.nonces[p])[:8]...)
	}
	return all
}

func (s stageEnd) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{want(s.peers, kindPart, false, 16)}}
}
func (s stageEnd) Accept(_ engine.Kind, from engine.PartyID, body []byte) error {
	if len(body) != 16 {
		return errors.New("part has not 16 bytes")
	}
	s.parts[from] = body
	return nil
}
func (s stageEnd) Finish(engine.Transcript) (out outcome, err error) {
	sig := append([]byte{}, s.sum()...)
	for _, p := range s.all {
		sig = append(sig, s.parts[p]...)
	}
	if !s.unverified && verify(s.req, sig) != nil {
		return out, engine.Nobody("toy: signature does not verify", nil)
	}
	out.Result = &signature{sig}
	return out, nil
}

func verify(q request, sig []byte) error {
	n := 0
	for i := range 16 {
		if q.Signers.Has(i) {
			n++
		}
	}
	if len(sig) != 24*n {
		return errors.New("signature has the wrong length")
	}
	nonces, parts := sig[:8*n], sig[8*n:]
	for i := range 16 {
		if q.Signers.Has(i) {
			if !bytes.Equal(parts[:16], part(q.session(), party(i), q.Message[:], nonces)) {
				return fmt.Errorf("part of node %d is wrong", i)
			}
			parts = parts[16:]
		}
	}
	return nil
}

// node hosts sessions as node/session does: durable first, then frames.
type node struct {
	sim.Env
	bugs  bugs
	limit uint64
	runs  []*run
	logs  int
	hot   map[int]bool // burned, for the mutant that keeps it in memory
}

type run struct {
	req     request
	sid     engine.SessionID
	session *engine.Session[signature]
	out     map[int][][]byte // frames, to be repeated
	until   time.Time
	peers   []int
}

var ctx = context.Background()

func (n *node) Start(time.Time) {
	for ; !n.bugs.logFromStart; n.logs++ {
		if _, err := n.Store.Get(ctx, logKey(n.logs)); err != nil {
			return
		}
	}
}

func (n *node) Crash() {}

func (n *node) Tick(now time.Time) {
	n.runs = slices.DeleteFunc(n.runs, func(r *run) bool { return now.After(r.until) })
	for _, r := range n.runs {
		if !n.bugs.neverRepeat {
			for _, p := range r.peers {
				for _, f := range r.out[p] {
					n.Send(p, f)
				}
			}
		}
	}
}

func (n *node) Deliver(now time.Time, from int, frame []byte) {
	payload, ok := unseal(from, frame)
	if !ok {
		return
	}
	if q, ok := parseRequest(payload); ok && from == sim.Client {
		n.open(now, q)
		return
	}
	m, ok := decode(payload)
	if !ok || m.From != party(from) {
		return
	}
	m.Signed = frame
	for _, r := range n.runs {
		if r.sid == m.Session && r.session != nil && !r.session.Finished() {
			eff, err := r.session.Step(m)
			n.carry(r, eff, err)
		}
	}
}

func logKey(i int) string  { return store.Key("log", store.Number(uint64(i))) }
func burnKey(p int) string { return store.Key("burn", store.Number(uint64(p))) }
func allowKey(q request) string {
	sid := q.session()
	return store.Key("allow", store.ID(sid[:]))
}

// open decides on a request, makes that durable, and only then starts the session.
func (n *node) open(now time.Time, q request) {
	if !q.Signers.Has(n.ID) {
		return
	}
	r := &run{req: q, sid: q.session(), out: map[int][][]byte{}, until: now.Add(timeout)}
	s := &signer{
		req: q, sid: r.sid, self: party(n.ID), unverified: n.bugs.releaseUnverified,
		commits: map[engine.PartyID][]byte{}, nonces: map[engine.PartyID][]byte{},
		pads: map[engine.PartyID][]byte{}, parts: map[engine.PartyID][]byte{},
	}
	for i := range 16 {
		if q.Signers.Has(i) {
			s.all = append(s.all, party(i))
			if i != n.ID {
				s.peers, r.peers = append(s.peers, party(i)), append(r.peers, i)
				if n.isBurned(i) {
					return
				}
			}
		}
	}
	b, token, ok := n.decision(q)
	if !ok {
		return
	}
	s.nonce = hash("token", []byte{byte(n.ID)}, binary.BigEndian.AppendUint64(nil, token))
	params := engine.Params{Session: s.sid, Parties: s.all, MaxBody: 32, Kinds: 2}
	session, err := engine.New(params, s.self, engine.Stage[signature](stageCommit{s}))
	if err != nil {
		return
	}
	r.session = session
	n.runs = append(n.runs, r)
	if n.bugs.sendFirst {
		eff, err := session.Start()
		n.carry(r, eff, err)
	}
	if _, err := n.Store.Commit(ctx, b); err != nil && !(n.bugs.unknownIsDone && errors.Is(err, store.ErrUnknown)) {
		n.runs = n.runs[:len(n.runs)-1]
		n.Start(now) // unknown may be done: where the log ends is to be read again
		return
	}
	n.logs++
	if !n.bugs.sendFirst {
		eff, err := session.Start()
		n.carry(r, eff, err)
	}
}

// decision is one batch: allowed, one meaning for the intent, the limit, the nonce, a log
// entry. It names the token whose nonce the session may use.
func (n *node) decision(q request) (b store.Batch, token uint64, ok bool) {
	intent := store.Key("intent", store.Number(uint64(q.Intent)))
	if it, err := n.Store.Get(ctx, intent); err == nil && !n.bugs.anyMeaning {
		if !bytes.Equal(it.Value, q.Message[:]) {
			return b, 0, false
		}
		b.If = append(b.If, store.Unchanged(it))
	} else if err != nil {
		b.If = append(b.If, store.Absent(intent))
	}
	counter, err := n.Store.Get(ctx, "token/next")
	switch {
	case errors.Is(err, store.ErrNotFound):
		b.If = append(b.If, store.Absent("token/next"))
	case err != nil:
		return b, 0, false
	default:
		token = binary.BigEndian.Uint64(counter.Value)
		b.If = append(b.If, store.Unchanged(counter))
	}
	spent := token
	if n.bugs.freeUnknown {
		spent = uint64(len(n.runs)) // forgets what is not in flight any more
	}
	if spent >= n.limit {
		return b, 0, false
	}
	b.If = append(b.If, store.Absent(allowKey(q)))
	b.Put = []store.Entry{
		{Key: intent, Value: q.Message[:]},
		{Key: "token/next", Value: binary.BigEndian.AppendUint64(nil, token+1)},
		{Key: logKey(n.logs), Value: q.bytes()},
	}
	if !n.bugs.noAllow {
		b.Put = append(b.Put, store.Entry{Key: allowKey(q), Value: q.bytes()})
	}
	return b, token, true
}

func (n *node) isBurned(peer int) bool {
	_, err := n.Store.Get(ctx, burnKey(peer))
	if n.bugs.burnInMemory {
		return n.hot[peer]
	}
	return !errors.Is(err, store.ErrNotFound)
}

// carry does what the engine says: Burn, then Send, then Result; then judges if due.
func (n *node) carry(r *run, eff engine.Effects[signature], err error) {
	for _, t := range eff.Burn {
		peer := index(t.Peer)
		n.hot[peer] = true
		if !n.bugs.burnInMemory {
			if _, err := n.Store.Commit(ctx, store.Batch{Put: []store.Entry{{Key: burnKey(peer)}}, Reserve: true}); err != nil {
				n.Stop() // a burn that cannot be kept stops the process
				return
			}
		}
		n.Tell(burned{peer})
	}
	for _, m := range eff.Send {
		frame := seal(n.ID, encode(m))
		for _, p := range r.peers {
			if m.To == engine.Everyone || m.To == party(p) {
				r.out[p] = append(r.out[p], frame)
				n.Send(p, frame)
			}
		}
	}
	if eff.Result != nil {
		n.Tell(signed{r.req, eff.Result.bytes})
	}
	var f *engine.Fault
	if errors.As(err, &f) {
		n.fault(r, f)
	}
	if guard := r.session.Guard(); len(guard) > 0 {
		for _, t := range guard {
			if !n.bugs.blindJudge && n.isBurned(index(t.Peer)) {
				r.session = nil // the pair died meanwhile
				r.out = nil
				return
			}
		}
		for _, t := range guard {
			n.Tell(usedPair{index(t.Peer)})
		}
		eff, err := r.session.Judge()
		n.carry(r, eff, err)
	}
}

func (n *node) fault(r *run, f *engine.Fault) {
	var who []int
	for _, p := range f.Accused {
		who = append(who, index(p))
	}
	if n.bugs.blameAll && len(who) == 0 {
		who = r.peers
	}
	n.Tell(accused{f.Session, who})
	if n.bugs.afterEnd {
		r.until = r.until.Add(timeout)
		return
	}
	r.out = nil // nothing of a failed session goes out any more
}

// misbehave is the corrupt node: any bit may flip, under a valid seal, to one receiver.
func misbehave(r *rand.Rand, from, _ int, frame []byte) [][]byte {
	payload, ok := unseal(from, frame)
	if !ok || r.IntN(4) > 0 {
		return [][]byte{frame}
	}
	switch r.IntN(5) {
	case 0:
		return nil
	case 1: // equivocation beside the true message
		other := slices.Clone(payload)
		other[len(other)-1] ^= 1
		return [][]byte{frame, seal(from, other)}
	case 2: // any field
		payload[r.IntN(len(payload))] ^= 1 << r.IntN(8)
	case 3: // the body
		if len(payload) > header {
			payload[header+r.IntN(len(payload)-header)] ^= 1 << r.IntN(8)
		}
	case 4: // oversized
		payload = append(payload, make([]byte, r.IntN(64))...)
	}
	return [][]byte{seal(from, payload)}
}
