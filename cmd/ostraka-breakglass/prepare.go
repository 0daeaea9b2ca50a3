package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/breakglass"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
	node "github.com/ostraka/ostraka/node/backup"
)

// preparing are the flags of prepare.
type preparing struct {
	charter, vault, holder, reason, out string
	facts, exports, suites, recipients  []string
	classical, unencrypted              bool
}

func (a *app) prepareCommand() *cobra.Command {
	var x preparing
	c := &cobra.Command{
		Use: "prepare", Short: "Write the statement that the witnesses sign; nothing is opened", Args: cobra.NoArgs,
		Long: "The statement names the vault, its keys and the epoch in which they are rebuilt, who will hold them, why, and to whom the file with them is encrypted. Keys and epoch are read from\n" +
			"the file of public facts (`ostraka backup facts`), or from the front of an export, which needs no key. It serves for 7 days.",
		Example: "  ostraka-breakglass prepare --charter charter --vault treasury --facts treasury.facts --holder \"Acme Ltd\" --reason \"no node starts\" --recipient age1pq1… --out breakglass.txt",
		RunE:    func(*cobra.Command, []string) error { return a.prepare(x) },
	}
	f := c.Flags()
	f.StringVar(&x.charter, "charter", "", "folder with the charter in force: charter.yaml and policy.cedar (required)")
	f.StringVar(&x.vault, "vault", "", "the vault whose custody ends (required)")
	f.StringArrayVar(&x.facts, "facts", nil, "file of public facts of the vault (may be repeated)")
	f.StringArrayVar(&x.exports, "export", nil, "export of an operator, of which the front alone is read (may be repeated)")
	f.StringArrayVar(&x.suites, "suite", nil, "rebuild the key of this suite alone (may be repeated; default: all that the files name)")
	f.StringVar(&x.holder, "holder", "", "the one person or firm that will have the keys (required)")
	f.StringVar(&x.reason, "reason", "", "why no node can do it (required)")
	f.StringArrayVar(&x.recipients, "recipient", nil, "age recipient of the file with the keys, age1pq1… (may be repeated)")
	f.BoolVar(&x.classical, "classical", false, "take recipients that a quantum computer could open, too")
	f.BoolVar(&x.unencrypted, "unencrypted", false, "have the keys written in plain, to a file of mode 0600: whoever reads the disk has the money")
	f.StringVar(&x.out, "out", "breakglass.txt", "file for the statement")
	return c
}

func (a *app) prepare(x preparing) error {
	switch {
	case x.vault == "" || x.holder == "" || x.reason == "":
		return usage("give --vault, --holder and --reason: witnesses sign them")
	case x.unencrypted != (len(x.recipients) == 0):
		return usage("give --recipient, or --unencrypted if the keys must lie in plain; not both")
	case len(x.facts)+len(x.exports) == 0:
		return usage("give --facts or --export: they say which keys the vault has, and in which epoch")
	}
	a.loud(x.vault)
	if len(x.recipients) > 0 {
		if _, err := recipients(x.recipients, x.classical); err != nil {
			return err
		}
	}
	d, err := readCharter(x.charter)
	if err != nil {
		return err
	}
	targets, err := targetsOf(d, x)
	if err != nil {
		return err
	}
	var salt statement.Salt
	if _, err := io.ReadFull(rand.Reader, salt[:]); err != nil {
		return fmt.Errorf("read entropy: %w", err)
	}
	now := a.now().UTC().Truncate(time.Second)
	r := breakglass.Request{
		Circle: d.Circle, Charter: breakglass.CharterDigest(d), Vault: x.vault, Targets: targets, Holder: x.holder, Reason: x.reason, Plain: x.unencrypted, Recipients: x.recipients, Created: now,
	}
	if err := r.Under(d, now); err != nil {
		return refused("name a vault of the charter, and files of its keys", "%w", err)
	}
	s, err := r.Statement(salt)
	if err != nil {
		return usage("%w", err)
	}
	if err := create(x.out, s.Bytes()); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s\n%s holds this statement (%s). Nothing was opened.\n\nNext, within 7 days:\n  1. At least %d persons of the charter, of at least %d organisations, read it and sign it:\n       ssh-keygen -Y sign -f THEIR_KEY -n %s %s\n"+
		"     The signature is in %s.sig: have each give it another name.\n  2. Tell every operator and guardian what is about to happen.\n  3. ostraka-breakglass open %s --charter %s --signature … --signature … (see --help)\n",
		plainText(s.Text()), x.out, s.ID().Short(), breakglass.LeastWitnesses, breakglass.LeastOrganisations, breakglass.Namespace(), x.out, x.out, x.out, x.charter)
	return nil
}

