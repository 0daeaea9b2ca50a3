package malice

import (
	"fmt"

	"github.com/ostraka/ostraka/mpc/engine"
)

// A Type says what the bytes of a field are. Its mutations follow from it.
type Type uint8

const (
	// Scalar is a canonical scalar: values ≥ q do not decode.
	Scalar Type = iota + 1
	// Point is a point that is not the identity.
	Point
	// Hash is a commitment, an opening's salt, a digest or a tag: all bytes are well formed.
	Hash
	// Bits is a string of bits of an oblivious transfer: all bytes are well formed.
	Bits
)

// A Field is one value of a message, or Count values of one meaning at equal distances.
type Field struct {
	Name   string
	Type   Type
	At     int    // byte offset of the first value
	Size   int    // bytes of one value
	Count  int    // values; 0 is 1
	Stride int    // bytes from one value to the next; 0 is Size
	Want   Result // of a value that is well formed and wrong
	Or     Result // the other possible result, where it depends on the victim's secrets; else 0
}

func (f Field) count() int { return max(f.Count, 1) }

func (f Field) stride() int {
	if f.Stride == 0 {
		return f.Size
	}
	return f.Stride
}

// slot is value k of the field within a body.
func (f Field) slot(body []byte, k int) []byte {
	at := f.At + k*f.stride()
	return body[at : at+f.Size : at+f.Size]
}

// A Message describes one kind.
type Message struct {
	Name   string
	Kind   engine.Kind
	Direct bool
	Size   int // bytes of the whole body
	Fields []Field
}

// Check holds the description to a body as an honest party sends it: every byte belongs
// to exactly one field.
func (m Message) Check(body []byte) error {
	if len(body) != m.Size {
		return fmt.Errorf("%s: an honest body has %d bytes, the table says %d", m.Name, len(body), m.Size)
	}
	owner := make([]string, m.Size)
	for _, f := range m.Fields {
		if f.Want == 0 || f.Type < Scalar || f.Type > Bits {
			return fmt.Errorf("%s: field %s has no type or no result", m.Name, f.Name)
		}
		for k := range f.count() {
			for i := range f.Size {
				at := f.At + k*f.stride() + i
				if at < 0 || at >= m.Size {
					return fmt.Errorf("%s: field %s reaches byte %d of %d", m.Name, f.Name, at, m.Size)
				}
				if owner[at] != "" {
					return fmt.Errorf("%s: byte %d belongs to %s and %s", m.Name, at, owner[at], f.Name)
				}
				owner[at] = f.Name
			}
		}
	}
	for at, name := range owner {
		if name == "" {
			return fmt.Errorf("%s: byte %d belongs to no field", m.Name, at)
		}
	}
	return nil
}
