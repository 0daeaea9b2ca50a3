package signet

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/custody/statement"
)

// authenticator is a FIDO2 security key in software (OpenSSH PROTOCOL.u2f).
type authenticator struct {
	pub   ssh.PublicKey
	flags byte
	sign  func(digestInput []byte) []byte // the blob of the signature
}

func (a authenticator) PublicKey() ssh.PublicKey { return a.pub }

func (a authenticator) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	app, msg := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	tail := binary.BigEndian.AppendUint32([]byte{a.flags}, 7)
	input := append(append(bytes.Clone(app[:]), tail...), msg[:]...)
	return &ssh.Signature{Format: a.pub.Type(), Blob: a.sign(input), Rest: tail}, nil
}

func skEd25519(t testing.TB, flags byte) ssh.Signer {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	blob := ssh.Marshal(struct {
		Name string
		Key  []byte
		App  string
	}{ssh.KeyAlgoSKED25519, pub, "ssh:"})
	return authenticator{parsePub(t, blob), flags, func(in []byte) []byte { return ed25519.Sign(priv, in) }}
}

func skECDSA(t testing.TB, flags byte) ssh.Signer {
	priv := p256(t)
	point, err := priv.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	blob := ssh.Marshal(struct {
		Name, Curve string
		Key         []byte
		App         string
	}{ssh.KeyAlgoSKECDSA256, "nistp256", point, "ssh:"})
	return authenticator{parsePub(t, blob), flags, func(in []byte) []byte {
		h := sha256.Sum256(in)
		r, s, err := ecdsa.Sign(rand.Reader, priv, h[:])
		if err != nil {
			t.Fatal(err)
		}
		return ssh.Marshal(struct{ R, S *big.Int }{r, s})
	}}
}

func parsePub(t testing.TB, blob []byte) ssh.PublicKey {
	pub, err := ssh.ParsePublicKey(blob)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func p256(t testing.TB) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func software(t testing.TB, priv any) ssh.Signer {
	s, err := ssh.NewSignerFromKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newEd25519(t testing.TB) ssh.Signer {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return software(t, priv)
}

// rsa3072 is made once: it is slow.
var rsa3072 = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		panic(err)
	}
	return k
})