// plainText takes out of a statement's text whatever cannot be seen but line ends.
func plainText(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(oneLine(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}

// targetsOf are the vault's keys that the files name. Files of two epochs contradict one another: who prepares says which is meant, by leaving one out.
func targetsOf(d charter.Document, x preparing) ([]breakglass.Target, error) {
	from := map[string]string{}
	var all []breakglass.Target
	add := func(path string, t breakglass.Target) error {
		if len(x.suites) > 0 && !slices.Contains(x.suites, t.Suite) {
			return nil
		}
		i := slices.IndexFunc(all, func(o breakglass.Target) bool { return o.Suite == t.Suite })
		switch {
		case i < 0:
			all, from[t.Suite] = append(all, t), path
		case all[i] != t:
			return refused("pieces of two epochs give nothing together: name the files of one epoch", "%s is of epoch %d of key %x, and %s of epoch %d of key %x", path, t.Number, t.KeyID[:6], from[t.Suite], all[i].Number, all[i].KeyID[:6])
		}
		return nil
	}
	for _, path := range x.facts {
		f, err := readFacts(path, d, x.vault)
		if err != nil {
			return nil, err
		}
		for _, k := range f.Keys {
			key, err := breakglass.OpenKey(d, k.Cert, k.Plan, k.Set)
			if err != nil {
				return nil, unverified("take another copy of the file", "%s: %w", path, err)
			}
			if err := add(path, breakglass.Target{Suite: key.Record.Suite, KeyID: key.Record.KeyID, Number: key.Record.Epoch, Epoch: key.Record.Hash()}); err != nil {
				return nil, err
			}
		}
	}
	for _, path := range x.exports {
		h, err := look(path)
		if err != nil {
			return nil, err
		}
		for _, k := range h.Keys {
			if k.Name != x.vault {
				continue
			}
			if err := add(path, breakglass.Target{Suite: k.Suite, KeyID: k.KeyID, Number: k.Epoch, Epoch: epoch.Hash(k.Record)}); err != nil {
				return nil, err
			}
		}
	}
	if len(all) == 0 {
		return nil, refused("name files of this vault's keys", "none of the files has a key of vault %s", x.vault)
	}
	slices.SortFunc(all, func(p, q breakglass.Target) int { return strings.Compare(p.Suite, q.Suite) })
	return all, nil
}

// look reads an export's front, unopened.
func look(path string) (backup.Header, error) {
	f, err := os.Open(path)
	if err != nil {
		return backup.Header{}, err
	}
	defer f.Close()
	_, h, err := node.Look(f)
	if err != nil {
		return h, unverified("take another copy of it", "%s: %w", path, err)
	}
	return h, nil
}

func readFacts(path string, d charter.Document, vault string) (f backup.Facts, err error) {
	b, err := readBounded(path, backup.MaxFacts)
	if err != nil {
		return f, err
	}
	if f, err = backup.DecodeFacts(b); err == nil && (f.Circle != d.Circle || f.Name != vault) {
		err = fmt.Errorf("it is of vault %s of circle %q", f.Name, f.Circle)
	}
	if err != nil {
		return f, unverified("take the file of this vault, or another copy of it", "%s: %w", path, err)
	}
	return f, nil
}

var errNoPieces = errors.New("no pieces were given")
