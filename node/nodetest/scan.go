package nodetest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/statement"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/outbox"
)

// A Scanner looks for secrets in whatever a node shows: raw, in hex, in base64 at any
// alignment, as lists of decimals and as decimal numbers, in both byte orders.
type Scanner struct {
	needles map[[window]byte][]needle
	begins  []bool // by the hash of a needle's first bytes: most of what is scanned is passed over by it
	Secrets int
}

type needle struct{ name, text string }

const (
	window = 12 // bytes by which needles are looked up
	enough = 24 // bytes that must agree, if a form has as many
)

// NewScanner makes a scanner that knows nothing.
func NewScanner() *Scanner {
	return &Scanner{needles: map[[window]byte][]needle{}, begins: make([]bool, 1<<beginBits)}
}

const beginBits = 18

// begin hashes the first four bytes that a window has.
func begin(b []byte) uint32 { return binary.LittleEndian.Uint32(b) * 0x9e3779b1 >> (32 - beginBits) }

// Add makes a secret known. It must have at least 16 bytes.
func (s *Scanner) Add(name string, b []byte) {
	if len(b) < 16 {
		panic(fmt.Sprintf("secret %s of %d bytes is too short to look for", name, len(b)))
	}
	s.Secrets++
	back := slices.Clone(b)
	slices.Reverse(back)
	for order, x := range map[string][]byte{"": b, ", reversed": back} {
		for form, text := range forms(x) {
			s.seek(name+" as "+form+order, text)
		}
	}
}

// AddKey makes a key known, also as the blocks of an HMAC, or HKDF, under it.
func (s *Scanner) AddKey(name string, b []byte) {
	s.Add(name, b)
	for block, with := range map[string]byte{"inner": 0x36, "outer": 0x5c} {
		pad := slices.Clone(b)
		for i := range pad {
			pad[i] ^= with
		}
		s.seek(name+" as HMAC's "+block+" block", string(pad))
	}
}

func (s *Scanner) seek(what, text string) {
	if len(text) < window {
		return
	}
	at := [window]byte([]byte(text))
	s.needles[at] = append(s.needles[at], needle{what, text[:min(len(text), enough)]})
	s.begins[begin(at[:])] = true
}

func forms(b []byte) map[string]string {
	list := strings.Trim(fmt.Sprint(b), "[]")
	out := map[string]string{
		"raw": string(b), "hex": hex.EncodeToString(b), "HEX": strings.ToUpper(hex.EncodeToString(b)),
		"list": list, "list with commas": strings.ReplaceAll(list, " ", ", "),
		"number": new(big.Int).SetBytes(b).String(), "escaped": fmt.Sprintf("%q", b)[1:],
	}
	for shift := range 3 {
		padded := append(make([]byte, shift), b...)
		skip := (shift*8 + 5) / 6
		out[fmt.Sprintf("base64 at %d", shift)] = base64.RawStdEncoding.EncodeToString(padded)[skip:]
		out[fmt.Sprintf("base64url at %d", shift)] = base64.RawURLEncoding.EncodeToString(padded)[skip:]
	}
	return out
}

// Find names the secrets that stand in a text.
func (s *Scanner) Find(text []byte) (found []string) {
	for i := 0; i+window <= len(text); i++ {
		if !s.begins[begin(text[i:])] {
			continue
		}
		for _, n := range s.needles[[window]byte(text[i:])] {
			if bytes.HasPrefix(text[i:], []byte(n.text)) {
				found = append(found, n.name)
			}
		}
	}
	return found
}

// Draws adds everything that the hosts drew as randomness, but for what is meant to be seen:
// nonces of setups, joins and sealed rows, and salts of statements. Hosts keep their draws
// only while Rand.Keep is set. seen are the frames that the nodes sent.
func (s *Scanner) Draws(w *World, seen [][]byte) {
	public := map[string]bool{}
	for _, f := range seen {
		publicOf(f, public)
	}
	for _, h := range w.Hosts {
		for i, d := range h.Rand.Drawn {
			switch {
			case len(d) == 24 || len(d) < 16 || public[string(d)]: // 24: nonces of XChaCha20-Poly1305
			case len(d) == 64:
				s.Add(fmt.Sprintf("draw %d of %s", i, h.Own.Name), d[32:]) // a Join's nonce, then its private key
			default:
				s.Add(fmt.Sprintf("draw %d of %s", i, h.Own.Name), d)
			}
		}
	}
}

// publicOf collects the random values that a frame shows on purpose.
func publicOf(frame []byte, public map[string]bool) {
	if len(frame) > 0 && frame[0] == FrameNote {
		n, err := outbox.Decode(frame[1:])
		if err != nil {
			return
		}
		for _, f := range n.Fields {
			public[string(f)] = true // challenges
			if st, err := statement.Parse(f); err == nil {
				salt, _ := hex.DecodeString(st.Get("salt"))
				public[string(salt)] = true
			}
		}
		return
	}
	if setup, err := mpc.OpenSetup(frame); err == nil {
		public[string(setup.Nonce[:])] = true
	}
}
