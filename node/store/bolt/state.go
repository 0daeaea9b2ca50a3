package bolt

import (
	"encoding/binary"
	"fmt"
	"runtime/debug"

	"github.com/ostraka/ostraka/node/store"
)

const formatVersion = 1

// state is what the state record says of all others. It is written in every
// transaction, and compared with the records at Open: a record that is lost, stale or
// doubled shows, though each record left is sound.
type state struct {
	revision uint64 // of the last batch that wrote
	count    uint64 // of records
	sum      uint64 // of the records' checksums as numbers, mod 2⁶⁴
}

func (st state) add(sum uint64) state {
	st.count++
	st.sum += sum
	return st
}

func (st state) remove(sum uint64) state {
	st.count--
	st.sum -= sum
	return st
}

func sumOf(frame []byte) uint64 { return binary.BigEndian.Uint64(store.Checksum(frame)) }

// frame encodes: a frame (spec/store.md) whose revision is the format's version and
// whose value is revision ‖ count ‖ sum, 8 bytes each.
func (st state) frame() []byte {
	v := binary.BigEndian.AppendUint64(nil, st.revision)
	v = binary.BigEndian.AppendUint64(v, st.count)
	v = binary.BigEndian.AppendUint64(v, st.sum)
	return store.Frame(string(stateKey), formatVersion, v)
}

func parseState(frame []byte) (state, error) {
	v, version, err := store.Unframe(string(stateKey), frame)
	if err != nil {
		return state{}, err
	}
	if version != formatVersion {
		return state{}, fmt.Errorf("store has format %d, this program knows %d", version, formatVersion)
	}
	if len(v) != 24 {
		return state{}, &store.CorruptError{Key: string(stateKey), Err: fmt.Errorf("has %d bytes, not 24", len(v))}
	}
	return state{binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:]), binary.BigEndian.Uint64(v[16:])}, nil
}

// guard turns a panic of bbolt over pages that went bad after Open, or a fault in the
// mapped file, into a *store.CorruptError that names the folder.
func guard(dir string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = &store.CorruptError{Key: dir, Err: fmt.Errorf("bbolt: %v", r)}
		}
	}()
	return f()
}