func mustKey(t testing.TB, s ssh.Signer) Key {
	k, err := NewKey(s.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var message = []byte("ostraka/1 intent\nand so on\n")

// keygen runs the real ssh-keygen; without it the test fails.
func keygen(t *testing.T, dir string, stdin []byte, args ...string) {
	t.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen %v: %v\n%s", args, err, out)
	}
}

// OpenSSH signs, we verify.
func TestVerifyOpenSSH(t *testing.T) {
	for _, c := range []struct{ algo, bits, hash string }{
		{"ed25519", "256", "sha512"}, {"ed25519", "256", "sha256"},
		{"ecdsa", "256", "sha512"}, {"rsa", "3072", "sha512"},
	} {
		dir := t.TempDir()
		keygen(t, dir, nil, "-q", "-t", c.algo, "-b", c.bits, "-N", "", "-C", "me@here", "-f", "id")
		if err := os.WriteFile(filepath.Join(dir, "intent.txt"), message, 0o600); err != nil {
			t.Fatal(err)
		}
		keygen(t, dir, nil, "-q", "-Y", "sign", "-f", "id", "-n", "approve@ostraka/v1", "-O", "hashalg="+c.hash, "intent.txt")
		line, err := os.ReadFile(filepath.Join(dir, "id.pub"))
		if err != nil {
			t.Fatal(err)
		}
		key, err := ParseKey(string(line))
		if err != nil {
			t.Fatal(err)
		}
		armored, err := os.ReadFile(filepath.Join(dir, "intent.txt.sig"))
		if err != nil {
			t.Fatal(err)
		}
		other := mustKey(t, newEd25519(t))
		signer, err := Verify(armored, Approve, message, []Key{other, key})
		if err != nil || signer.Index != 1 || !signer.Key.Equal(key) || signer.Flags != (Flags{}) {
			t.Errorf("%v: %+v, %v", c, signer, err)
		}
		if _, err := Verify(armored, Reject, message, []Key{key}); !errors.Is(err, ErrNamespace) {
			t.Errorf("%v as a rejection: %v", c, err)
		}
	}
}

// We sign, OpenSSH verifies, security keys included.
func TestOpenSSHVerifies(t *testing.T) {
	for name, s := range map[string]ssh.Signer{
		"ed25519": newEd25519(t), "ecdsa": software(t, p256(t)), "rsa": software(t, rsa3072()),
		"sk-ed25519": skEd25519(t, 1), "sk-ecdsa": skECDSA(t, 5),
	} {
		armored, err := Sign(rand.Reader, s, Approve, message)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		dir := t.TempDir()
		allowed := "me@here " + mustKey(t, s).String() + "\n"
		for file, b := range map[string][]byte{"allowed": []byte(allowed), "sig": armored} {
			if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		keygen(t, dir, message, "-q", "-Y", "verify", "-f", "allowed", "-I", "me@here", "-n", "approve@ostraka/v1", "-s", "sig")
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		signer ssh.Signer
		want   Flags
	}{
		{newEd25519(t), Flags{}},
		{skEd25519(t, 1), Flags{SecurityKey: true, Present: true, Counter: 7}},
		{skEd25519(t, 5), Flags{SecurityKey: true, Present: true, Verified: true, Counter: 7}},
		{skECDSA(t, 5), Flags{SecurityKey: true, Present: true, Verified: true, Counter: 7}},
	} {
		armored, err := Sign(rand.Reader, c.signer, Approve, message)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := Verify(armored, Approve, message, []Key{mustKey(t, c.signer)})
		if err != nil || signer.Flags != c.want {
			t.Errorf("%s: flags %+v, %v, want %+v", signer.Key.Type(), signer.Flags, err, c.want)
		}
	}
	for _, s := range []ssh.Signer{skEd25519(t, 0), skECDSA(t, 4)} {
		if _, err := Sign(rand.Reader, s, Approve, message); !errors.Is(err, ErrBytes) {
			t.Errorf("%s without a touch: %v", s.PublicKey().Type(), err)
		}
	}
	// The counter and the flags are under the signature.
	s := skEd25519(t, 1)
	armored, _ := Sign(rand.Reader, s, Approve, message)
	sig, err := Parse(armored)
	if err != nil {
		t.Fatal(err)
	}
	sig.form.(sshForm).Signature.Signature.Rest[0] |= 4
	if _, err := Verify(sig.Armored(), Approve, message, []Key{mustKey(t, s)}); !errors.Is(err, ErrBytes) {
		t.Errorf("verification flag set by a stranger: %v", err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	s, other := newEd25519(t), newEd25519(t)
	key := mustKey(t, s)
	armored, err := Sign(rand.Reader, s, Approve, message)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(armored)
	arm := func(b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: sshsig.PEMType, Bytes: b}) }
	change := func(old, new string) []byte { return arm(bytes.Replace(block.Bytes, []byte(old), []byte(new), 1)) }
	reserved := bytes.Replace(block.Bytes, []byte("v1\x00\x00\x00\x00"), []byte("v1\x00\x00\x00\x01x"), 1)
	sha1, err := other.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, message, ssh.KeyAlgoED25519)
	if err != nil {
		t.Fatal(err)
	}
	swapped, _ := Parse(armored)
	swapped.form.(sshForm).Signature.Signature = sha1
	for _, c := range []struct {
		name    string
		armored []byte
		verb    Verb
		message []byte
		allowed []Key
		want    error
	}{
		{"other message", armored, Approve, append([]byte(" "), message...), []Key{key}, ErrBytes},
		{"other use", armored, Reject, message, []Key{key}, ErrNamespace},
		{"made as a statement", armored, Makes(statement.Intent), message, []Key{key}, ErrNamespace},
		{"stranger", armored, Approve, message, []Key{mustKey(t, other)}, ErrStranger},
		{"nobody allowed", armored, Approve, message, nil, ErrStranger},
		{"zero key allowed", armored, Approve, message, []Key{{}}, ErrStranger},
		{"another's signature", swapped.Armored(), Approve, message, []Key{key}, ErrBytes},
		{"empty", nil, Approve, message, []Key{key}, ErrMalformed},
		{"no armor", block.Bytes, Approve, message, []Key{key}, ErrMalformed},
		{"other armor", pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: block.Bytes}), Approve, message, []Key{key}, ErrMalformed},
		{"header in the armor", pem.EncodeToMemory(&pem.Block{Type: sshsig.PEMType, Headers: map[string]string{"A": "b"}, Bytes: block.Bytes}), Approve, message, []Key{key}, ErrMalformed},
		{"before the armor", append([]byte("hi\n"), armored...), Approve, message, []Key{key}, ErrMalformed},
		{"after the armor", append(bytes.Clone(armored), "hi"...), Approve, message, []Key{key}, ErrMalformed},
		{"two signatures", append(bytes.Clone(armored), armored...), Approve, message, []Key{key}, ErrMalformed},
		{"too long", bytes.Repeat([]byte("A"), MaxArmored+1), Approve, message, []Key{key}, ErrMalformed},
		{"magic", change("SSHSIG", "SSHSIK"), Approve, message, []Key{key}, ErrMalformed},
		{"version", change("SSHSIG\x00\x00\x00\x01", "SSHSIG\x00\x00\x00\x02"), Approve, message, []Key{key}, ErrMalformed},
		{"hash", change("sha512", "sha384"), Approve, message, []Key{key}, ErrMalformed},
		{"reserved field", arm(reserved), Approve, message, []Key{key}, ErrMalformed},
		{"trailing bytes", arm(append(bytes.Clone(block.Bytes), 0)), Approve, message, []Key{key}, ErrMalformed},
		{"cut", arm(block.Bytes[:len(block.Bytes)-1]), Approve, message, []Key{key}, ErrMalformed},
		{"namespace changed", change("approve@", "dispose@"), Verb("dispose"), message, []Key{key}, ErrBytes},
	} {
		if _, err := Verify(c.armored, c.verb, c.message, c.allowed); !errors.Is(err, c.want) {
			t.Errorf("%s: error is %v, want %v", c.name, err, c.want)
		}
	}
	if sig, err := Parse(armored); err != nil {
		t.Error(err)
	} else if v, ok := sig.Verb(); !ok || v != Approve || !sig.Key().Equal(key) {
		t.Errorf("parsed: %q by %s", v, sig.Key())
	}
}

