package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

func (a *app) personCommand() *cobra.Command {
	c := &cobra.Command{Use: "person", Short: "People of the circle: list them; add or remove one in a folder, to be signed; make a passkey; end a key at once"}
	c.AddCommand(a.personListCommand(), a.personAddCommand(), a.personRemoveCommand(), a.personPasskeyCommand(), a.personRevokeCommand())
	return c
}

type personDocument struct {
	Name         string        `json:"name"`
	Organisation string        `json:"organisation"`
	Keys         []keyDocument `json:"keys"`
	Groups       []string      `json:"groups"`
	Expires      string        `json:"expires"` // of the keys; empty: never
}

type keyDocument struct {
	Type        string `json:"type"`
	Fingerprint string `json:"fingerprint"`
	Revoked     bool   `json:"revoked"`
}

func peopleOf(d charter.Document, revoked map[string]charter.Revocation) []personDocument {
	out := []personDocument{}
	for _, h := range d.People {
		p := personDocument{Name: h.Name, Organisation: h.Organisation, Keys: []keyDocument{}, Groups: []string{}, Expires: ending(h.Expires)}
		for _, k := range h.Keys {
			_, over := revoked[k.String()]
			p.Keys = append(p.Keys, keyDocument{k.Type(), k.Fingerprint(), over})
		}
		for _, g := range d.Groups {
			if slices.Contains(g.People, h.Name) {
				p.Groups = append(p.Groups, g.Name)
			}
		}
		out = append(out, p)
	}
	return out
}

func (p personDocument) called() string { return p.Name }

func (p personDocument) line() string {
	var keys []string
	for _, k := range p.Keys {
		text := k.Fingerprint
		if k.Revoked {
			text += " (REVOKED)"
		}
		keys = append(keys, text)
	}
	text := fmt.Sprintf("%s\tof %s\tin %s\t%s", p.Name, p.Organisation, someText(strings.Join(p.Groups, ", "), "no group"), strings.Join(keys, ", "))
	if p.Expires != "" {
		text += "\tuntil " + p.Expires
	}
	return text
}

// someText is a text, or what stands for an empty one.
func someText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func (a *app) personListCommand() *cobra.Command {
	folder := ""
	c := &cobra.Command{
		Use: "list", Short: "List the people of the charter in force, and those that wait; with -f those of a folder", Args: none,
		Long: "Without -f it asks the nodes, and verifies what they show: who is in force with which keys, which of them were revoked, and under WAITING\n" +
			"what a version of the charter that waits would change, and from when.",
	}
	folderFlag(c, &folder, "list those of the charter in this folder, and ask no node")
	local := localFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		r, x, failed, err := a.listed(c, folder, *local)
		if err != nil {
			return err
		}
		doc := struct {
			listedHead
			People  []personDocument          `json:"people"`
			Waiting []waiting[personDocument] `json:"waiting"`
			Failed  []failureDocument         `json:"failed"`
		}{headOf(x), peopleOf(x.Document, r.Revoked), waitingPeople(r), failuresOf(failed)}
		return a.show(doc, func(w io.Writer) { printListed(w, x, folder, "people", doc.People, doc.Waiting) })
	}
	return c
}

func waitingPeople(r client.Rules) []waiting[personDocument] {
	return waitingOf(r, func(d charter.Document) []personDocument { return peopleOf(d, r.Revoked) })
}

