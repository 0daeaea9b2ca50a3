package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/guardian"
)

func (a *app) guardianCommand() *cobra.Command {
	c := &cobra.Command{Use: "guardian", Short: "A guardian's key, kept offline, and the card that shows its public half"}
	c.AddCommand(a.guardianInitCommand(), a.guardianCardCommand())
	return c
}

// guardianDocument is a card, and what it says.
type guardianDocument struct {
	File          string `json:"file,omitempty"` // with the key; absent where a card alone was shown
	Card          string `json:"card"`
	SigningKey    string `json:"signing_key"` // an SSH key's line
	Fingerprint   string `json:"fingerprint"`
	EncryptionKey string `json:"encryption_key"` // 32 bytes, hex
	Party         string `json:"party"`          // 16 bytes, hex
}

func guardianOf(file string, c guardian.Card) (guardianDocument, error) {
	k, err := c.Key()
	if err != nil {
		return guardianDocument{}, err
	}
	party := c.Party()
	return guardianDocument{file, c.String(), k.String(), k.Fingerprint(), c.Encryption().String(), fmt.Sprintf("%x", party[:])}, nil
}

func (d guardianDocument) print(w io.Writer) {
	fmt.Fprintf(w, "%s\n\nsigning key     %s\nencryption key  %s\n", d.Card, d.Fingerprint, d.EncryptionKey)
}

func (a *app) guardianInitCommand() *cobra.Command {
	var to []string
	var passFile string
	c := &cobra.Command{
		Use: "init FILE", Short: "Make a guardian's key in a new file, and print its card", Args: exactly("FILE"),
		Long: "Talks to nobody and needs no node: run it on a machine that is offline, if you have one. The key is encrypted with a passphrase, or with --recipient to\n" +
			"age1… recipients, those of age's plugins (a YubiKey, for instance) too; age itself opens the file. The card holds no secret: send it to who writes the\n" +
			"charter, and tell them its signing key by another way (by telephone, for instance). A file that is there already is never written over.",
		Example: "  ostraka guardian init /media/stick/guardian.age\n  ostraka guardian init guardian.age --recipient age1yubikey1q…",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(to) > 0 && passFile != "" {
				return usage("--recipient and --passphrase-file: an age file opens by recipients, or by one passphrase; give one of the two")
			}
			return a.guardianInit(args[0], to, passFile)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&to, "recipient", nil, "age recipient that opens the file, age1… (may be repeated; default: a passphrase, which is asked for)")
	f.StringVar(&passFile, "passphrase-file", "", "file with the passphrase, mode 0600 (default: it is asked for)")
	return c
}

func (a *app) guardianInit(path string, to []string, passFile string) error {
	if err := absent(path); err != nil {
		return err
	}
	lock, err := a.guardianLock(to, passFile)
	if err != nil {
		return err
	}
	k, err := guardian.NewKey(rand.Reader)
	if err != nil {
		return err
	}
	defer k.Wipe()
	card, err := k.Card()
	if err != nil {
		return err
	}
	sealed, err := sealGuardian(k, lock.to)
	if err != nil {
		return err
	}
	// A file that its own passphrase does not open would be noticed in an emergency.
	if lock.opens != nil {
		if err := opensTo(sealed, lock.opens, card); err != nil {
			return err
		}
	}
	if err := client.CreatePrivate(path, sealed); errors.Is(err, fs.ErrExist) {
		return overwritten(path)
	} else if err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	doc, err := guardianOf(path, card)
	if err != nil {
		return err
	}
	return a.show(doc, func(w io.Writer) {
		fmt.Fprintf(w, "Your key is in %s. Your card:\n\n", path)
		doc.print(w)
		fmt.Fprintf(w, "\nNext:\n  1. Send the card, the long line, to who writes the charter, and tell them the signing key by another way (by telephone, for instance).\n"+
			"  2. Copy %s to a second stick, and keep both offline, in two places. Nobody can make it anew for you.\n"+
			"  3. `ostraka guardian card %s` shows whether you can still open it.\n", filepath.Base(path), path)
	})
}

