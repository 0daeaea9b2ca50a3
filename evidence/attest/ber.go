package attest

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

const (
	maxBER      = 64 << 10 // bytes
	maxBERDepth = 24
)

var errBER = errors.New("its ASN.1 is malformed")

// octets is an octet string in pieces, each an octet string: BER alone has it.
const octets = asn1.OCTET_STRING | 0x20

// toDER reads one BER value and nothing else, as AWS writes them: lengths may be open, octet strings may stand in pieces. Everything else must
// be DER already: short lengths, low tags. The result is DER in these respects.
func toDER(b []byte) ([]byte, error) {
	if len(b) > maxBER {
		return nil, fmt.Errorf("ASN.1 of %d bytes, at most %d are read", len(b), maxBER)
	}
	out, rest, err := value(b, 0)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes follow its end", len(rest))
	}
	return out, err
}

// value converts the value that b begins with, and returns what follows it.
func value(b []byte, depth int) (out, rest []byte, err error) {
	if depth > maxBERDepth || len(b) < 2 || b[0] == 0 {
		return nil, nil, errBER
	}
	tag, constructed := asn1.Tag(b[0]), b[0]&0x20 != 0
	if universal := b[0] < 0x40; universal && constructed && tag != asn1.SEQUENCE && tag != asn1.SET && tag != octets {
		return nil, nil, errBER
	}
	body, rest, open, err := length(b[1:])
	if err != nil || open && !constructed {
		return nil, nil, errBER
	}
	if constructed {
		if body, rest, err = children(tag, body, rest, open, depth); err != nil {
			return nil, nil, err
		}
	}
	if tag == octets {
		tag = asn1.OCTET_STRING
	}
	var e cryptobyte.Builder // refuses tags of more bytes
	e.AddASN1(tag, func(e *cryptobyte.Builder) { e.AddBytes(body) })
	out, err = e.Bytes()
	return out, rest, err
}

// children converts the values within a constructed one: to the end of its body, or, where its length is open, to the mark of its end, which
// is looked for in what follows. Pieces of an octet string are put together.
func children(tag asn1.Tag, body, after []byte, open bool, depth int) (all, rest []byte, err error) {
	from := body
	if open {
		from = after
	}
	for {
		if open && len(from) >= 2 && from[0] == 0 && from[1] == 0 {
			return all, from[2:], nil
		}
		if len(from) == 0 {
			if open {
				return nil, nil, errBER
			}
			return all, after, nil
		}
		piece, next, err := value(from, depth+1)
		if err != nil {
			return nil, nil, err
		}
		if tag == octets {
			s := cryptobyte.String(piece)
			var bytes cryptobyte.String
			if !s.ReadASN1(&bytes, asn1.OCTET_STRING) {
				return nil, nil, errBER
			}
			piece = bytes
		}
		all, from = append(all, piece...), next
	}
}

// length reads a length, and cuts b there. An open length cuts nothing: all of b follows.
func length(b []byte) (body, rest []byte, open bool, err error) {
	n, head := int(b[0]), 1
	switch {
	case n == 0x80:
		return nil, b[1:], true, nil
	case n > 0x80:
		size := n & 0x7f
		if size > 3 || len(b) < 1+size || b[1] == 0 {
			return nil, nil, false, errBER
		}
		head, n = 1+size, 0
		for _, x := range b[1:head] {
			n = n<<8 | int(x)
		}
		if n < 0x80 {
			return nil, nil, false, errBER
		}
	}
	if n > len(b)-head {
		return nil, nil, false, errBER
	}
	return b[head : head+n], b[head+n:], false, nil
}
