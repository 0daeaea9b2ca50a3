package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/policy"
)

func (a *app) policyCommand() *cobra.Command {
	c := &cobra.Command{Use: "policy", Short: "Try a charter's policy, and explain what it decided"}
	c.AddCommand(a.policyTestCommand(), a.policySchemaCommand(), a.policyExplainCommand(), a.policyReplayCommand())
	return c
}

type caseDocument struct {
	Name    string         `json:"name"`
	Passed  bool           `json:"passed"`
	Verdict string         `json:"verdict"`
	Rule    string         `json:"rule"`
	Reason  string         `json:"reason,omitempty"`
	Missing []needDocument `json:"missing,omitempty"`
	Quorum  int            `json:"quorum_missing"` // approvals; rules do not count them
	Why     string         `json:"why,omitempty"`
}

type needDocument struct {
	Of    string `json:"of"`
	Count int    `json:"count"`
}

func (a *app) policyTestCommand() *cobra.Command {
	file := ""
	c := &cobra.Command{
		Use: "test [FOLDER] -f CASES", Short: "Run cases against the policy of a charter", Args: optionalFolder,
		Long: "CASES is a file of transactions and of what the policy should say to each; docs/policy.md lists all fields. No node is asked, so it runs in\n" +
			"your own continuous integration. The vault's quorum counts beside the policy: what it lacks is shown, and fails no case.\n" +
			"Exit code 1: a case names what is not in the charter. 4: the policy says something else than a case expects.",
		Example: caseExample,
		RunE: func(_ *cobra.Command, args []string) error {
			if file == "" {
				return usage("give the file of cases with -f CASES")
			}
			d, err := readCharter(charterFolder(args))
			if err != nil {
				return err
			}
			p, err := readPolicy(charterFolder(args), d)
			if err != nil {
				return err
			}
			cases, err := readCases(file)
			if err != nil {
				return err
			}
			docs, failed, err := runCases(p, d, cases)
			if err != nil {
				return fail(codeError, fmt.Errorf("%s: %w", file, err), "mend the cases; names are those of the charter, and docs/policy.md lists the operations")
			}
			doc := struct {
				Cases  []caseDocument `json:"cases"`
				Failed int            `json:"failed"`
			}{docs, failed}
			err = a.show(doc, func(w io.Writer) { printCaseDocuments(w, docs) })
			if err == nil && failed > 0 {
				err = unverified("change the policy, or the cases", "%d of %d cases fail", failed, len(cases))
			}
			return err
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "file of cases")
	return c
}

func readCases(file string) ([]policy.Case, error) {
	text, err := readBounded(file, policy.MaxCases)
	if err == nil {
		var cases []policy.Case
		if cases, err = policy.ReadCases(text); err == nil {
			return cases, nil
		}
		err = fmt.Errorf("%s: %w", file, err)
	}
	return nil, fail(codeError, err, "`ostraka policy test --help` and docs/policy.md show a file of cases to start from")
}

// runCases asks the rules about every case. The error names all cases that cannot be asked about.
func runCases(p *policy.Policy, d charter.Document, cases []policy.Case) (docs []caseDocument, failed int, err error) {
	var wrong []error
	for _, c := range cases {
		r, why, err := p.Run(d, c)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if why != "" {
			failed++
		}
		one := caseOf(c, r, why)
		one.Quorum = c.QuorumLacks(d)
		docs = append(docs, one)
	}
	return docs, failed, errors.Join(wrong...)
}

const caseExample = `  # cases.yaml
  cases:
    - name: salaries
      vault: treasury
      initiator: alice
      approvals: [bob, carol]
      at: "2026-11-27T10:00:00Z"
      effects:
        - { operation: token, asset: usdc, to: salaries, amount: 12000, spent-week: 5000 }
        - { operation: fee, asset: eth, amount: 3 }
      expect: allow             # allow, wait or deny
      rule: payroll             # that decides; may be left out

  ostraka policy test -f cases.yaml`

func caseOf(c policy.Case, r policy.Ruling, why string) caseDocument {
	out := caseDocument{Name: c.Name, Passed: why == "", Verdict: string(r.Verdict), Rule: r.Rule, Reason: r.Reason, Why: why}
	for _, n := range r.Missing {
		out.Missing = append(out.Missing, needDocument{n.Of, n.Count})
	}
	return out
}

func printCaseDocuments(w io.Writer, docs []caseDocument) {
	for _, c := range docs {
		word := "ok  "
		if !c.Passed {
			word = "FAIL"
		}
		fmt.Fprintf(w, "%s  %s: %s by %s\n", word, c.Name, c.Verdict, c.Rule)
		if !c.Passed {
			fmt.Fprintf(w, "      %s\n", c.Why)
		}
		for _, n := range c.Missing {
			fmt.Fprintf(w, "      missing: %d of %s\n", n.Count, n.Of)
		}
		if c.Quorum > 0 && c.Verdict != string(policy.Deny) {
			fmt.Fprintf(w, "      beside the policy: the vault's quorum needs %d more to approve\n", c.Quorum)
		}
	}
}

func (a *app) policySchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema [FOLDER]", Short: "Print the Cedar schema of a charter's policy, for Cedar's own tools", Args: optionalFolder,
		RunE: func(_ *cobra.Command, args []string) error {
			d, err := readCharter(charterFolder(args))
			if err != nil {
				return err
			}
			text := policy.VocabularyOf(d).Schema()
			doc := struct {
				Schema string `json:"schema"`
			}{text}
			return a.show(doc, func(w io.Writer) { fmt.Fprint(w, text) })
		},
	}
}
