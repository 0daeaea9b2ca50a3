package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// names32 are people's words for what leaves name by ids and keys.
type names32 struct {
	vaults map[[32]byte]string
	people map[string]string // by key line
	nodes  map[string]ed25519.PublicKey
}

// vaultNames are those that the node knows.
func (a *app) vaultNames(ctx context.Context, own ostrakav1connect.OperatorClient) (n names32, err error) {
	res, err := own.Vaults(ctx, connect.NewRequest(&v1.VaultsRequest{}))
	if err != nil {
		return n, a.operatorError(err)
	}
	n.vaults = map[[32]byte]string{}
	for _, v := range res.Msg.Vaults {
		if len(v.Id) == 32 {
			n.vaults[[32]byte(v.Id)] = v.Name
		}
	}
	return n, nil
}

// vault is the name of a leaf's vault; nothing of none.
func (n names32) vault(id [32]byte) string {
	if name, ok := n.vaults[id]; ok {
		return name
	}
	return hexOrNone(id)
}

// find gives a vault's id by its name or id; empty: all.
func (n names32) find(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	if id, err := hex.DecodeString(name); err == nil && len(id) == 32 {
		return id, nil
	}
	for id, known := range n.vaults {
		if known == name {
			return id[:], nil
		}
	}
	return nil, fail(codeError, fmt.Errorf("vault %q is not known to this node", name), "`ostraka vault list --local` shows the node's vaults; an id of 64 hex digits serves too")
}

// owners adds who has which key, as roster and charter say. Where there is neither yet, nobody is known.
func (a *app) owners(ctx context.Context, n *names32) {
	n.people, n.nodes = map[string]string{}, map[string]ed25519.PublicKey{}
	own, err := client.OpenOwn(ctx, a.dir)
	if own == nil || err != nil && len(own.Chain()) == 0 {
		return
	}
	for _, r := range own.Chain() {
		for _, o := range r.Operators {
			n.nodes[o.Name] = o.Identity
			for _, k := range o.Officers {
				n.people[k.String()] = "officer of " + o.Name
			}
		}
	}
	if c, err := own.Rules().Charter(); err == nil {
		for _, p := range c.Document.People {
			for _, k := range p.Keys {
				n.people[k.String()] = p.Name + " of " + p.Organisation
			}
		}
	}
}

const (
	maxFacts = 3  // of a statement, in a line
	maxValue = 48 // bytes of one
)

// words say in a line what an entry's body says; nothing without one.
func (e logEntry) words(n names32) string {
	if len(e.Content) == 0 {
		return ""
	}
	if s, err := statement.Parse(e.Content); err == nil {
		return statementWords(s)
	}
	switch e.Kind {
	case tlog.KindSignature, tlog.KindVote:
		if s, err := signet.Parse(e.Content); err == nil {
			return signatureWords(s, n)
		}
	case tlog.KindAddress:
		if x, err := charter.DecodeAddress(e.Content); err == nil {
			return fmt.Sprintf("%s on %s, at %s", x.Address, x.Chain, x.Path)
		}
	case tlog.KindWord:
		return "a node's signature over charter " + hexOrNone(e.About)[:8]
	}
	if text, ok := printable(e.Content); ok {
		return text
	}
	return fmt.Sprintf("%d bytes", len(e.Content))
}

// statementWords are its kind and what stands first in it, ids and long values left out.
func statementWords(s statement.Statement) string {
	parts := []string{}
	add := func(name, value string) {
		if len(parts) < maxFacts && value != "" && len(value) <= maxValue && !isID(value) {
			parts = append(parts, name+" "+value)
		}
	}
	if verdict := s.Get("verdict"); verdict != "" {
		parts = append(parts, verdict+" by "+s.Get("operator"), "rule "+s.Get("rule"))
	}
	facts := s.Fields().All("fact")
	for _, f := range facts {
		add("", f)
	}
	if len(facts) == 0 && len(parts) == 0 {
		for _, f := range s.Fields() {
			add(f.Name, f.Value)
		}
	}
	out := string(s.Kind())
	if len(parts) > 0 {
		out += ": " + strings.Join(parts, ", ")
	}
	return strings.ReplaceAll(out, "  ", " ")
}

func isID(v string) bool {
	return len(v) == 64 && strings.Trim(v, "0123456789abcdef") == ""
}

func signatureWords(s signet.Signature, n names32) string {
	out := "by " + n.owner(s.Key())
	if verb, ok := s.Verb(); ok {
		out = string(verb) + " " + out
	}
	return out
}

func (n names32) owner(k signet.Key) string {
	if who := n.people[k.String()]; who != "" {
		return who
	}
	return k.Fingerprint()
}

// printable is text that a terminal shows as it is, in one line.
func printable(b []byte) (string, bool) {
	if len(b) > 400 || !utf8.Valid(b) || bytes.ContainsFunc(b, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' }) {
		return "", false
	}
	return strings.Join(strings.Fields(string(b)), " "), true
}

