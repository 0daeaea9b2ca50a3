package seal

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/memory"
)

// Deriving keys from a data key leaves the blocks of its HMAC nowhere in the process: who has one has the key. The test itself knows the key only under a mask.
func TestNoBlockOfTheDataKeyLies(t *testing.T) {
	arena, err := memory.New(1 << 16)
	if err != nil {
		t.Fatal(err)
	}
	mask := make([]byte, KeySize)
	rand.Read(mask)
	const over = 0x77
	key := make([]byte, KeySize)
	for i, m := range mask {
		key[i] = m ^ over
	}
	box, err := NewBox(secret.New(key), nil)
	if err != nil {
		t.Fatal(err)
	}
	box.Keep(arena.Hold)
	m, err := box.MAC(transcript.StoreTagKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (keyFile{version: fileVersion}).sum(box.dek); err != nil {
		t.Fatal(err)
	}
	where := lies(t, mask, over, over^0x36, over^0x5c)
	if len(where[over]) == 0 {
		t.Error("the search does not find the data key where it is held")
	}
	for name, x := range map[string]byte{"inner": over ^ 0x36, "outer": over ^ 0x5c} {
		if len(where[x]) > 0 {
			t.Errorf("the data key's %s block lies in %v", name, where[x])
		}
	}
	m.Wipe()
	box.Wipe()
}

// lies says in which of the process's mappings the mask lies, for each byte that it may be under.
func lies(t *testing.T, mask []byte, under ...byte) map[byte][]string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	const piece = 1 << 20
	buf, where := make([]byte, piece+sha256.BlockSize), map[byte][]string{}
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		var from, to uint64
		var may string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &may); err != nil {
			t.Fatal(err)
		}
		for ; strings.HasPrefix(may, "rw") && from < to; from += piece {
			n, err := mem.ReadAt(buf[:min(uint64(len(buf)), to-from)], int64(from))
			if err != nil {
				break // no page behind it
			}
			for i := 0; i+len(mask) <= n; i++ {
				for _, x := range under {
					j := 0
					for j < len(mask) && buf[i+j] == mask[j]^x {
						j++
					}
					if j == len(mask) {
						where[x] = append(where[x], lines.Text())
					}
				}
			}
			clear(buf) // it lies in the memory that is read
		}
	}
	return where
}
