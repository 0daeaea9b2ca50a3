package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"golang.org/x/term"
	"golang.org/x/text/unicode/norm"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/guardian"
	node "github.com/ostraka/ostraka/node/backup"
)

const (
	maxIdentity   = 64 << 10 // bytes of a file with private keys
	maxPassphrase = 4 << 10
)

// recipients reads age1… lines; those that a quantum computer could open are refused unless classical is said.
func recipients(lines []string, classical bool) ([]age.Recipient, error) {
	all, err := node.Recipients(lines, classical)
	if err == nil {
		_, err = age.Encrypt(io.Discard, all...) // a recipient says only now whether it is post-quantum
	}
	if err != nil {
		return nil, usage("--recipient: %w", err)
	}
	return all, nil
}

// identities reads files of age's private keys, those of its plugins and of SSH too.
func (a *app) identities(paths []string) (ids []age.Identity, err error) {
	for _, path := range paths {
		b, err := readBounded(path, maxIdentity)
		if err != nil {
			return nil, err
		}
		some, err := a.identitiesOf(string(b))
		secret.Wipe(b)
		if err != nil {
			return nil, usage("%s is no private key of age or SSH: %w", path, err)
		}
		ids = append(ids, some...)
	}
	return ids, nil
}

func (a *app) identitiesOf(text string) (ids []age.Identity, err error) {
	if strings.HasPrefix(text, "-----BEGIN") {
		id, err := agessh.ParseIdentity([]byte(text))
		return []age.Identity{id}, err
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "AGE-PLUGIN-"):
			say := func(format string, v ...any) { fmt.Fprintln(a.err, oneLine(fmt.Sprintf(format, v...))) }
			id, err := plugin.NewIdentity(line, plugin.NewTerminalUI(say, say))
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
		default:
			own, err := age.ParseIdentities(strings.NewReader(line))
			if err != nil {
				return nil, errors.New("a line of it is no private key") // age's words could carry it
			}
			ids = append(ids, own...)
		}
	}
	if len(ids) == 0 {
		return nil, errors.New("it holds no private key")
	}
	return ids, nil
}

// lettered reads a file of age in either of its forms.
func lettered(sealed []byte) io.Reader {
	if trimmed := bytes.TrimSpace(sealed); bytes.HasPrefix(trimmed, []byte(armor.Header)) {
		return armor.NewReader(bytes.NewReader(trimmed))
	}
	return bytes.NewReader(sealed)
}

// byPassphrase says whether a passphrase opens a file of age.
func byPassphrase(sealed []byte) bool {
	head, err := io.ReadAll(io.LimitReader(lettered(sealed), 64))
	return err == nil && bytes.HasPrefix(head, []byte("age-encryption.org/v1\n-> scrypt "))
}

// guardianKey opens a guardian's key file (spec/guardian 2). passFile is used, and taken off the list, where a passphrase opens it. The caller wipes the key.
func (a *app) guardianKey(path string, ids []age.Identity, passFiles *[]string) (k guardian.Key, err error) {
	sealed, err := readBounded(path, maxIdentity)
	if err != nil {
		return k, err
	}
	if byPassphrase(sealed) {
		file := ""
		if len(*passFiles) > 0 {
			file, *passFiles = (*passFiles)[0], (*passFiles)[1:]
		}
		pass, err := passphrase(path, file)
		if err != nil {
			return k, err
		}
		defer pass.Wipe()
		id, err := age.NewScryptIdentity(string(pass.Expose()))
		if err != nil {
			return k, err
		}
		ids = []age.Identity{id}
	} else if len(ids) == 0 {
		return k, usage("%s is encrypted to a recipient: give its private key, --identity FILE", path)
	}
	r, err := age.Decrypt(lettered(sealed), ids...)
	if err != nil {
		return k, fail(codeError, fmt.Errorf("open %s: %w", path, err), "check the passphrase or private key; a second copy of the file opens with the same")
	}
	plain, err := io.ReadAll(io.LimitReader(r, int64(guardian.KeyText)+1))
	defer secret.Wipe(plain)
	if err == nil {
		k, err = guardian.ParseKey(plain)
	}
	if err != nil {
		return k, unverified("take the second copy of the file", "open %s: %w", path, err)
	}
	return k, nil
}

// passphrase is one of a guardian's file: from a file, or the terminal. It is never an argument, which others can list.
func passphrase(of, file string) (secret.Bytes, error) {
	var raw []byte
	var err error
	if file != "" {
		if info, err := os.Stat(file); err != nil {
			return secret.Bytes{}, err
		} else if info.Mode().Perm()&0o077 != 0 {
			return secret.Bytes{}, fail(codeError, fmt.Errorf("passphrase file %s is open to other users", file), "run `chmod 600 "+file+"`")
		}
		raw, err = readBounded(file, maxPassphrase)
	} else {
		raw, err = ask(of)
	}
	defer func() { secret.Wipe(raw) }()
	if err != nil {
		return secret.Bytes{}, usage("read the passphrase of %s: %w", of, err)
	}
	line := bytes.TrimRight(raw, "\r\n")
	if len(line) == 0 || bytes.ContainsAny(line, "\r\n") {
		return secret.Bytes{}, usage("the passphrase of %s is empty, or has several lines", of)
	}
	return secret.Copy(norm.NFC.Bytes(line)), nil
}

// ask reads a line from the terminal without showing it.
func ask(of string) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errors.New("there is no terminal to ask on: give --passphrase-file FILE")
	}
	defer tty.Close()
	fmt.Fprintf(tty, "Passphrase of %s: ", oneLine(of))
	b, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	return b, err
}