// absent refuses a name that something has, before anybody types a passphrase for it.
func absent(path string) error {
	switch err := client.Absent(path); {
	case errors.Is(err, fs.ErrExist):
		return overwritten(path)
	case errors.Is(err, fs.ErrNotExist):
		return fail(codeError, fmt.Errorf("there is no folder %s for the key's file", filepath.Dir(path)), "make the folder first, or check the file's name; is the stick plugged in?")
	case err != nil:
		return fmt.Errorf("look whether %s is there already: %w", path, err)
	}
	return nil
}

func overwritten(path string) error {
	return fail(codeError, fmt.Errorf("%s is there already: it is not written over, for it may be a key", path), "name another file")
}

// guardianLock is what a key is encrypted to, and what opens it again, where this program has that.
type guardianLock struct {
	to    []age.Recipient
	opens age.Identity
}

func (a *app) guardianLock(to []string, passFile string) (l guardianLock, err error) {
	for _, text := range to {
		r, err := a.guardianRecipient(text)
		if err != nil {
			return l, err
		}
		l.to = append(l.to, r)
	}
	if len(to) > 0 {
		return l, nil
	}
	pass, err := a.secretFor("your guardian's key", passFile, true)
	if err != nil {
		return l, err
	}
	defer pass.Wipe()
	r, err := age.NewScryptRecipient(string(pass.Expose()))
	if err != nil {
		return l, err
	}
	l.to = []age.Recipient{r}
	l.opens, err = age.NewScryptIdentity(string(pass.Expose()))
	return l, err
}

// opensTo holds a file to the card that it should show.
func opensTo(sealed []byte, id age.Identity, want guardian.Card) error {
	k, err := openGuardian(sealed, id)
	if err != nil {
		return fmt.Errorf("read back the key: %w", err)
	}
	defer k.Wipe()
	if got, err := k.Card(); err != nil || got != want {
		return fmt.Errorf("read back the key: its card is another (%w)", err)
	}
	return nil
}

func (a *app) guardianCardCommand() *cobra.Command {
	var identity, passFile string
	c := &cobra.Command{
		Use: "card FILE|CARD", Short: "Show the card of a key file, or check a card", Args: exactly("FILE|CARD"),
		Long: "Of a key file it asks for the passphrase and shows the card: so you see that you can still open it. A card, or a file with one, is checked: that no\n" +
			"character is wrong, that who made it holds both keys, and that neither key is one that others could use.",
		Example: "  ostraka guardian card guardian.age\n  ostraka guardian card guardian.age -i yubikey-identity.txt\n  ostraka guardian card ostraka-guardian1…",
		RunE: func(_ *cobra.Command, args []string) error {
			if strings.HasPrefix(args[0], "ostraka-guardian") {
				return a.guardianCard("", args[0])
			}
			raw, err := a.readAs("", args[0], fileKeyOrCard, maxKeyFile)
			if err != nil {
				return err
			}
			if !isGuardianFile(raw) {
				return a.guardianCard("", strings.TrimSpace(string(raw)))
			}
			k, err := a.openGuardianFile(args[0], raw, identity, passFile)
			if err != nil {
				return err
			}
			defer k.Wipe()
			c, err := k.Card()
			if err != nil {
				return err
			}
			return a.guardianCard(args[0], c.String())
		},
	}
	f := c.Flags()
	f.StringVarP(&identity, "identity", "i", "", "private key that opens the file: age's, one of its plugins', or SSH's (default: a passphrase)")
	f.StringVar(&passFile, "passphrase-file", "", "file with the passphrase, mode 0600 (default: it is asked for)")
	return c
}

func (a *app) guardianCard(file, text string) error {
	c, err := guardian.ParseCard(text)
	if err != nil {
		return unverified("ask who sent it to send the line again; `ostraka guardian card FILE` shows it to them", "%w", err)
	}
	doc, err := guardianOf(file, c)
	if err != nil {
		return err
	}
	return a.show(doc, func(w io.Writer) {
		doc.print(w)
		if file == "" {
			fmt.Fprint(w, "\nThe card is whole, and who made it holds both keys. Compare the signing key with what the guardian tells you by another way.\n")
		}
	})
}

// isGuardianFile says whether a file is one of age's, in letters or not.
func isGuardianFile(raw []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(raw), []byte("-----BEGIN AGE")) || bytes.HasPrefix(raw, []byte("age-encryption.org/"))
}
