package breakglass

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// KeysHead is the first line of a file with whole keys.
const KeysHead = statement.Version + " breakglass-keys"

// Bounds of such a file.
const (
	MaxRoots    = 3 // one of each suite
	MaxChildren = 64
	MaxKeyFile  = 64 << 10 // bytes
)

// Keys is what a file holds, once it is decrypted: the whole keys of one vault. It prints as "[secret]" in parts.
type Keys struct {
	Statement statement.ID // that was witnessed
	Vault     string
	Roots     []*Root   // by suite, ascending
	Children  []hd.Path // written out for each root, for wallets that take one private key alone
}

// Wipe overwrites every private key.
func (k Keys) Wipe() {
	for _, r := range k.Roots {
		r.Wipe()
	}
}

// ExposeFile (spec/breakglass 5) is the file in plain: a secret. The caller wipes it.
func (k Keys) ExposeFile() ([]byte, error) {
	if len(k.Roots) == 0 || len(k.Roots) > MaxRoots || len(k.Children) > MaxChildren {
		return nil, fmt.Errorf("file of keys: %d keys and %d children do not go", len(k.Roots), len(k.Children))
	}
	if err := statement.CheckLabel(k.Vault); err != nil {
		return nil, fmt.Errorf("file of keys: vault: %w", err)
	}
	out := make([]byte, 0, MaxKeyFile) // never grown: a copy that is left behind would not be wiped
	out = fmt.Appendf(out, "%s\nstatement: %s\nvault: %s\n", KeysHead, k.Statement, k.Vault)
	for _, r := range k.Roots {
		next, err := r.append(out, k.Children)
		if err != nil || len(next) > MaxKeyFile-64 {
			secret.Wipe(out)
			return nil, errors.Join(err, errors.New("file of keys: it cannot be written"))
		}
		out = next
	}
	sum := sha256.Sum256(out)
	return fmt.Appendf(out, "\nsum: %x\n", sum[:sumSize]), nil
}

const sumSize = 8 // bytes of SHA-256: what was mistyped or damaged in a line that no other check holds is found

func (r *Root) append(out []byte, children []hd.Path) ([]byte, error) {
	out = fmt.Appendf(out, "\nsuite: %s\nkey: %x\nnumber: %d\nepoch: %x\npublic-key: %x\nchain-code: %x\nprivate-key: ", r.Suite, r.KeyID, r.Number, r.Epoch[:], r.Public.Bytes(), r.ChainCode)
	out = appendHex(out, r.private.Bytes())
	if x, err := r.ExposeXPrv(); err == nil {
		out = append(append(out, "xprv: "...), x...)
		out = append(out, '\n')
		secret.Wipe(x)
	}
	for _, path := range children {
		public, private, err := r.ExposeChild(path)
		if err != nil {
			return out, err
		}
		out = fmt.Appendf(out, "child: %v %x ", path, public)
		out = appendHex(out, private)
	}
	return out, nil
}

// appendHex writes a secret and a line feed, and wipes it.
func appendHex(out, b []byte) []byte {
	out = hex.AppendEncode(out, b)
	secret.Wipe(b)
	return append(out, '\n')
}

// ParseKeys reads a file in plain, in its one form, and holds every private key to its public one. The caller wipes both.
func ParseKeys(b []byte) (Keys, error) {
	k, err := parseKeys(b)
	if err == nil {
		var again []byte
		if again, err = k.ExposeFile(); err == nil && subtle.ConstantTimeCompare(again, b) != 1 {
			err = errors.New("it is not as this program writes it: a line was changed")
		}
		secret.Wipe(again)
	}
	if err != nil {
		k.Wipe()
		return Keys{}, fmt.Errorf("file of keys: %w", err) // never with a value: lines hold secrets
	}
	return k, nil
}

func parseKeys(b []byte) (k Keys, err error) {
	if len(b) > MaxKeyFile {
		return k, fmt.Errorf("it has %d bytes, at most %d are allowed", len(b), MaxKeyFile)
	}
	blocks := bytes.Split(b, []byte("\n\n"))
	if len(blocks) < 3 || len(blocks) > MaxRoots+2 {
		return k, errors.New("it is no file of whole keys")
	}
	head := linesOf(blocks[0])
	id, err := statement.ParseID(head.get("statement"))
	if err != nil || !bytes.HasPrefix(blocks[0], []byte(KeysHead+"\n")) {
		return k, errors.New("it does not begin as a file of whole keys")
	}
	k.Statement, k.Vault = id, head.get("vault")
	for i, block := range blocks[1 : len(blocks)-1] { // the last is the sum, which only one file has
		r, children, err := parseRoot(linesOf(block))
		if err != nil {
			return k, fmt.Errorf("key %d: %w", i+1, err)
		}
		k.Roots = append(k.Roots, r)
		k.Children = children // the same of each, or the form differs
	}
	return k, nil
}

// fields are lines "name: value".
type fields [][2][]byte

func linesOf(b []byte) (out fields) {
	for line := range bytes.Lines(b) {
		if name, value, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(": ")); ok {
			out = append(out, [2][]byte{name, value})
		}
	}
	return out
}

// raw is a value where it stands: no copy of a secret stays behind.
func (f fields) raw(name string) []byte {
	for _, l := range f {
		if string(l[0]) == name {
			return l[1]
		}
	}
	return nil
}

func (f fields) get(name string) string { return string(f.raw(name)) }

func (f fields) hex(name string, to []byte) error {
	if v := f.raw(name); len(v) != 2*len(to) {
		return fmt.Errorf("%s is not of %d bytes", name, len(to))
	} else if _, err := hex.Decode(to, v); err != nil {
		return fmt.Errorf("%s is not in hexadecimal digits", name)
	}
	return nil
}

func parseRoot(f fields) (*Root, []hd.Path, error) {
	r := &Root{Suite: f.get("suite")}
	g, err := epoch.GroupOf(r.Suite)
	if err != nil {
		return nil, nil, err
	}
	public, private := make([]byte, g.PointSize()), make([]byte, group.ScalarSize)
	defer secret.Wipe(private)
	err = errors.Join(f.hex("key", r.KeyID[:]), f.hex("epoch", r.Epoch[:]), f.hex("public-key", public), f.hex("chain-code", r.ChainCode[:]), f.hex("private-key", private))
	if err != nil {
		return nil, nil, err
	}
	if r.Number, err = strconv.ParseUint(f.get("number"), 10, 63); err != nil {
		return nil, nil, errors.New("number is no number")
	}
	if r.Public, err = g.DecodePoint(public); err != nil {
		return nil, nil, fmt.Errorf("public-key: %w", err)
	}
	if r.private, err = g.DecodeScalar(private); err != nil {
		return nil, nil, errors.New("private-key is no scalar of the suite") // the decoder's words could carry it
	}
	if !g.BaseMul(r.private).Equal(r.Public) {
		r.Wipe()
		return nil, nil, errors.New("private-key is not that of public-key")
	}
	var children []hd.Path
	for _, l := range f {
		if string(l[0]) != "child" {
			continue
		}
		text, _, _ := bytes.Cut(l[1], []byte(" "))
		path, err := hd.ParsePath(string(text))
		if err != nil || len(children) == MaxChildren {
			r.Wipe()
			return nil, nil, errors.New("child: its path is none, or there are too many")
		}
		children = append(children, path)
	}
	return r, children, nil
}