func (a *app) personAddCommand() *cobra.Command {
	var f editFlags
	var h charter.Human
	var keys, groups []string
	c := &cobra.Command{
		Use: "add NAME", Short: "Add a person to the charter in a folder; it counts when every operator has signed and the delay is over",
		Long: "Edits " + charterFile + " in the folder, and changes nothing else in it: comments stay. Nothing is written if `ostraka charter lint` would find\n" +
			"something that it does not find now. --public-key takes a key's line or a file with it: an SSH public key, what `ostraka person passkey`\n" +
			"printed, or \"eip712 0x…\" of a wallet. --key stays what it is everywhere: your own.",
		Example: "  ostraka person add zoe -f our --organisation acme --public-key zoe.pub --public-key zoe.passkey --group finance",
	}
	f.add(c)
	c.Flags().StringVar(&h.Organisation, "organisation", "", "whose person it is: an operator's name, or another label")
	c.Flags().StringArrayVar(&keys, "public-key", nil, "a public key's line, or a file that holds it; repeat for more")
	c.Flags().StringArrayVar(&groups, "group", nil, "a group of the charter that the person joins; repeat for more (default: none)")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if err = f.check(c, args); err != nil {
			return err
		}
		h.Name = args[0]
		if err := statement.CheckLabel(h.Organisation); err != nil {
			return usage("--organisation %w", err)
		}
		if len(keys) == 0 {
			return usage("--public-key: give at least one: a line, or a file that holds it")
		}
		h.Keys = nil
		for i, text := range keys {
			k, err := publicKey(i+1, text)
			if err != nil {
				return err
			}
			h.Keys = append(h.Keys, k)
		}
		if h.Expires, err = f.ends(time.Now()); err != nil {
			return err
		}
		return a.editCharter(f.folder, "person", "added", h.Name, func(file, rules []byte) (charter.Edited, error) { return charter.AddPerson(file, rules, h, groups) })
	}
	return c
}

// private says whether a text holds what only its owner may see.
func private(text string) bool {
	for _, mark := range []string{"PRIVATE KEY", "PuTTY-User-Key-File", "AGE-SECRET-KEY", "age-encryption.org"} {
		if strings.Contains(text, mark) {
			return true
		}
	}
	return false
}

// publicKey is the nth key that was given, as a line or a file. No error shows what was given, nor what the file holds: it may be a private key.
func publicKey(n int, given string) (signet.Key, error) {
	const ask = "nothing was changed; give the public key: of SSH the file that ends in .pub, of a passkey the line that `ostraka person passkey` printed, of a wallet \"eip712 0x…\""
	which := fmt.Sprintf("--public-key, number %d", n)
	wrong := func(format string, args ...any) (signet.Key, error) {
		return signet.Key{}, fail(codeUsage, fmt.Errorf("%s: "+format, append([]any{which}, args...)...), ask)
	}
	if private(given) {
		return wrong("it is a private key, which nobody but its owner may hold: who can read this machine's history has seen it")
	}
	if k, err := signet.ParseKey(given); err == nil {
		return k, nil
	}
	switch first, _, _ := strings.Cut(given, " "); first {
	case statement.EIP712: // of a text in its place that is none, it might be a wallet's private key
		return wrong("after eip712 stands no address of 0x and 40 hex digits, with the capitals that the wallet writes")
	case statement.Passkey256, statement.Passkey25519:
		_, err := signet.ParseKey(given)
		return wrong("%w", err)
	}
	raw, err := readBounded(given, 16<<10)
	defer clear(raw)
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return wrong("it is neither a public key's line nor a file that can be read (%w)", path.Err)
	case err != nil:
		return wrong("its file is too large for a public key")
	case private(string(raw)):
		return wrong("its file holds a private key, which nobody but its owner may hold; it was not used")
	}
	k, err := signet.ParseKey(string(raw))
	if err != nil {
		return wrong("its file holds no public key's one line")
	}
	return k, nil
}

func (a *app) personRemoveCommand() *cobra.Command {
	var f editFlags
	c := &cobra.Command{
		Use: "remove NAME", Short: "Take a person out of the charter in a folder, and out of its groups",
		Long: "Edits " + charterFile + " in the folder, and changes nothing else in it: comments above the person's lines stay. Who has access to a place is not\n" +
			"removed: take the name out of `access` first, once it is true. A key that may be in other hands ends at once with `ostraka person revoke`.",
		Example: "  ostraka person remove bob -f our",
	}
	f.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.check(c, args); err != nil {
			return err
		}
		return a.editCharter(f.folder, "person", "removed", args[0], func(file, rules []byte) (charter.Edited, error) { return charter.RemovePerson(file, rules, args[0]) })
	}
	return c
}
