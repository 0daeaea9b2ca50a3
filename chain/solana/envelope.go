package solana

import (
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// MaxLen bounds an unsigned form in bytes.
const MaxLen = 32 << 10

// form is the version of the unsigned form.
const form = 1

// maxReadings bounds what is enclosed: of each account at most one.
const maxReadings = maxAccounts

// A reading is what the unsigned form encloses of one account: it is shown to nobody before the node's own reading is the same.
type reading struct {
	address Key
	account Account
}

// An envelope is the unsigned form: spec/chain-solana 3.
type envelope struct {
	message  []byte
	tables   []table   // as the message names them
	readings []reading // in the order in which decoding needs them
}

// A table is a lookup table's addresses at the places that the message names, writable ones first.
type table struct {
	address   Key
	addresses []Key
}

func (e *envelope) encode() []byte {
	var out transcript.Encoder
	out.Uint(1, form).Bytes(2, e.message)
	out.List(3, len(e.tables), func(i int, in *transcript.Encoder) {
		var all []byte
		for _, k := range e.tables[i].addresses {
			all = append(all, k[:]...)
		}
		in.Bytes(1, e.tables[i].address[:]).Bytes(2, all)
	})
	out.List(4, len(e.readings), func(i int, in *transcript.Encoder) {
		c := e.readings[i]
		in.Bytes(1, c.address[:]).Uint(2, uint64(c.account.Kind)).Bytes(3, c.account.encode())
	})
	return out.Sum()
}

func parseEnvelope(b []byte) (*envelope, error) {
	if len(b) > MaxLen {
		return nil, refuse("unsigned form", "has %d bytes, more than %d", len(b), MaxLen)
	}
	e, d := &envelope{}, transcript.NewDecoder(b)
	if v := d.Uint(1, form); d.Err() == nil && v != form {
		return nil, refuse("unsigned form", "is of version %d, not %d", v, form)
	}
	e.message = slices.Clone(d.Bytes(2, MaxPacket))
	d.List(3, 0, MaxTables, func(_ int, d *transcript.Decoder) {
		t := table{address: Key(fixed(d, 1))}
		all := d.Bytes(2, 32*maxAccounts)
		if len(all)%32 != 0 {
			d.Fail(2, fmt.Errorf("%d bytes are no addresses", len(all)))
			return
		}
		for ; len(all) > 0; all = all[32:] {
			t.addresses = append(t.addresses, Key(all[:32]))
		}
		e.tables = append(e.tables, t)
	})
	d.List(4, 0, maxReadings, func(_ int, d *transcript.Decoder) {
		c := reading{address: Key(fixed(d, 1))}
		kind := Kind(d.Uint(2, uint64(Other)))
		body := d.Bytes(3, 512)
		if d.Err() != nil {
			return
		}
		var err error
		if c.account, err = parseAccount(kind, body); err != nil {
			d.Fail(3, err)
		}
		e.readings = append(e.readings, c)
	})
	if err := d.Done(); err != nil {
		return nil, refuse("unsigned form", "%v", err)
	}
	return e, nil
}

// fixed takes 32 bytes, zeros after an error.
func fixed(d *transcript.Decoder, tag transcript.Tag) []byte {
	if b := d.Fixed(tag, 32); len(b) == 32 {
		return b
	}
	return make([]byte, 32)
}

// Bits of a token account's flags.
const (
	flagFrozen = 1 << iota
	flagMemo
	flagCloser
)

// encode writes what was read of an account of its kind.
func (a Account) encode() []byte {
	var e transcript.Encoder
	switch a.Kind {
	case NonceAccount:
		e.Bytes(1, a.Authority[:]).Bytes(2, a.Nonce[:])
	case Mint:
		var numbers []byte
		for _, n := range a.Extensions {
			numbers = append(numbers, byte(n>>8), byte(n))
		}
		e.Bytes(1, a.Program[:]).Uint(2, uint64(a.Decimals)).Bytes(3, numbers).Bytes(4, a.Hook[:])
	case TokenAccount:
		var flags uint64
		for bit, set := range map[uint64]bool{flagFrozen: a.Frozen, flagMemo: a.MemoRequired, flagCloser: a.Closer} {
			if set {
				flags |= bit
			}
		}
		e.Bytes(1, a.Program[:]).Bytes(2, a.Mint[:]).Bytes(3, a.Owner[:]).Uint(4, flags)
	case Other:
		e.Bytes(1, a.Program[:])
	}
	return e.Sum()
}

func parseAccount(kind Kind, b []byte) (Account, error) {
	a, d := Account{Kind: kind}, transcript.NewDecoder(b)
	switch kind {
	case NonceAccount:
		a.Authority, a.Nonce = Key(fixed(d, 1)), Key(fixed(d, 2))
	case Mint:
		a.Program, a.Decimals = Key(fixed(d, 1)), uint8(d.Uint(2, 255))
		numbers := d.Bytes(3, 2*maxExtensions)
		if len(numbers)%2 != 0 {
			return Account{}, fmt.Errorf("%d bytes are no extensions", len(numbers))
		}
		for ; len(numbers) > 0; numbers = numbers[2:] {
			a.Extensions = append(a.Extensions, uint16(numbers[0])<<8|uint16(numbers[1]))
		}
		a.Hook = Key(fixed(d, 4))
	case TokenAccount:
		a.Program, a.Mint, a.Owner = Key(fixed(d, 1)), Key(fixed(d, 2)), Key(fixed(d, 3))
		flags := d.Uint(4, flagFrozen|flagMemo|flagCloser)
		a.Frozen, a.MemoRequired, a.Closer = flags&flagFrozen != 0, flags&flagMemo != 0, flags&flagCloser != 0
	case Other:
		a.Program = Key(fixed(d, 1))
	}
	if err := d.Done(); err != nil {
		return Account{}, err
	}
	return a, a.check()
}

// Needs says what a node must read from its own endpoint before it decodes an unsigned form. Nothing of it is judged yet.
func Needs(unsigned []byte) ([]Read, error) {
	e, err := parseEnvelope(unsigned)
	if err != nil {
		return nil, err
	}
	var all []Read
	for _, t := range e.tables {
		all = append(all, Read{t.address, true})
	}
	for _, c := range e.readings {
		all = append(all, Read{c.address, false})
	}
	return all, nil
}

// Enclosed is a World that believes what the unsigned form encloses: for those who only read what nodes have ruled on, such as
// verifiers. Who decides by it believes who proposed.
func Enclosed(unsigned []byte) (World, error) {
	e, err := parseEnvelope(unsigned)
	if err != nil {
		return nil, err
	}
	m, err := parseMessage(e.message)
	if err != nil {
		return nil, err
	}
	r := Readings{map[Key]Account{}, map[Key][]Key{}, map[Key]bool{m.blockhash: true}}
	for _, c := range e.readings {
		r.Accounts[c.address] = c.account
	}
	if len(e.tables) != len(m.lookups) {
		return nil, refuse("lookup tables", "are %d in the message, %d beside it", len(m.lookups), len(e.tables))
	}
	for i, l := range m.lookups {
		places := slices.Concat(l.writable, l.readonly)
		if len(places) != len(e.tables[i].addresses) {
			return nil, refuse("lookup tables", "%s: %d places, and %d addresses", l.table, len(places), len(e.tables[i].addresses))
		}
		all := make([]Key, int(slices.Max(places))+1) // a message that asks a table for nothing is refused
		for j, p := range places {
			all[p] = e.tables[i].addresses[j]
		}
		r.Tables[l.table] = all
	}
	return r, nil
}
