package statement

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Field is one line and the block that belongs to it.
type Field struct {
	Name, Value string
	Block       Block
}

// A Block is fields in the kind's order. A list is several fields of one name.
type Block []Field

// Get returns the first value of a name, or "".
func (b Block) Get(name string) string {
	for _, f := range b {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// All returns the values of a list.
func (b Block) All(name string) []string {
	var out []string
	for _, f := range b {
		if f.Name == name {
			out = append(out, f.Value)
		}
	}
	return out
}

// Each returns the fields of a list with their blocks.
func (b Block) Each(name string) []Field {
	var out []Field
	for _, f := range b {
		if f.Name == name {
			out = append(out, f)
		}
	}
	return out
}

// Hex returns the bytes of a Hex field of a parsed statement, nil if it is absent.
func (b Block) Hex(name string) []byte {
	v, err := hex.DecodeString(b.Get(name))
	if err != nil || len(v) == 0 {
		return nil
	}
	return v
}

// ID returns a field that holds a statement's id or another 32 bytes; zero if absent.
func (b Block) ID(name string) (id ID) {
	copy(id[:], b.Hex(name))
	return id
}

// Uint returns a Uint field of a parsed statement.
func (b Block) Uint(name string) uint64 {
	v, _ := strconv.ParseUint(b.Get(name), 10, 64)
	return v
}

// Time returns a Time field of a parsed statement.
func (b Block) Time(name string) time.Time {
	t, _ := time.Parse(timeForm, b.Get(name))
	return t
}

// Add appends a field.
func (b Block) Add(name, value string) Block { return append(b, Field{Name: name, Value: value}) }

// AddList appends a list.
func (b Block) AddList(name string, values []string) Block {
	for _, v := range values {
		b = b.Add(name, v)
	}
	return b
}

// AddBlock appends a field with the block that belongs to it.
func (b Block) AddBlock(name, value string, sub Block) Block {
	return append(b, Field{Name: name, Value: value, Block: sub})
}

// AddHex appends bytes.
func (b Block) AddHex(name string, v []byte) Block { return b.Add(name, hex.EncodeToString(v)) }

// AddID appends an id; the zero id is left out.
func (b Block) AddID(name string, id ID) Block {
	if id == (ID{}) {
		return b
	}
	return b.AddHex(name, id[:])
}

// AddUint appends a number.
func (b Block) AddUint(name string, v uint64) Block {
	return b.Add(name, strconv.FormatUint(v, 10))
}

// AddTime appends a time, cut to whole seconds.
func (b Block) AddTime(name string, t time.Time) Block { return b.Add(name, FormatTime(t)) }

// Lines are the fields as a statement has them: what is hashed where a part of a statement has a name of its own.
func (b Block) Lines() (string, error) {
	var w strings.Builder
	err := b.write(&w)
	return w.String(), err
}

func (b Block) write(w *strings.Builder) error {
	for _, f := range b {
		if f.Value == "" {
			continue
		}
		// Injection: a line feed in a memo would add fields that nobody typed.
		if strings.Contains(f.Value, "\n") {
			return fmt.Errorf("%s holds a line feed", f.Name)
		}
		w.WriteString(f.Name + ": " + f.Value + "\n")
		if err := f.Block.write(w); err != nil {
			return err
		}
	}
	return nil
}

const timeForm = "2006-01-02T15:04:05Z"

// FormatTime writes a time as statements do: UTC, whole seconds.
func FormatTime(t time.Time) string { return t.UTC().Format(timeForm) }
