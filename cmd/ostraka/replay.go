package main

import (
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/review"
	"github.com/ostraka/ostraka/custody/statement"
)

type replayDocument struct {
	Intents []replayedDocument `json:"intents"`
	Changed int                `json:"changed"`
	Sums    []sumDocument      `json:"sums"`
	Failed  []failureDocument  `json:"failed"`
}

type replayedDocument struct {
	ID      string `json:"id"`
	At      string `json:"at"` // when operators decided on it
	Vault   string `json:"vault"`
	Was     string `json:"was"`   // signed, denied, unsigned or other
	Why     string `json:"why"`   // of other
	Asked   bool   `json:"asked"` // the rules speak of what decided
	Verdict string `json:"verdict"`
	Rule    string `json:"rule"`
	Reason  string `json:"reason"`
	Would   string `json:"would"` // denied, wait or allowed, where that is a change; else empty
}

type sumDocument struct {
	Asset string `json:"asset"`
	Name  string `json:"name"` // in the charter tried; empty: it has none
	Was   string `json:"was"`  // in people's units; of an asset without a name in its smallest
	Would string `json:"would"`
}

// span is a time from and a time before which.
type span struct{ from, to, end string }

// flags are --from and --to; --until is taken too, as where --to means something else.
func (s *span) flags(c *cobra.Command) {
	s.ends(c, "to")
	c.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "until" {
			name = "to"
		}
		return pflag.NormalizedName(name)
	})
}

// ends are the flags, the second by a name.
func (s *span) ends(c *cobra.Command, end string) {
	s.end = end
	c.Flags().StringVar(&s.from, "from", "", "begin then: 2026-11-01, or 2026-11-01T10:00:00Z (UTC)")
	c.Flags().StringVar(&s.to, end, "", "end then, a day to its end: 2026-11-30, or 2026-11-30T10:00:00Z")
}

// times are the span's ends; zero: none. The end itself is not part of it.
func (s span) times() (from, to time.Time, err error) {
	if from, err = readTime("from", s.from, 0); err != nil {
		return from, to, err
	}
	if to, err = readTime(s.end, s.to, 24*time.Hour); err != nil {
		return from, to, err
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, usage("--from %s is not before --%s %s", s.from, s.end, s.to)
	}
	return from, to, nil
}

func readTime(flag, text string, day time.Duration) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t.Add(day), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usage("--%s %q: want a day such as 2026-11-30, or a time such as 2026-11-30T10:00:00Z", flag, text)
	}
	return t, nil
}

func within(t, from, to time.Time) bool {
	return (from.IsZero() || !t.Before(from)) && (to.IsZero() || t.Before(to))
}