// sha256Signer makes RSA sign with the weaker of SSH's two hashes.
type sha256Signer struct{ ssh.AlgorithmSigner }

func (s sha256Signer) SignWithAlgorithm(r io.Reader, data []byte, _ string) (*ssh.Signature, error) {
	return s.AlgorithmSigner.SignWithAlgorithm(r, data, ssh.KeyAlgoRSASHA256)
}

func TestKeysRefused(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, priv := range map[string]crypto.Signer{"RSA-2048": small, "P-384": p384} {
		s := software(t, priv)
		if _, err := NewKey(s.PublicKey()); err == nil {
			t.Errorf("%s is accepted", name)
		}
		if _, err := Sign(rand.Reader, s, Approve, message); err == nil {
			t.Errorf("%s signs", name)
		}
		sig, err := sshsig.SignWithRand(bytes.NewReader(message), rand.Reader, s, sshsig.HashSHA512, Approve.Namespace())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(sshsig.Armor(sig)); !errors.Is(err, ErrMalformed) {
			t.Errorf("signature by %s: %v", name, err)
		}
	}
	weak := sha256Signer{software(t, rsa3072()).(ssh.AlgorithmSigner)}
	if _, err := Sign(rand.Reader, weak, Approve, message); !errors.Is(err, ErrMalformed) {
		t.Errorf("RSA with rsa-sha2-256: %v", err)
	}
	good := mustKey(t, newEd25519(t)).String()
	cert := &ssh.Certificate{Key: newEd25519(t).PublicKey(), CertType: ssh.UserCert}
	if err := cert.SignCert(rand.Reader, newEd25519(t)); err != nil {
		t.Fatal(err)
	}
	for name, line := range map[string]string{
		"empty": "", "options": "no-pty " + good, "two lines": good + "\n" + good,
		"other type": strings.Replace(good, "ssh-ed25519", "ssh-rsa", 1), "cut": good[:len(good)-8],
		"too long": good + strings.Repeat(" ", maxKeyLine), "certificate": string(ssh.MarshalAuthorizedKey(cert)),
	} {
		if k, err := ParseKey(line); err == nil {
			t.Errorf("%s: accepted as %s", name, k)
		}
	}
	if k, err := ParseKey(" " + good + " a comment\n"); err != nil || k.String() != good {
		t.Errorf("with comment: %s, %v", k, err)
	}
	if !(Key{}).IsZero() || (Key{}).Fingerprint() != "" || !strings.HasPrefix(mustKey(t, newEd25519(t)).Fingerprint(), "SHA256:") {
		t.Error("fingerprint of a key, or of no key, is wrong")
	}
}

