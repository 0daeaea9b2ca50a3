package solana

import (
	"bytes"
	"fmt"
	"slices"
)

// Bounds of a transaction.
const (
	MaxPacket       = 1232 // bytes with signatures: what one packet of IPv6's least size holds
	MaxInstructions = 40
	MaxSigners      = 4
	MaxTables       = 8
	maxAccounts     = 64 // that the chain locks for one transaction (agave, MAX_TX_ACCOUNT_LOCKS)

	version0 = 0x80
)

// A Refused error says which part of a transaction cannot be signed, and why.
type Refused struct {
	Field  string // as named in spec/chain-solana; "instruction 1" is the first
	Reason string
	Read   *Read // what must be read from the chain first; nil: it is refused whatever the chain says
}

// A Read is an account, or a lookup table, that a node must read from its own endpoint.
type Read struct {
	Address Key
	Table   bool
}

func (e *Refused) Error() string {
	return fmt.Sprintf("decode Solana transaction: %s: %s", e.Field, e.Reason)
}

func refuse(field, format string, args ...any) error {
	return &Refused{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// A message is what is signed: spec/chain-solana 4.
type message struct {
	v0                                        bool
	signers, readonlySigned, readonlyUnsigned uint8
	keys                                      []Key // static accounts: the fee payer is the first
	blockhash                                 Key   // or the value of a durable nonce
	instructions                              []instruction
	lookups                                   []lookup
}

type instruction struct {
	program  uint8
	accounts []uint8
	data     []byte
}

type lookup struct {
	table              Key
	writable, readonly []uint8
}

// parseMessage reads a message strictly, as spec/chain-solana 4 says.
func parseMessage(b []byte) (*message, error) {
	m, err := scanMessage(b)
	if err != nil {
		return nil, err
	}
	return m, m.check(len(b))
}

// scanMessage reads a message's parts, each in its one form. Its header and indices may be any.
func scanMessage(b []byte) (*message, error) {
	if len(b) == 0 {
		return nil, refuse("message", "is empty")
	}
	if len(b) > MaxPacket-65 {
		return nil, refuse("message", "has %d bytes, more than a packet holds beside its signatures", len(b))
	}
	m, r := &message{}, &reader{rest: b}
	switch {
	case b[0] == version0:
		m.v0, r.rest = true, b[1:]
	case b[0] == 0xff:
		return nil, refuse("version", "0xff announces an off-chain message, which is no transaction")
	case b[0] > version0:
		return nil, refuse("version", "is %d; 0 alone is supported", b[0]&0x7f)
	}
	m.signers, m.readonlySigned, m.readonlyUnsigned = r.byte("signers"), r.byte("read-only signers"), r.byte("read-only accounts")
	for range r.count("accounts", 32) {
		m.keys = append(m.keys, r.key("accounts"))
	}
	m.blockhash = r.key("blockhash")
	for range r.count("instructions", 3) {
		m.instructions = append(m.instructions, instruction{r.byte("instruction"), r.bytes("instruction's accounts"), r.bytes("instruction's data")})
	}
	if m.v0 {
		for range r.count("lookup tables", 34) {
			m.lookups = append(m.lookups, lookup{r.key("lookup table"), r.bytes("lookup table's writable accounts"), r.bytes("lookup table's read-only accounts")})
		}
	}
	if r.err == nil && len(r.rest) > 0 {
		r.fail("message", "is followed by %d more bytes", len(r.rest))
	}
	if r.err != nil {
		return nil, r.err
	}
	if !bytes.Equal(m.encode(), b) {
		return nil, refuse("message", "is not equal to its own encoding")
	}
	return m, nil
}

// check judges the header and the indices.
func (m *message) check(size int) error {
	loaded := 0
	for i, l := range m.lookups {
		loaded += len(l.writable) + len(l.readonly)
		if len(l.writable)+len(l.readonly) == 0 {
			return refuse("lookup table", "%s is asked for no account", l.table)
		}
		if slices.ContainsFunc(m.lookups[:i], func(o lookup) bool { return o.table == l.table }) {
			return refuse("lookup table", "%s stands twice", l.table)
		}
	}
	packet := 1 + 64*int(m.signers) + size
	switch {
	case m.signers == 0:
		return refuse("signers", "are none")
	case m.signers > MaxSigners:
		return refuse("signers", "are %d, more than %d", m.signers, MaxSigners)
	case int(m.signers) > len(m.keys):
		return refuse("signers", "are %d, of %d accounts", m.signers, len(m.keys))
	case m.readonlySigned >= m.signers: // the payer pays
		return refuse("read-only signers", "are %d of %d signers: the fee payer's account must be writable", m.readonlySigned, m.signers)
	case int(m.readonlyUnsigned) > len(m.keys)-int(m.signers):
		return refuse("read-only accounts", "are %d, of %d that do not sign", m.readonlyUnsigned, len(m.keys)-int(m.signers))
	case packet > MaxPacket:
		return refuse("message", "makes a packet of %d bytes, more than %d", packet, MaxPacket)
	case len(m.keys)+loaded > maxAccounts:
		return refuse("accounts", "are %d with those of lookup tables, more than %d", len(m.keys)+loaded, maxAccounts)
	case len(m.lookups) > MaxTables:
		return refuse("lookup tables", "are %d, more than %d", len(m.lookups), MaxTables)
	case len(m.instructions) == 0:
		return refuse("instructions", "are none")
	case len(m.instructions) > MaxInstructions:
		return refuse("instructions", "are %d, more than %d", len(m.instructions), MaxInstructions)
	}
	for i, in := range m.instructions {
		switch {
		case in.program == 0:
			return refuse(position(i), "its program is the fee payer")
		case int(in.program) >= len(m.keys): // the chain takes no program from a lookup table
			return refuse(position(i), "its program is account %d, of %d that stand in the message itself", in.program, len(m.keys))
		}
		for _, a := range in.accounts {
			if int(a) >= len(m.keys)+loaded {
				return refuse(position(i), "it names account %d, of %d", a, len(m.keys)+loaded)
			}
		}
	}
	return nil
}

func position(i int) string { return fmt.Sprintf("instruction %d", i+1) }

// encode returns the message's bytes.
func (m *message) encode() []byte {
	var b []byte
	if m.v0 {
		b = append(b, version0)
	}
	b = append(b, m.signers, m.readonlySigned, m.readonlyUnsigned)
	b = appendCount(b, len(m.keys))
	for _, k := range m.keys {
		b = append(b, k[:]...)
	}
	b = append(b, m.blockhash[:]...)
	b = appendCount(b, len(m.instructions))
	for _, in := range m.instructions {
		b = append(b, in.program)
		b = append(appendCount(b, len(in.accounts)), in.accounts...)
		b = append(appendCount(b, len(in.data)), in.data...)
	}
	if m.v0 {
		b = appendCount(b, len(m.lookups))
		for _, l := range m.lookups {
			b = append(b, l.table[:]...)
			b = append(appendCount(b, len(l.writable)), l.writable...)
			b = append(appendCount(b, len(l.readonly)), l.readonly...)
		}
	}
	return b
}

// appendCount writes a compact-u16: seven bits a byte, the lowest first.
func appendCount(b []byte, n int) []byte {
	for ; n > 0x7f; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// A reader takes a message's parts in order and keeps the first error.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(field, format string, args ...any) {
	if r.err == nil {
		r.err = refuse(field, format, args...)
	}
}

func (r *reader) take(field string, n int) []byte {
	if r.err == nil && len(r.rest) < n {
		r.fail(field, "the message ends within it")
	}
	if r.err != nil {
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte(field string) byte {
	if b := r.take(field, 1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) key(field string) (k Key) {
	copy(k[:], r.take(field, 32))
	return k
}

// count reads a compact-u16 of things that have at least size bytes each.
func (r *reader) count(field string, size int) int {
	n := 0
	for i := range 3 {
		b := r.byte(field)
		if r.err != nil {
			return 0
		}
		n |= int(b&0x7f) << (7 * i)
		if b&0x80 != 0 {
			continue
		}
		switch {
		case i > 0 && b == 0: // two encodings of one count: two messages for one display
			r.fail(field, "their number is not in its shortest form")
		case n > 0xffff:
			r.fail(field, "their number is above 65535")
		case n*size > len(r.rest):
			r.fail(field, "are %d, more than the message has bytes for", n)
		default:
			return n
		}
		return 0
	}
	r.fail(field, "their number has more than 3 bytes")
	return 0
}

func (r *reader) bytes(field string) []byte { return r.take(field, r.count(field, 1)) }
