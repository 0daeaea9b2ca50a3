package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/breakglass"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// opening are the flags of open.
type opening struct {
	charter, out, record, end              string
	signatures, facts, exports, identities []string
	sheets, guardians, passFiles, children []string
	unencrypted                            bool
}

func (a *app) openCommand() *cobra.Command {
	var x opening
	c := &cobra.Command{
		Use: "open STATEMENT", Short: "END CUSTODY: take the witnesses' signatures and the pieces, and write the whole keys", Args: exactly("STATEMENT"),
		Long: warning + "\n\nNothing is opened before two persons of two organisations of the charter signed the statement. Pieces are exports with the private keys that open them, sheets of paper (a file each:\n" +
			"what its code says, or typed), and guardians' key files. Each is held to its public point; one that is damaged, of another key or of another epoch is named, and nothing is written.\n" +
			"The record, which holds no secret and is to be published, is written before the keys are.",
		Example: "  ostraka-breakglass open breakglass.txt --charter charter --signature alice.sig --signature carol.sig --export acme.ostraka-export --identity acme-key.txt \\\n" +
			"    --facts treasury.facts --guardian g1.age --guardian g2.age --out keys.age --record record.txt --end-custody-of treasury",
		RunE: func(_ *cobra.Command, args []string) error { return a.open(args[0], x) },
	}
	f := c.Flags()
	f.StringVar(&x.charter, "charter", "", "folder with the charter in force: charter.yaml and policy.cedar (required)")
	f.StringArrayVar(&x.signatures, "signature", nil, "a witness's signature (repeated: two at least)")
	f.StringArrayVar(&x.facts, "facts", nil, "file of public facts of the vault (may be repeated; exports hold them too)")
	f.StringArrayVar(&x.exports, "export", nil, "an operator's export (may be repeated)")
	f.StringArrayVar(&x.identities, "identity", nil, "private keys that open exports and guardians' files: age's, its plugins' or SSH's (may be repeated)")
	f.StringArrayVar(&x.sheets, "sheet", nil, "file with one sheet of paper, as its code says it or as it was typed (may be repeated)")
	f.StringArrayVar(&x.guardians, "guardian", nil, "a guardian's key file (may be repeated)")
	f.StringArrayVar(&x.passFiles, "passphrase-file", nil, "file with a guardian's passphrase, mode 0600, in the order of --guardian (default: it is asked for)")
	f.StringArrayVar(&x.children, "child", nil, "write the private key at this path out by itself too, m/0/0/0, for wallets that take no extended key (may be repeated)")
	f.StringVar(&x.out, "out", "", "new file for the keys (required)")
	f.StringVar(&x.record, "record", "", "new file for the record, to be published (required)")
	f.StringVar(&x.end, "end-custody-of", "", "the vault's name: you know that its custody ends (required)")
	f.BoolVar(&x.unencrypted, "unencrypted", false, "write the keys in plain, where the statement says so")
	return c
}

func (a *app) open(path string, x opening) error {
	d, s, by, err := a.witnessed(path, x)
	if err != nil {
		return err
	}
	r, err := breakglass.RequestOf(s)
	if err != nil {
		return err
	}
	children, err := paths(x.children)
	if err != nil {
		return err
	}
	g, err := a.gather(d, r.Vault, x)
	if err != nil {
		return err
	}
	defer g.wipe()
	keys := breakglass.Keys{Statement: s.ID(), Vault: r.Vault, Children: children}
	defer func() { keys.Wipe() }()
	for _, t := range r.Targets {
		k, err := g.key(t)
		if err != nil {
			return err
		}
		if err := r.Names(k); err != nil {
			return bad(err)
		}
		root, err := g.assemble(k)
		if err != nil {
			return err
		}
		keys.Roots = append(keys.Roots, root)
	}
	return a.write(d, s, r, by, keys, x)
}

