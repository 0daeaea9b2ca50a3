package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/places"
)

// sightingFlags are what a sighter says.
type sightingFlags struct {
	charter, operator, place string
	sighter, entity, saw     string
	seen, documents          []string
	days                     int
	out                      string
}

func (a *app) controlSightingCommand() *cobra.Command {
	var f sightingFlags
	c := &cobra.Command{
		Use: "sighting", Short: "Sign, as somebody independent, what you saw of where an operator's node runs", Args: cobra.NoArgs,
		Long: "For an auditor, or anybody whom the circle's people trust and who is neither of the operator nor has access to the place. Say each thing that you saw\n" +
			"yourself, with --seen: as the charter says it (--seen account), or as it is (--seen account=1234). What you did not see, leave out.\n" +
			"FIELD is provider, account, region, jurisdiction, hardware or access. Whoever trusts you counts it as attested: `ostraka verify --evidence`, `ostraka control map --evidence`.",
		Example: "  ostraka control sighting --charter our --operator acme --place main --sighter audra --entity 'Auditors LLP' --seen provider --seen account --seen access --saw 'the console of the account, with its owner' --key audra.key --out audra.sighting",
	}
	fl := c.Flags()
	fl.StringVar(&f.charter, "charter", ".", "folder of the charter")
	fl.StringVar(&f.operator, "operator", "", "whose node it is")
	fl.StringVar(&f.place, "place", "", "place of the operator in the charter (default: its only replica)")
	fl.StringVar(&f.sighter, "sighter", "", "your name, as those who trust you list it")
	fl.StringVar(&f.entity, "entity", "", "legal entity that you speak for")
	fl.StringArrayVar(&f.seen, "seen", nil, "FIELD, as the charter says it, or FIELD=VALUE; may be given again")
	fl.StringVar(&f.saw, "saw", "", "what you looked at, and how, in your words")
	fl.StringArrayVar(&f.documents, "document", nil, "file that you looked at: its SHA-256 is signed; may be given again")
	fl.IntVar(&f.days, "days", 365, "how long it counts; at most 400")
	fl.StringVar(&f.out, "out", "", "write it to this file (default: to stdout)")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := a.within(cmd.Context(), time.Minute)
		defer cancel()
		return a.sighting(ctx, f)
	}
	return c
}

func (a *app) sighting(ctx context.Context, f sightingFlags) error {
	for _, x := range []struct{ flag, value string }{{"operator", f.operator}, {"sighter", f.sighter}, {"entity", f.entity}, {"saw", f.saw}} {
		if x.value == "" {
			return usage("say it: --%s", x.flag)
		}
	}
	about, place, err := subjectOf(evidenceFlags{charter: f.charter, operator: f.operator, place: f.place})
	if err != nil {
		return err
	}
	x := charter.Sighting{
		Witness: f.sighter, Entity: f.entity, Operator: about.Operator, Identity: about.Node, Place: charter.Place{Name: about.Place}, Saw: f.saw,
		Created: client.Now(), Expires: client.Now().Add(time.Duration(f.days) * 24 * time.Hour),
	}
	if err := look(&x.Place, place, f.seen); err != nil {
		return err
	}
	for _, name := range f.documents {
		b, err := readBounded(name, 64<<20)
		if err != nil {
			return err
		}
		x.Documents = append(x.Documents, sha256.Sum256(b))
	}
	s, err := x.Statement(client.NewSalt())
	if err != nil {
		return usage("%v", err)
	}
	fmt.Fprintf(a.err, "%s\n", s.Text())
	key, err := a.signer(ctx)
	if err != nil {
		return err
	}
	d, err := readCharter(f.charter)
	if err != nil {
		return err
	}
	if err := x.Independent(d, key.Key()); err != nil {
		return refused("have somebody sign who is neither the operator's nor has access to the place", "nobody would count it: %w", err)
	}
	armored, err := key.Sign(ctx, signet.Makes(statement.Sighting), s.Bytes())
	if err != nil {
		return err
	}
	return a.writeSighting(f.out, s, armored)
}

func (a *app) writeSighting(path string, s statement.Statement, armored []byte) error {
	text := s.Text() + string(armored)
	if path != "" {
		if err := writeNew(path, text); err != nil {
			return err
		}
	}
	doc := struct {
		ID        string `json:"id"`
		File      string `json:"file,omitempty"`
		Statement string `json:"statement"`
		Signature string `json:"signature"`
	}{s.ID().String(), path, s.Text(), string(armored)}
	return a.show(doc, func(w io.Writer) {
		if path == "" {
			fmt.Fprint(w, text)
			return
		}
		fmt.Fprintf(w, "wrote %s. Whoever lists you as a sighter puts it under DIR/%s/%s/ and runs `ostraka verify URL --evidence DIR --sighters FILE`.\n", path, s.Get("operator"), s.Get("place"))
	})
}

// look puts what was seen into a place: as the charter says it, or as it is.
func look(saw *charter.Place, says charter.Place, seen []string) error {
	for _, one := range seen {
		name, value, given := strings.Cut(one, "=")
		if name == places.Access {
			saw.Access = says.Access
			if given {
				saw.Access = strings.Split(value, ",")
				slices.Sort(saw.Access)
			}
			continue
		}
		field, said := places.At(saw, name), places.At(&says, name)
		switch {
		case field == nil:
			return usage("--seen %s: the fields are provider, account, region, jurisdiction, hardware, access", one)
		case !given && *said == "":
			return usage("--seen %s: the charter says nothing of it; say what you saw: --seen %s=VALUE", one, name)
		case given:
			*field = value
		default:
			*field = *said
		}
	}
	return nil
}
