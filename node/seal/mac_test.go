package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// A MAC is the library's HMAC under the library's HKDF, of every length around a block's end.
func TestMAC(t *testing.T) {
	dek := bytes.Repeat([]byte{7}, KeySize)
	box, err := NewBox(secret.Copy(dek), nil)
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	box.Keep(func(n int) secret.Bytes { held++; return secret.New(make([]byte, n)) })
	m, err := box.MAC(transcript.StoreTagKey)
	if err != nil {
		t.Fatal(err)
	}
	if held != 2 {
		t.Errorf("%d pieces of the given memory are used, for the data key and the MAC's", held)
	}
	key, err := hkdf.Expand(sha256.New, dek, transcript.StoreTagKey.String(), 32)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 200 {
		data := bytes.Repeat([]byte{byte(n)}, n)
		want := hmac.New(sha256.New, key)
		want.Write(data)
		if got, ok := m.Sum(data); !ok || !hmac.Equal(got[:], want.Sum(nil)) {
			t.Fatalf("%d bytes: %x, %v", n, got, ok)
		}
	}
	slots := keyFile{version: fileVersion}
	key, err = hkdf.Expand(sha256.New, dek, transcript.SealKeyFileMAC.String(), 32)
	if err != nil {
		t.Fatal(err)
	}
	want := hmac.New(sha256.New, key)
	want.Write(transcript.New(transcript.SealKeyFileMAC).Uint(fileVersion).List(slots.items()...).Tree())
	if got, err := slots.sum(secret.Copy(dek)); err != nil || !hmac.Equal(got, want.Sum(nil)) {
		t.Errorf("a key file's MAC: %x, %v", got, err)
	}
	other, err := box.MAC(transcript.SealKeyFileMAC)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := m.Sum(nil)
	if b, _ := other.Sum(nil); a == b {
		t.Error("two labels have one key")
	}
	if text := fmt.Sprintf("%v %+v %#v %s", m, m, m, m); bytes.Contains([]byte(text), []byte(fmt.Sprintf("%x", key))) || text != "[secret] [secret] [secret] [secret]" {
		t.Errorf("printed: %s", text)
	}
	m.Wipe()
	if sum, ok := m.Sum(nil); ok || sum != [32]byte{} {
		t.Errorf("wiped: %x, %v", sum, ok)
	}
}