// witnessed reads and verifies all that must hold before anything is opened, and says aloud what is about to happen.
func (a *app) witnessed(path string, x opening) (d charter.Document, s statement.Statement, by []breakglass.Witness, err error) {
	if d, err = readCharter(x.charter); err != nil {
		return d, s, nil, err
	}
	raw, err := readBounded(path, statement.MaxBytes)
	if err != nil {
		return d, s, nil, err
	}
	if s, err = statement.ParseKind(raw, statement.Breakglass); err != nil {
		return d, s, nil, unverified("give the statement as `prepare` wrote it", "%s: %w", path, err)
	}
	r, err := breakglass.RequestOf(s)
	if err == nil {
		err = r.Under(d, a.now())
	}
	if err != nil {
		return d, s, nil, refused("prepare and sign it anew", "%s: %w", path, err)
	}
	a.loud(r.Vault)
	switch {
	case x.out == "" || x.record == "":
		return d, s, nil, usage("give --out and --record: new files for the keys, and for what is published")
	case x.end != r.Vault:
		return d, s, nil, refused("read the above; then give --end-custody-of "+r.Vault, "--end-custody-of %q: the vault whose custody ends is %s", x.end, r.Vault)
	case x.unencrypted != r.Plain:
		return d, s, nil, refused("the witnesses signed how the keys are written: prepare it anew, or give --unencrypted exactly where it says plain", "the statement's output is not what was asked for here")
	}
	if err := absent(x.out, x.record); err != nil {
		return d, s, nil, err
	}
	var signatures [][]byte
	for _, file := range x.signatures {
		b, err := readBounded(file, signet.MaxArmored)
		if err != nil {
			return d, s, nil, err
		}
		signatures = append(signatures, b)
	}
	if by, err = breakglass.WitnessesOf(s, d, signatures); err != nil {
		return d, s, nil, refused("have the statement signed: ssh-keygen -Y sign -n "+breakglass.Namespace(), "%w", err)
	}
	fmt.Fprintf(a.err, "%s\nWitnesses:\n", plainText(s.Text()))
	for _, w := range by {
		fmt.Fprintf(a.err, "  %s of %s, %s\n", w.Person, w.Organisation, w.Key.Fingerprint())
	}
	return d, s, by, nil
}

func paths(texts []string) (all []hd.Path, err error) {
	for _, text := range texts {
		p, err := hd.ParsePath(text)
		if err != nil {
			return nil, usage("--child: %w", err)
		}
		all = append(all, p)
	}
	return all, nil
}

// write makes the file with the keys in memory, writes the record, and then the keys: no key is out of which nobody has to speak.
func (a *app) write(d charter.Document, s statement.Statement, r breakglass.Request, by []breakglass.Witness, keys breakglass.Keys, x opening) error {
	plain, err := keys.ExposeFile()
	if err != nil {
		return err
	}
	defer secret.Wipe(plain)
	out := plain
	if !r.Plain {
		if out, err = seal(plain, r.Recipients); err != nil {
			return err
		}
	}
	var salt statement.Salt
	if _, err := io.ReadFull(rand.Reader, salt[:]); err != nil {
		return fmt.Errorf("read entropy: %w", err)
	}
	record, err := breakglass.Finish(s, by, keys.Roots, sha256.Sum256(out), a.now().UTC().Truncate(time.Second), salt, rand.Reader)
	if err != nil {
		return err
	}
	if _, _, err := record.Check(d); err != nil {
		return fmt.Errorf("the record that was made does not verify, so nothing is written: %w", err)
	}
	if err := create(x.record, record.Bytes()); err != nil {
		return err
	}
	if err := create(x.out, out); err != nil {
		return err
	}
	how := "encrypted to the recipients of the statement"
	if r.Plain {
		how = "IN PLAIN, readable by this user alone: move it into a safe, and wipe this disk"
	}
	fmt.Fprintf(a.out, "Custody of vault %s has ended.\n\nKeys, %s: %s\nRecord, which holds no secret: %s\n\nRebuilt, each proved to be the vault's:\n", r.Vault, how, x.out, x.record)
	for i, line := range record.Publics() {
		fmt.Fprintf(a.out, "  %s\n    of %s\n", line, strings.Join(keys.Roots[i].Pieces, ", "))
	}
	fmt.Fprintf(a.out, "\nNext:\n  1. Publish %s. Everybody checks it: `ostraka-breakglass check %s --charter %s`.\n  2. Move all assets at once, to addresses of a new circle: docs/breakglass.md says with which wallets.\n"+
		"  3. Wipe this machine, and whatever else the pieces passed through. Treat every address of the vault as one person's from now on.\n", x.record, x.record, x.charter)
	return nil
}

// seal encrypts to the recipients that the witnesses signed. Whether they may be classical was decided when the statement was prepared.
func seal(plain []byte, to []string) ([]byte, error) {
	all, err := recipients(to, true)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, all...)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt the keys: %w", err)
	}
	return out.Bytes(), nil
}
