package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/guardian"
)

// guardianRecipient reads an age1… recipient, of age's own or of a plugin.
func (a *app) guardianRecipient(text string) (age.Recipient, error) {
	if strings.Contains(text, "AGE-SECRET-KEY-") || strings.HasPrefix(text, "AGE-PLUGIN-") {
		return nil, usage("--recipient is given a private key: give the age1… line that belongs to it")
	}
	own, err := age.ParseRecipients(strings.NewReader(text))
	if err == nil && len(own) == 1 {
		return own[0], nil
	}
	r, pluginErr := plugin.NewRecipient(text, a.pluginUI())
	if pluginErr != nil {
		return nil, usage("--recipient %.80q is no age1… recipient: %w", text, err)
	}
	return r, nil
}

// ageIdentities reads age's private keys, a line each, those of its plugins too.
func (a *app) ageIdentities(text string) (ids []age.Identity, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "AGE-PLUGIN-"):
			id, err := plugin.NewIdentity(line, a.pluginUI())
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
		default:
			own, err := age.ParseIdentities(strings.NewReader(line))
			if err != nil {
				return nil, err
			}
			ids = append(ids, own...)
		}
	}
	if len(ids) == 0 {
		return nil, errors.New("it holds no private key")
	}
	return ids, nil
}

// pluginUI is how age's plugins ask and tell: what they say goes to stderr.
func (a *app) pluginUI() *plugin.ClientUI {
	return plugin.NewTerminalUI(func(format string, v ...any) { a.say(format, v...) }, func(format string, v ...any) { a.say(format, v...) })
}

// sealGuardian encrypts a key, in letters that paper and mail keep (spec/guardian 2.2).
func sealGuardian(k guardian.Key, to []age.Recipient) ([]byte, error) {
	plain, err := guardian.MarshalKey(k)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe(plain)
	var out bytes.Buffer
	letters := armor.NewWriter(&out)
	w, err := age.Encrypt(letters, to...)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = letters.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt the key: %w", err)
	}
	return out.Bytes(), nil
}

// openGuardian decrypts what sealGuardian wrote, or age made of the same line.
func openGuardian(sealed []byte, ids ...age.Identity) (guardian.Key, error) {
	r, err := age.Decrypt(lettered(sealed), ids...)
	if err != nil {
		return guardian.Key{}, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, int64(guardian.KeyText)+1))
	defer secret.Wipe(plain)
	if err != nil {
		return guardian.Key{}, err
	}
	return guardian.ParseKey(plain)
}

// lettered reads a file of age in either of its forms.
func lettered(sealed []byte) io.Reader {
	if trimmed := bytes.TrimSpace(sealed); bytes.HasPrefix(trimmed, []byte(armor.Header)) {
		return armor.NewReader(bytes.NewReader(trimmed))
	}
	return bytes.NewReader(sealed)
}

// byPassphrase says whether a passphrase opens a file of age: its header's first stanza says so.
func byPassphrase(sealed []byte) bool {
	head, err := io.ReadAll(io.LimitReader(lettered(sealed), 64))
	return err == nil && bytes.HasPrefix(head, []byte("age-encryption.org/v1\n-> scrypt "))
}

// openGuardianFile asks for what opens a guardian's key file, and opens it. The caller wipes the key.
func (a *app) openGuardianFile(path string, sealed []byte, identity, passFile string) (guardian.Key, error) {
	var ids []age.Identity
	switch {
	case byPassphrase(sealed):
		if identity != "" {
			return guardian.Key{}, usage("%s opens with a passphrase: leave -i out", path)
		}
		pass, err := a.secretFor("your guardian's key", passFile, false)
		if err != nil {
			return guardian.Key{}, err
		}
		defer pass.Wipe()
		id, err := age.NewScryptIdentity(string(pass.Expose()))
		if err != nil {
			return guardian.Key{}, err
		}
		ids = []age.Identity{id}
	case identity == "":
		return guardian.Key{}, usage("%s is encrypted to a recipient, not with a passphrase: give its private key, -i FILE", path)
	default:
		var err error
		if ids, err = a.identities(identity); err != nil {
			return guardian.Key{}, err
		}
	}
	k, err := openGuardian(sealed, ids...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return k, fail(codeError, fmt.Errorf("open %s: wrong passphrase or private key", path), "check it and try again; a second copy of the file opens with the same")
	}
	if err != nil {
		return k, unverified("take your second copy of the file", "open %s: %w", path, err)
	}
	return k, nil
}
