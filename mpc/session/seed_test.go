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
