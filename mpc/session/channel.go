package session

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
)

const echoSize = len(engine.Transcript{})

// A Channel carries one session's messages: it signs all and encrypts the private ones.
// It is not safe for concurrent use.
type Channel struct {
	setup  *Setup
	id     engine.SessionID
	self   engine.PartyID
	sign   Signer
	send   map[engine.PartyID]cipher.AEAD // keys are separate per direction (TOB-SILA-6)
	recv   map[engine.PartyID]cipher.AEAD
	sealed map[slot]bool
	nonces [][32]byte
}

// slot is what may be sealed once: nonces are made of it.
type slot struct {
	to    engine.PartyID
	round uint8
	kind  engine.Kind
}

// Format redacts under every verb.
func (*Channel) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

var errWiped = errors.New("the session's channel keys are wiped")

// Session is the session id.
func (c *Channel) Session() engine.SessionID { return c.id }

// Nonces are those of all Joins, in index order: public, and as fresh as the session id.
func (c *Channel) Nonces() [][32]byte { return slices.Clone(c.nonces) }

func newChannel(g *Joining, id engine.SessionID) (*Channel, error) {
	c := &Channel{
		setup: g.setup, id: id, self: g.self, sign: g.sign,
		send: map[engine.PartyID]cipher.AEAD{}, recv: map[engine.PartyID]cipher.AEAD{}, sealed: map[slot]bool{},
	}
	g.ephemeral = nil
	for peer, dh := range g.shared {
		var err error
		c.send[peer], err = pairKey(dh, id, g.self, peer)
		if err == nil {
			c.recv[peer], err = pairKey(dh, id, peer, g.self)
		}
		secret.Wipe(dh)
		if err != nil {
			return nil, err
		}
	}
	clear(g.shared)
	return c, nil
}

// pairKey derives the key of one direction: HKDF(DH, sid, from, to).
func pairKey(dh []byte, id engine.SessionID, from, to engine.PartyID) (cipher.AEAD, error) {
	info := transcript.New(transcript.SessionKey).Bytes(from[:]).Bytes(to[:]).Tree()
	key, err := hkdf.Key(sha256.New, dh, id[:], string(info), chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("join: derive a channel key: %w", err)
	}
	defer secret.Wipe(key)
	return chacha20poly1305.New(key)
}

const (
	fieldHeaderVersion transcript.Tag = iota + 1
	fieldHeaderProtocol
	fieldHeaderSession
	fieldHeaderRound
	fieldHeaderKind
	fieldHeaderFrom
	fieldHeaderTo
)

const (
	fieldMessageHeader transcript.Tag = iota + 1
	fieldMessageBody
	fieldMessageSignature
)

func (c *Channel) header(m *engine.Msg) []byte {
	var e transcript.Encoder
	e.Uint(fieldHeaderVersion, Version).String(fieldHeaderProtocol, c.setup.Protocol)
	e.Bytes(fieldHeaderSession, m.Session[:]).Uint(fieldHeaderRound, uint64(m.Round)).Uint(fieldHeaderKind, uint64(m.Kind))
	return e.Bytes(fieldHeaderFrom, m.From[:]).Bytes(fieldHeaderTo, m.To[:]).Sum()
}

func nonce(m *engine.Msg) []byte {
	n := make([]byte, chacha20poly1305.NonceSize)
	n[0], n[1] = m.Round, byte(m.Kind)
	return n
}

func signedMessage(header, body []byte) *transcript.Hash {
	sum := sha256.Sum256(body)
	return transcript.New(transcript.SessionEnvelope).Bytes(header).Bytes(sum[:])
}

// Seal makes the frame of one of our own messages. Each (receiver, round, kind) can be
// sealed once: to send again, send the stored bytes again.
func (c *Channel) Seal(m engine.Msg) ([]byte, error) {
	switch {
	case c.send == nil:
		return nil, fmt.Errorf("seal: %w", errWiped)
	case m.Session != c.id || m.From != c.self:
		return nil, errors.New("seal: the message is not ours or of another session")
	}
	s := slot{m.To, m.Round, m.Kind}
	if c.sealed[s] {
		return nil, fmt.Errorf("seal: round %d kind %d to %v was sealed before", m.Round, m.Kind, m.To)
	}
	header, body := c.header(&m), make([]byte, 0, echoSize+len(m.Body)+chacha20poly1305.Overhead)
	body = append(append(body, m.Echo[:]...), m.Body...)
	if m.To != engine.Everyone {
		aead, ok := c.send[m.To]
		if !ok {
			return nil, fmt.Errorf("seal: %v is not a party of this session", m.To)
		}
		body = aead.Seal(body[:0], nonce(&m), body, header)
	}
	c.sealed[s] = true
	var e transcript.Encoder
	e.Bytes(fieldMessageHeader, header).Bytes(fieldMessageBody, body)
	e.Bytes(fieldMessageSignature, c.sign(signedMessage(header, body)))
	return append([]byte{frameMessage}, e.Sum()...), nil
}

