package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
	"golang.org/x/text/unicode/norm"

	"github.com/ostraka/ostraka/crypto/secret"
)

const (
	passphraseVariable = "OSTRAKA_PASSPHRASE_FILE"
	maxPassphrase      = 4 << 10 // bytes
	minPassphrase      = 8       // characters, when one is made
)

// askSecret reads a line from the terminal without showing it.
func (a *app) askSecret(prompt string) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errors.New("there is no terminal to ask on")
	}
	defer tty.Close()
	shown, err := term.GetState(int(tty.Fd()))
	if err != nil {
		return nil, fmt.Errorf("look at the terminal: %w", err)
	}
	fmt.Fprint(tty, prompt)
	b, err := a.typed(func() ([]byte, error) { return term.ReadPassword(int(tty.Fd())) })
	if errors.Is(err, context.Canceled) {
		_ = term.Restore(int(tty.Fd()), shown) // who reads on has hidden what is typed
	}
	fmt.Fprintln(tty)
	return b, err
}

// typed waits for what somebody types, or for a signal to end: a read itself heeds none.
func (a *app) typed(read func() ([]byte, error)) ([]byte, error) {
	type answer struct {
		line []byte
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		line, err := read()
		done <- answer{line, err}
	}()
	select {
	case <-a.ends:
		return nil, context.Canceled
	case x := <-done:
		return x.line, x.err
	}
}

// fileOf is the file that a flag names, or else a variable.
func fileOf(file, variable string) string {
	if file == "" {
		file = os.Getenv(variable)
	}
	return file
}

const nextPassFile = "give --passphrase-file FILE"

// secretFor is the passphrase of something, from a file or the terminal, and asked for again where it is new.
func (a *app) secretFor(what, file string, twice bool) (secret.Bytes, error) {
	if file != "" {
		return secretFile(file, "passphrase", "--passphrase-file")
	}
	return a.typedSecret("Passphrase", what, twice)
}

// typedSecret asks on the terminal. twice asks again: a slip when it is made would lock the operator out.
func (a *app) typedSecret(name, what string, twice bool) (secret.Bytes, error) {
	noTerminal := func(err error) error {
		if errors.Is(err, context.Canceled) {
			return err
		}
		return fail(codeUsage, fmt.Errorf("read the %s: %w", plainName(name), err), nextPassFile)
	}
	first, err := a.askSecret(name + " of " + what + ": ")
	if err != nil {
		return secret.Bytes{}, noTerminal(err)
	}
	if twice {
		second, err := a.askSecret("Again: ")
		if err != nil {
			clear(first)
			return secret.Bytes{}, noTerminal(err)
		}
		defer clear(second)
		if !bytes.Equal(first, second) {
			clear(first)
			return secret.Bytes{}, usage("the two are not the same")
		}
	}
	return normal(first, twice)
}

// plainName is a secret's name within a sentence.
func plainName(name string) string {
	if name == "PIN" {
		return name
	}
	return strings.ToLower(name)
}

// secretFile reads a file of one line that no other user may read.
func secretFile(path, what, flag string) (secret.Bytes, error) {
	b, err := wholeFile(path, what, flag, maxPassphrase)
	if err != nil {
		return secret.Bytes{}, err
	}
	defer b.Wipe()
	line := trimmedLine(b).Expose()
	if bytes.ContainsAny(line, "\r\n") {
		return secret.Bytes{}, fmt.Errorf("%s file %s holds more than one line", what, path)
	}
	return normal(bytes.Clone(line), false)
}

// trimmedLine is a file's content without the end of its last line.
func trimmedLine(b secret.Bytes) secret.Bytes { return secret.New(bytes.TrimRight(b.Expose(), "\r\n")) }

// wholeFile reads a file with a secret that no other user may read.
func wholeFile(path, what, flag string, most int64) (secret.Bytes, error) {
	info, err := os.Stat(path)
	if err != nil {
		next := "give " + flag + " FILE" + orVariable(flag)
		if orVariable(flag) != "" {
			next += "; without either it is asked for"
		}
		return secret.Bytes{}, fail(codeError, fmt.Errorf("read the %s: %w", what, err), next)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return secret.Bytes{}, fail(codeError, fmt.Errorf("%s file %s is open to other users", what, path), "run `chmod 600 "+path+"`")
	}
	if info.Size() > most {
		return secret.Bytes{}, fmt.Errorf("%s file %s has %d bytes, at most %d are allowed", what, path, info.Size(), most)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("read the %s: %w", what, err)
	}
	return secret.New(raw), nil
}

// normal brings what people type to one form (NFC) and takes it over.
func normal(raw []byte, made bool) (secret.Bytes, error) {
	defer clear(raw)
	if len(raw) == 0 {
		return secret.Bytes{}, usage("the passphrase or PIN is empty")
	}
	if n := len(bytes.Runes(raw)); made && n < minPassphrase {
		return secret.Bytes{}, usage("the passphrase has %d characters, at least %d are needed", n, minPassphrase)
	}
	return secret.Copy(norm.NFC.Bytes(raw)), nil
}

// confirm asks before something is signed. Without --yes and without a terminal it refuses.
func (a *app) confirm(yes bool, question string) error {
	return a.confirmBy(yes, question, "yes", "yes")
}

// confirmBy asks for a word: yes, or what the person must look up. said is what it is called.
func (a *app) confirmBy(yes bool, question, said, word string) error {
	if yes {
		return nil
	}
	f, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return usage("nobody is at the terminal to confirm: read what is shown, then give --yes")
	}
	fmt.Fprintf(a.err, "%s Type %s: ", question, said)
	line, err := a.typed(func() ([]byte, error) { return bufio.NewReader(a.in).ReadBytes('\n') })
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.err)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(bytes.TrimSpace(line)) != word {
		return fail(codeError, errors.New("not confirmed: nothing was done"), "")
	}
	return nil
}