func (a *app) policyReplayCommand() *cobra.Command {
	var s span
	var vault string
	c := &cobra.Command{
		Use: "replay [FOLDER]", Short: "Run a charter's rules over the intents of the past, and show what would have changed", Args: optionalFolder,
		Long: "FOLDER holds a charter that is not in force, as for `charter sign`. Each intent that the nodes show you is verified as `tx list` does, and asked\n" +
			"about at the time when operators decided on it, in that order, with the approvals that it had. What a vault gave out is counted from this\n" +
			"history alone, as the new rules would have had it: what they allow counts, what they deny does not. What ended by other than the policy (the\n" +
			"chain, a rejection, its initiator) is listed and not asked about. Keys that were revoked since count. The exit code is 0 whatever would have changed.",
		Example: "  ostraka policy replay our-next --from 2026-10-01 --to 2026-10-31",
		RunE: func(cmd *cobra.Command, args []string) error {
			from, to, err := s.times()
			if err != nil {
				return err
			}
			d, err := readCharter(charterFolder(args))
			if err != nil {
				return err
			}
			if _, err := readPolicy(charterFolder(args), d); err != nil {
				return err
			}
			ctx, end := a.within(cmd.Context(), time.Minute)
			defer end()
			c, err := a.circle(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			all, failed, err := historyOf(ctx, c, vault)
			if err != nil {
				return err
			}
			a.down(failed)
			doc, err := replayOf(d, all, from, to)
			if err != nil {
				return err
			}
			doc.Failed = failuresOf(failed)
			return a.show(doc, func(w io.Writer) { printReplay(w, doc) })
		},
	}
	s.flags(c)
	c.Flags().StringVar(&vault, "vault", "", "only intents of this vault, by name or id")
	return c
}

// replayOf tries a charter over all that came before the end, and keeps what lies in the span: what was given out before it counts.
func replayOf(d charter.Document, all []*client.Case, from, to time.Time) (doc replayDocument, err error) {
	var past []review.Past
	now := client.Now()
	for _, one := range all {
		if p := one.Past(now); within(p.At, time.Time{}, to) {
			past = append(past, p)
		}
	}
	outcomes, err := review.Replay(d, past)
	if err != nil {
		return doc, err
	}
	outcomes = slices.DeleteFunc(outcomes, func(o review.Outcome) bool { return !within(o.At, from, to) })
	doc.Intents, doc.Sums = []replayedDocument{}, []sumDocument{}
	for _, o := range outcomes {
		if o.Would != "" {
			doc.Changed++
		}
		doc.Intents = append(doc.Intents, replayedDocument{
			o.ID.String(), statement.FormatTime(o.At), o.Vault, string(o.Was), o.Why, o.Asked, string(o.Verdict), o.Rule, o.Reason, o.Would,
		})
	}
	for _, x := range review.SumsOf(outcomes) {
		one := sumDocument{assetName(x.Chain, x.Contract), "", x.Was.String(), x.Would.String()}
		if asset, ok := d.AssetOn(x.Chain, x.Contract, policy.SameAddressOn(x.Chain)); ok {
			units := func(n *big.Int) string { return evm.FormatUnits(n, uint8(asset.Decimals)) }
			one.Name, one.Was, one.Would = asset.Name, units(x.Was), units(x.Would)
		}
		doc.Sums = append(doc.Sums, one)
	}
	return doc, nil
}

// assetName is an asset of an EVM chain as CAIP-19 has it.
func assetName(chain, contract string) string {
	if contract == "" {
		return chain + "/slip44:60"
	}
	return chain + "/erc20:" + strings.ToLower(contract)
}

// assetOf finds a charter's asset by its CAIP-19 name.
func assetOf(d charter.Document, caip19 string) (charter.Asset, bool) {
	on, rest, _ := strings.Cut(caip19, "/")
	contract, _ := strings.CutPrefix(rest, "erc20:")
	if contract == rest {
		contract = ""
	}
	return d.AssetOn(on, contract, func(a, b string) bool { return policy.SameAddress(on, a, b) })
}

func printReplay(w io.Writer, d replayDocument) {
	if len(d.Intents) == 0 {
		fmt.Fprintln(w, "You see no intent of that time.")
		return
	}
	for _, x := range d.Intents {
		said := "the same"
		switch {
		case x.Was == string(review.Otherwise):
			said = "not asked: " + x.Why
		case !x.Asked:
			said = "not asked: it cannot be decoded"
		case x.Would == "wait":
			said = "WOULD WAIT by " + x.Rule
		case x.Would != "":
			said = "WOULD BE " + strings.ToUpper(x.Would) + " by " + x.Rule
		}
		if x.Would != "" && x.Reason != "" {
			said += ": " + x.Reason
		}
		fmt.Fprintf(w, "%s  %.8s  %-12s %-9s %s\n", x.At, x.ID, x.Vault, x.Was, said)
	}
	fmt.Fprintf(w, "%d of %d would have changed.\n", d.Changed, len(d.Intents))
	for _, s := range d.Sums {
		name := s.Name
		if name == "" {
			name = "of the smallest unit of " + s.Asset + ", which this charter does not list"
		}
		fmt.Fprintf(w, "  went out, without fees: %s %s; would have: %s\n", s.Was, name, s.Would)
	}
}