// entryFull is all of an entry.
type entryFull struct {
	entryDocument
	VaultID    string             `json:"vault_id,omitempty"`
	Leaf       string             `json:"leaf"` // the bytes that the tree holds
	Statement  string             `json:"statement,omitempty"`
	Content    string             `json:"content,omitempty"` // of other bodies, in hex
	Signatures []signatureOfEntry `json:"signatures"`
}

type signatureOfEntry struct {
	By   string `json:"by"`            // who, if known; else the key
	Key  string `json:"key,omitempty"` // fingerprint of a person's
	Verb string `json:"verb,omitempty"`
	Raw  string `json:"raw"` // armored, or a node's in hex
}

func (e logEntry) full(n names32) entryFull {
	d := entryFull{entryDocument: e.document(n), VaultID: hexOrNone(e.Vault), Leaf: hex.EncodeToString(e.Leaf.Encode()), Signatures: []signatureOfEntry{}}
	s, err := statement.Parse(e.Content)
	if err == nil {
		d.Statement = s.Text()
	} else if len(e.Content) > 0 {
		d.Content = hex.EncodeToString(e.Content)
	}
	for _, raw := range e.Signatures {
		d.Signatures = append(d.Signatures, n.signature(s, raw))
	}
	if x, err := signet.Parse(e.Content); err == nil {
		d.Signatures = append(d.Signatures, n.signature(s, x.Armored()))
	}
	return d
}

// signature says whose a signature over a statement is. A node's names no key: it is tried with those that are known.
func (n names32) signature(s statement.Statement, raw []byte) signatureOfEntry {
	if x, err := signet.Parse(raw); err == nil {
		out := signatureOfEntry{By: n.owner(x.Key()), Key: x.Key().Fingerprint(), Raw: string(raw)}
		if verb, ok := x.Verb(); ok {
			out.Verb = string(verb)
		}
		return out
	}
	out := signatureOfEntry{By: "a node that is not known here", Raw: hex.EncodeToString(raw)}
	for name, identity := range n.nodes {
		if !s.IsZero() && signet.VerifyNode(identity, s, raw) == nil {
			out.By = "node of " + name
		}
	}
	return out
}

func (d entryFull) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("number", "%d", d.Number)
	row("time", "%s, by this node's clock", d.Time)
	row("kind", "%s", d.Kind)
	if d.Vault != "" {
		row("vault", "%s", d.Vault)
	}
	row("id", "%s", d.ID)
	if d.About != "" {
		row("about", "%s", d.About)
	}
	row("leaf", "%s", d.Leaf)
	for _, s := range d.Signatures {
		what := s.By
		if s.Key != "" && s.Key != s.By {
			what += ", key " + s.Key
		}
		if s.Verb != "" {
			what = s.Verb + " by " + what
		}
		row("signature", "%s", what)
	}
	_ = t.Flush()
	switch {
	case d.Statement != "":
		fmt.Fprintf(w, "\n%s", d.Statement)
	case d.Content != "":
		fmt.Fprintf(w, "\n%s\n", d.Text)
	default:
		fmt.Fprintln(w, "\nIt has no body.")
	}
}

func (a *app) logShowCommand() *cobra.Command {
	raw, folder := false, ""
	c := &cobra.Command{
		Use: "show N|ID", Short: "Show all of one entry: the leaf, what it stands for, and who signed it", Args: entryName,
		Long: "An entry goes by its number, or by the first 8 digits or more of its id. --raw writes the body's content alone, as it was signed:\n" +
			"`sha256sum` of it is the entry's id, but for kind `signed`, whose id is the chain's.\n" +
			"With --folder it is an entry of what an operator opened to you: no node is asked.",
		RunE: func(c *cobra.Command, args []string) error {
			if raw && a.json {
				return usage("--raw and --json exclude one another")
			}
			ctx, cancel := a.within(c.Context(), time.Minute)
			defer cancel()
			var e logEntry
			var n names32
			var err error
			if folder != "" {
				e, n, err = openedEntry(folder, args[0])
			} else {
				e, n, err = a.ownEntry(ctx, args[0])
			}
			if err != nil {
				return err
			}
			if raw {
				if len(e.Content) == 0 {
					return fail(codeError, errors.New("entry "+fmt.Sprint(e.index)+" has no body"), "`ostraka log show` without --raw shows the entry")
				}
				_, err := a.out.Write(e.Content)
				return err
			}
			d := e.full(n)
			return a.show(d, d.print)
		},
	}
	c.Flags().StringVar(&folder, "folder", "", "of this folder, into which log read decrypted what an operator opened, and of no node")
	c.Flags().BoolVar(&raw, "raw", false, "write the body's content alone")
	return c
}

// ownEntry is an entry of the node's log, with people's words for what it names.
func (a *app) ownEntry(ctx context.Context, which string) (e logEntry, n names32, err error) {
	own, head, err := a.ownLog(ctx)
	if err != nil {
		return e, n, err
	}
	if e, err = a.findEntry(ctx, own, head.Size, which); err != nil {
		return e, n, err
	}
	if n, err = a.vaultNames(ctx, own); err == nil {
		a.owners(ctx, &n)
	}
	return e, n, err
}
