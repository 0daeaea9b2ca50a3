package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/breakglass"
	"github.com/ostraka/ostraka/mpc/epoch"
)

func (a *app) checkCommand() *cobra.Command {
	var folder string
	c := &cobra.Command{
		Use: "check RECORD", Short: "Verify a published record: who witnessed, and that the keys were whole in one hand", Args: exactly("RECORD"),
		RunE: func(_ *cobra.Command, args []string) error {
			d, err := readCharter(folder)
			if err != nil {
				return err
			}
			raw, err := readBounded(args[0], breakglass.MaxRecord)
			if err != nil {
				return err
			}
			record, err := breakglass.DecodeRecord(raw)
			if err != nil {
				return unverified("get the record again from who published it", "%s: %w", args[0], err)
			}
			r, by, err := record.Check(d)
			if err != nil {
				return unverified("do not believe it; ask the witnesses", "%s: %w", args[0], err)
			}
			fmt.Fprintf(a.out, "Custody of vault %s of %s ended: its keys are in the hands of %s.\nReason: %s\nWitnesses:\n", r.Vault, oneLine(r.Circle), oneLine(r.Holder), oneLine(r.Reason))
			for _, w := range by {
				fmt.Fprintf(a.out, "  %s of %s, %s\n", w.Person, w.Organisation, w.Key.Fingerprint())
			}
			fmt.Fprintf(a.out, "Keys, each proved to have been whole:\n")
			for _, line := range record.Publics() {
				fmt.Fprintf(a.out, "  %s\n", line)
			}
			return nil
		},
	}
	c.Flags().StringVar(&folder, "charter", "", "folder with the charter of that time: charter.yaml and policy.cedar (required)")
	return c
}

func (a *app) signCommand() *cobra.Command {
	var identities []string
	var path, message string
	c := &cobra.Command{
		Use: "sign KEYS", Short: "Sign a message with a rebuilt Ed25519 key, which no wallet imports", Args: exactly("KEYS"),
		Long: "A vault's Ed25519 keys come of no seed, and are derived as no wallet derives (spec/derivation 3.3, 3.4): only a program that signs with scalars can use them. This\n" +
			"signs the exact bytes of --message, for instance a Solana transaction's message, with the key at --path, and prints public key and signature in hexadecimal digits. It decodes\n" +
			"nothing: make and check the message with a tool that you trust. Keys of secp256k1 are used in other wallets, from the extended private key in the file.",
		RunE: func(_ *cobra.Command, args []string) error { return a.sign(args[0], identities, path, message) },
	}
	f := c.Flags()
	f.StringArrayVar(&identities, "identity", nil, "private key that opens the file with the keys (may be repeated); none: it is in plain")
	f.StringVar(&path, "path", "", "of the key below the root, m/0/0/0 (required)")
	f.StringVar(&message, "message", "", "file with the bytes to sign (required)")
	return c
}

const maxMessage = 1 << 20

func (a *app) sign(file string, identities []string, path, message string) error {
	p, err := hd.ParsePath(path)
	if err != nil || message == "" {
		return usage("give --path, such as m/0/0/0, and --message FILE")
	}
	text, err := readBounded(message, maxMessage)
	if err != nil {
		return err
	}
	plain, err := a.readKeys(file, identities)
	defer func() { secret.Wipe(plain) }()
	if err != nil {
		return err
	}
	keys, err := breakglass.ParseKeys(plain)
	if err != nil {
		return unverified("take another copy of the file", "%s: %w", file, err)
	}
	defer keys.Wipe()
	for _, r := range keys.Roots {
		if r.Suite != epoch.SuiteEd25519 {
			continue
		}
		public, signature, err := r.SignEd25519(p, text, rand.Reader)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "public-key: %x\nsignature: %x\n", public, signature)
		return nil
	}
	return refused("use the extended private key in the file in another wallet", "%s holds no key of suite %s", file, epoch.SuiteEd25519)
}

// readKeys reads a file with keys, encrypted or in plain. The caller wipes what comes back.
func (a *app) readKeys(file string, identities []string) ([]byte, error) {
	raw, err := readBounded(file, 2*breakglass.MaxKeyFile)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(string(raw[:min(len(raw), len(breakglass.KeysHead))]), breakglass.KeysHead) {
		return raw, nil
	}
	ids, err := a.identities(identities)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, usage("%s is encrypted: give --identity", file)
	}
	r, err := age.Decrypt(bytes.NewReader(raw), ids...)
	if err != nil {
		return nil, fail(codeError, fmt.Errorf("open %s: %w", file, err), "check the private key")
	}
	plain := make([]byte, breakglass.MaxKeyFile+1) // never grown: a copy that is left behind would not be wiped
	n, err := io.ReadFull(r, plain)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	return plain[:n], err
}
