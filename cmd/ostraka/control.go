package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/control"
	"github.com/ostraka/ostraka/custody/review"
	"github.com/ostraka/ostraka/evidence/places"
)

func (a *app) controlCommand() *cobra.Command {
	c := &cobra.Command{Use: "control", Short: "Show who and what reaches each vault, and how few could take, stop or lose it"}
	c.AddCommand(a.controlMapCommand(), a.controlNumberCommand(), a.controlWhatIfCommand(), a.controlEvidenceCommand(), a.controlSightingCommand())
	return c
}

// eachVault does something with every vault of a folder's charter, or with the one that is named.
func eachVault(args []string, name string, do func(charter.Document, charter.Blueprint) error) error {
	d, err := readCharter(charterFolder(args))
	if err != nil {
		return err
	}
	found := false
	for _, v := range d.Vaults {
		if name != "" && v.Name != name {
			continue
		}
		found = true
		if err := do(d, v); err != nil {
			return err
		}
	}
	if !found {
		var names []string
		for _, v := range d.Vaults {
			names = append(names, v.Name)
		}
		return usage("vault %q is not in the charter; it has: %s", name, strings.Join(names, ", "))
	}
	return nil
}

func evidenceFlag(c *cobra.Command) *shelf {
	var s shelf
	s.flags(c, "at")
	return &s
}

func vaultFlag(c *cobra.Command) *string {
	return c.Flags().String("vault", "", "only this vault (default: all)")
}

func (a *app) controlNumberCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "number [FOLDER]", Short: "How few of each kind could steal the key, halt signing, or lose the vault", Args: optionalFolder,
		Long: "The numbers as the charter declares them. With --evidence, beside the number of those who steal, what is left of it if only attested claims are\n" +
			"believed, and what is only declared lies with any of them, or together. Exit code 4: evidence does not hold, or says otherwise than the charter.",
	}
	vault, evidence := vaultFlag(c), evidenceFlag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		var all []measured
		docs := []vaultReviewed{}
		_, alarm, err := a.eachStructure(args, *vault, *evidence, func(s control.Structure) {
			one := measured{Vault: review.Vault{Name: s.Vault, Figures: s.Measure(), Spend: s.Spend(), SOS: s.SOS != nil}}
			doc := reviewed(one.Vault)
			if evidence.dir != "" {
				sure := s.Believed(control.Attested).Measure()
				one.sure = sure[:]
				for i, f := range one.sure {
					if f.Kind == control.Organisation {
						continue // who they are, their signatures under the roster say, and no evidence of a place
					}
					sure := coalitionOf(f.Steal)
					doc.Numbers[i].Attested = &sure
				}
			}
			all, docs = append(all, one), append(docs, doc)
		})
		if err != nil {
			return err
		}
		doc := struct {
			Vaults []vaultReviewed `json:"vaults"`
		}{docs}
		err = a.show(doc, func(w io.Writer) {
			for _, v := range all {
				printNumbers(w, v.Vault, v.sure)
			}
		})
		return cmp.Or(err, alarm)
	}
	return c
}

// measured are a vault's numbers, and those of what is attested, where evidence was read.
type measured struct {
	review.Vault
	sure []control.Figure // nil: no evidence was read
}

// eachStructure does something with what reaches each vault, and how that is known: by findings. alarm says what of the evidence does not hold: it raises
// nothing, and is to be told after all else.
func (a *app) eachStructure(args []string, vault string, evidence shelf, do func(control.Structure)) (known []places.Finding, alarm, err error) {
	read := false
	err = eachVault(args, vault, func(d charter.Document, v charter.Blueprint) (err error) {
		if !read {
			if known, alarm, err = a.weigh(evidence, d); err != nil {
				return err
			}
			read = true
		}
		s, err := control.Of(d, v)
		if err != nil {
			return err
		}
		places.Mark(&s, known)
		do(s)
		return nil
	})
	return known, alarm, err
}

type copyDocument struct {
	Vault    string              `json:"vault"`
	Operator string              `json:"operator"`
	Name     string              `json:"name"`
	Level    string              `json:"level"`
	Reach    map[string][]string `json:"reach"`
	Staff    []string            `json:"staff"`
	Evidence map[string]string   `json:"evidence"`
}

func (a *app) controlMapCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "map [FOLDER]", Short: "Who and what reaches each copy of each share", Args: optionalFolder,
		Long: "Every copy of every share, with the domains that reach it. Each claim is marked by its evidence: d, declared by the operator; a, attested by\nsomebody else (--evidence); p, proved. Exit code 4: evidence does not hold, or says otherwise than the charter.",
	}
	vault, evidence := vaultFlag(c), evidenceFlag(c)
	picture := c.Flags().Bool("picture", false, "draw it: ● a replica or a guardian's key, ○ a backup")
	svg := c.Flags().String("svg", "", "write the picture of one vault to this file, as SVG")
	c.RunE = func(_ *cobra.Command, args []string) error {
		docs := []copyDocument{}
		var shown []control.Structure
		known, alarm, err := a.eachStructure(args, *vault, *evidence, func(s control.Structure) {
			shown = append(shown, s)
			for _, share := range s.Shares {
				for _, c := range share.Copies {
					docs = append(docs, copyOf(s.Vault, share.Operator, c))
				}
			}
		})
		if err != nil {
			return err
		}
		if *svg != "" {
			if len(shown) != 1 {
				return usage("--svg draws one vault: give --vault")
			}
			if err := writeNew(*svg, string(shown[0].Draw().SVG())); err != nil {
				return err
			}
		}
		doc := struct {
			Copies []copyDocument `json:"copies"`
		}{docs}
		err = a.show(doc, func(w io.Writer) {
			if *svg != "" {
				fmt.Fprintf(w, "wrote %s\n", *svg)
			}
			for _, s := range shown {
				if *picture {
					fmt.Fprint(w, s.Draw().Text())
				} else {
					printMap(w, s)
				}
			}
			printBorne(w, known)
		})
		return cmp.Or(err, alarm)
	}
	return c
}