func decision(t testing.TB, k statement.Kind) statement.Statement {
	raw, err := os.ReadFile("../statement/testdata/" + string(k) + "-least.txt")
	if err != nil {
		t.Fatal(err)
	}
	s, err := statement.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// byNodes are the kinds that nodes sign.
var byNodes = []statement.Kind{statement.Backup,
	statement.Decision, statement.Hello, statement.Key, statement.Charter, statement.Heartbeat, statement.Log,
	statement.SOSStep, statement.SOSNoVeto, statement.SOSSeat, statement.SOSActivation, statement.SOSReleased, statement.Backup,
}

func TestNodeSignatures(t *testing.T) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sigs := map[string]statement.Kind{}
	for _, k := range statement.Kinds {
		s := decision(t, k)
		sig, err := SignNode(priv, s)
		if signs := slices.Contains(byNodes, k); signs != (err == nil) {
			t.Errorf("%s: %v", k, err)
		}
		if err != nil {
			if VerifyNode(pub, s, make([]byte, 64)) == nil {
				t.Errorf("%s: verified", k)
			}
			continue
		}
		if err := VerifyNode(pub, s, sig); err != nil {
			t.Errorf("%s: %v", k, err)
		}
		sigs[string(sig)] = k
		for i := range sig {
			bad := bytes.Clone(sig)
			bad[i] ^= 1
			if err := VerifyNode(pub, s, bad); !errors.Is(err, ErrNodeSignature) {
				t.Errorf("%s: byte %d flipped: %v", k, i, err)
			}
		}
		if ed25519.Verify(pub, s.Bytes(), sig) {
			t.Errorf("%s: the signature is over the bare bytes", k)
		}
	}
	for sig, k := range sigs {
		for _, other := range sigs {
			if other != k && VerifyNode(pub, decision(t, other), []byte(sig)) == nil {
				t.Errorf("a signature of %s serves %s", k, other)
			}
		}
	}
	s := decision(t, statement.Decision)
	if _, err := SignNode(priv[:10], s); err == nil {
		t.Error("a short identity key signs")
	}
	for _, sig := range [][]byte{nil, make([]byte, 63), make([]byte, 65)} {
		if err := VerifyNode(pub, s, sig); !errors.Is(err, ErrNodeSignature) {
			t.Errorf("signature of %d bytes: %v", len(sig), err)
		}
	}
}

func TestIdentityRefused(t *testing.T) {
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	if err := CheckIdentity(pub); err != nil {
		t.Error(err)
	}
	small := fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
	signed := small
	signed[31] |= 0x80
	high := fromHex("f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f") // p + 3
	for name, b := range map[string][]byte{
		"short": pub[:31], "long": append(bytes.Clone(pub), 0), "zero": make([]byte, 32),
		"small": small[:], "small, signed": signed[:], "not canonical": high[:],
	} {
		if CheckIdentity(b) == nil {
			t.Errorf("%s: accepted", name)
		}
		if len(b) == 32 {
			blob := ssh.Marshal(struct {
				Name string
				Key  []byte
			}{ssh.KeyAlgoED25519, b})
			if _, err := NewKey(parsePub(t, blob)); err == nil {
				t.Errorf("%s: accepted as an SSH key", name)
			}
		}
	}
}

func everySSH(t testing.TB) []ssh.Signer {
	return []ssh.Signer{newEd25519(t), skEd25519(t, 5), skECDSA(t, 1), software(t, p256(t))}
}