// Open authenticates and decrypts a frame of another party. An error means: drop it.
func (c *Channel) Open(frame []byte) (engine.Msg, error) {
	if c.recv == nil {
		return engine.Msg{}, fmt.Errorf("open: %w", errWiped)
	}
	env, err := ReadEnvelope(frame)
	if err != nil {
		return engine.Msg{}, err
	}
	m := engine.Msg{Session: env.Session, Round: env.Round, Kind: env.Kind, From: env.From, To: env.To}
	from, ok := c.setup.Party(m.From)
	switch {
	case m.Session != c.id:
		return engine.Msg{}, engine.ErrForeign
	case !ok || m.From == c.self:
		return engine.Msg{}, fmt.Errorf("%w: sender %v has no other seat in this session", ErrInauthentic, m.From)
	case env.Protocol != c.setup.Protocol:
		return engine.Msg{}, fmt.Errorf("%w: message of protocol %q in a session of %q", ErrInauthentic, env.Protocol, c.setup.Protocol)
	case m.To != engine.Everyone && m.To != c.self:
		return engine.Msg{}, fmt.Errorf("message is for %v, not for us", m.To)
	case !env.SignedBy(from.Identity):
		return engine.Msg{}, fmt.Errorf("%w: message is not signed by %v", ErrInauthentic, m.From)
	}
	body := env.Body
	if m.To == c.self {
		if body, err = c.recv[m.From].Open(nil, nonce(&m), body, env.header); err != nil {
			return engine.Msg{}, fmt.Errorf("%w: private message of %v does not open", ErrInauthentic, m.From)
		}
	}
	if len(body) < echoSize {
		return engine.Msg{}, fmt.Errorf("decode message of %v: body of %d bytes has no echo", m.From, len(body))
	}
	m.Echo = engine.Transcript(body[:echoSize])
	m.Body, m.Signed = body[echoSize:], bytes.Clone(frame)
	if m.To == engine.Everyone {
		m.Body = bytes.Clone(m.Body) // a private body has left the frame already, and one copy is enough to wipe
	}
	return m, nil
}

// Wipe forgets the channel's keys as far as Go lets us: the AEADs are dropped. Nothing is
// sealed or opened afterwards.
func (c *Channel) Wipe() { c.send, c.recv = nil, nil }

// An Envelope is a message frame as anybody can read it: evidence for third parties.
type Envelope struct {
	Protocol  string
	Session   engine.SessionID
	Round     uint8
	Kind      engine.Kind
	From, To  engine.PartyID
	Body      []byte // as sent: echo ‖ body, encrypted unless it is a broadcast
	header    []byte
	signature []byte
}

// ReadEnvelope decodes a message frame strictly. It authenticates nothing.
func ReadEnvelope(frame []byte) (*Envelope, error) {
	if len(frame) == 0 || len(frame) > MaxFrame || frame[0] != frameMessage {
		return nil, fmt.Errorf("decode message: %d bytes, not a message frame", len(frame))
	}
	env := &Envelope{}
	d := transcript.NewDecoder(frame[1:])
	env.header, env.Body = d.Bytes(fieldMessageHeader, 512), d.Bytes(fieldMessageBody, MaxFrame)
	env.signature = d.Fixed(fieldMessageSignature, 64)
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode message: %w", err)
	}
	h := transcript.NewDecoder(env.header)
	if v := h.Uint(fieldHeaderVersion, 1<<32); h.Err() == nil && v != Version {
		return nil, &VersionError{Got: v}
	}
	env.Protocol = h.String(fieldHeaderProtocol, 32)
	copy(env.Session[:], h.Fixed(fieldHeaderSession, 32))
	env.Round = uint8(h.Uint(fieldHeaderRound, 255))
	env.Kind = engine.Kind(h.Uint(fieldHeaderKind, 255))
	copy(env.From[:], h.Fixed(fieldHeaderFrom, 16))
	copy(env.To[:], h.Fixed(fieldHeaderTo, 16))
	if err := h.Done(); err != nil {
		return nil, fmt.Errorf("decode message header: %w", err)
	}
	return env, nil
}

// SignedBy reports whether the identity key signed this envelope.
func (e *Envelope) SignedBy(key []byte) bool {
	return Verify(key, signedMessage(e.header, e.Body), e.signature)
}

// Equivocated reports whether two frames convince anybody that the holder of an identity
// key sent two different messages for one slot: two bodies to one receiver, or one to
// everybody and one to a single party.
func Equivocated(key []byte, a, b []byte) bool {
	x, errX := ReadEnvelope(a)
	y, errY := ReadEnvelope(b)
	if errX != nil || errY != nil || !x.SignedBy(key) || !y.SignedBy(key) {
		return false
	}
	if x.Session != y.Session || x.Protocol != y.Protocol || x.Round != y.Round || x.Kind != y.Kind || x.From != y.From {
		return false
	}
	if x.To != y.To {
		return x.To == engine.Everyone || y.To == engine.Everyone // direct messages to two parties may differ
	}
	return !bytes.Equal(x.Body, y.Body)
}