func copyOf(vault, operator string, c control.Copy) copyDocument {
	out := copyDocument{Vault: vault, Operator: operator, Name: c.Name, Level: c.Level.String(), Reach: map[string][]string{}, Evidence: map[string]string{}, Staff: append([]string{}, c.Staff...)}
	for k := range control.Kind(control.Kinds) {
		out.Reach[k.String()] = append([]string{}, c.Reach[k]...)
		if len(c.Reach[k]) > 0 {
			out.Evidence[k.String()] = c.Evidence[k].String()
		}
	}
	return out
}

func printMap(w io.Writer, s control.Structure) {
	fmt.Fprintf(w, "vault %s: %d of %d shares sign\n", s.Vault, s.Threshold, len(s.Shares))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "  copy\tlevel")
	for k := range control.Kind(control.Kinds) {
		fmt.Fprintf(t, "\t%v", k)
	}
	fmt.Fprintln(t)
	for _, share := range s.Shares {
		for _, c := range share.Copies {
			fmt.Fprintf(t, "  %s\t%v", c.Name, c.Level)
			for k, reach := range c.Reach {
				mark := ""
				if len(reach) > 0 {
					mark = " (" + c.Evidence[k].String()[:1] + ")"
				}
				fmt.Fprintf(t, "\t%s%s", strings.Join(reach, ","), mark)
			}
			fmt.Fprintln(t)
		}
	}
	t.Flush()
	if s.SOS != nil {
		fmt.Fprintf(w, "  in SOS: %d operators and %d of %d guardians, after its delay\n", s.SOS.Live, s.SOS.Quorum, len(s.Guardians))
	}
}

func (a *app) controlWhatIfCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "whatif [FOLDER] --lose KIND=NAME …", Short: "Say what is left of each vault if something is lost", Args: optionalFolder,
		Long: "KIND is organisation, person, account, provider, region, jurisdiction or hardware; accounts and regions stand after their provider and a slash.\n" +
			"SOS is what operators that are left and enough guardians can do, after a delay (`ostraka sos plan`).\n" +
			"Exit code 5: a vault cannot sign any more.",
		Example: "  ostraka control whatif --lose organisation=acme --lose region=aws/eu-central-1",
	}
	vault := vaultFlag(c)
	lose := c.Flags().StringArray("lose", nil, "what is lost, KIND=NAME; may be given again")
	c.RunE = func(_ *cobra.Command, args []string) error {
		lost, err := domainsOf(*lose)
		if err != nil {
			return err
		}
		docs := []outlookDocument{}
		var ends []string
		err = eachVault(args, *vault, func(d charter.Document, v charter.Blueprint) error {
			s, err := control.Of(d, v)
			if err != nil {
				return err
			}
			for _, l := range lost {
				if !s.Has(l) {
					fmt.Fprintf(a.err, "note: %v %s reaches nothing of vault %s\n", l.Kind, l.Name, v.Name)
				}
			}
			o := s.WhatIf(lost...)
			docs = append(docs, outlookOf(v.Name, o))
			if !o.CanSign {
				ends = append(ends, v.Name)
			}
			return nil
		})
		if err != nil {
			return err
		}
		doc := struct {
			Vaults []outlookDocument `json:"vaults"`
		}{docs}
		err = a.show(doc, func(w io.Writer) {
			for _, o := range docs {
				fmt.Fprintf(w, "vault %s: %s\n", o.Vault, o.Text)
			}
		})
		if err == nil && len(ends) > 0 {
			err = notReady("`ostraka control number` shows how few suffice for it", "without that these vaults do not sign: %s", strings.Join(ends, ", "))
		}
		return err
	}
	return c
}

func domainsOf(lose []string) (out []control.Domain, err error) {
	if len(lose) == 0 {
		return nil, usage("give --lose KIND=NAME, for instance --lose organisation=acme")
	}
	for _, text := range lose {
		kind, name, ok := strings.Cut(text, "=")
		k, known := control.KindOf(kind)
		if !ok || !known || name == "" {
			return nil, usage("--lose %q is not KIND=NAME with a kind of organisation, person, account, provider, region, jurisdiction or hardware", text)
		}
		if d := (control.Domain{Kind: k, Name: name}); !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out, nil
}

type outlookDocument struct {
	Vault     string   `json:"vault"`
	CanSign   bool     `json:"can_sign"`
	CanSOS    bool     `json:"can_sos"`
	Lost      bool     `json:"lost"`
	Signs     []string `json:"signs"`
	Restores  []string `json:"restores"`
	Gone      []string `json:"gone"`
	Guardians []string `json:"guardians"`
	Text      string   `json:"text"`
}

func outlookOf(vault string, o control.Outlook) outlookDocument {
	list := func(names []string) []string { return append([]string{}, names...) }
	out := outlookDocument{vault, o.CanSign, o.CanSOS, o.Lost, list(o.Signs), list(o.Restores), list(o.Gone), list(o.Guardians), ""}
	switch {
	case o.CanSign:
		out.Text = "signs on"
	case o.Lost:
		out.Text = "is lost: no operators, backups and guardians that are left bring its key back"
	case o.CanSOS:
		out.Text = "does not sign; SOS brings it back, after its delay"
	default:
		out.Text = "does not sign until backups are restored"
	}
	out.Text += fmt.Sprintf(" (signing: %s; only in backups: %s; gone: %s; guardians left: %d)", orNone(o.Signs), orNone(o.Restores), orNone(o.Gone), len(o.Guardians))
	return out
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
