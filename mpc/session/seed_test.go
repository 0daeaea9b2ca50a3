package session

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// Coins that were wiped give nothing more: no nonce is drawn from a stream of zeros, or again.
func TestWipedCoinsGiveNothing(t *testing.T) {
	r, err := Coins(enginetest.Reader(1), []byte("share"), engine.SessionID{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%v %+v %x", r, r, r); got != strings.Repeat(secret.Redacted+" ", 2)+secret.Redacted {
		t.Errorf("coins print %q", got)
	}
	kept := r.(*coins).stream
	WipeCoins(r)
	WipeCoins(r)
	b := []byte{7}
	if n, err := r.Read(b); n != 0 || err == nil || b[0] != 7 {
		t.Errorf("reads %d bytes: %v", n, err)
	}
	if *kept != (chacha20.Cipher{}) {
		t.Error("the key of the stream stays")
	}
	other := strings.NewReader("x")
	WipeCoins(other)
	if _, err := io.ReadFull(other, b); err != nil {
		t.Error("a source that is not Coins was wiped")
	}
}

// Clones of one disk whose entropy repeats itself draw other coins for another session, message or share: all three count.
func TestCoinsOfClones(t *testing.T) {
	seen := map[string]string{}
	for name, c := range map[string]struct {
		share, payload string
		id             engine.SessionID
	}{
		"one":             {"share", "payload", engine.SessionID{1}},
		"another session": {"share", "payload", engine.SessionID{2}},
		"another message": {"share", "payloae", engine.SessionID{1}},
		"another share":   {"sharf", "payload", engine.SessionID{1}},
		"moved bytes":     {"sharep", "ayload", engine.SessionID{1}},
	} {
		r, err := Coins(enginetest.Reader(7), []byte(c.share), c.id, []byte(c.payload))
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 64)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		if old, ok := seen[string(b)]; ok {
			t.Errorf("%s and %s draw the same", name, old)
		}
		seen[string(b)] = name
	}
}
