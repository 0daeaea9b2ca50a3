package local

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

//go:embed charter.yaml
var charterFile string

// Policy is the rules of the circle's charter.
//
//go:embed policy.cedar
var Policy string

var charterTemplate = template.Must(template.New("charter").Funcs(template.FuncMap{
	"quote": strconv.Quote,
	"join":  func(names []string) string { return strings.Join(names, ", ") },
}).Parse(charterFile))

// CharterFolder holds the files of the charter that the circle was founded with.
func (c *Circle) CharterFolder() string { return filepath.Join(c.Dir, "charter") }

// person is somebody of the charter.
type person struct {
	Name, Organisation string
	Keys               []string // of the .pub file, a line each: who has a passkey or a wallet besides adds one
}

// named are the people who are no officers.
func (c *Circle) named() []string { return slices.Concat([]string{c.Initiator}, c.Approvers, c.Others) }

// people are the initiator, the approvers and the others, each of another operator as far as there are some, and every operator's officer.
func (c *Circle) people() (all []person, err error) {
	add := func(name, organisation, file string) {
		lines, readErr := os.ReadFile(file + ".pub")
		err = cmp.Or(err, readErr)
		all = append(all, person{name, organisation, strings.Split(strings.TrimSpace(string(lines)), "\n")})
	}
	for i, name := range c.named() {
		add(name, c.Operators[i%len(c.Operators)].Name, c.KeyFile(name))
	}
	for _, o := range c.Operators {
		add("officer-"+o.Name, o.Name, o.Officer)
	}
	return all, err
}

// WriteCharter writes charter.yaml and policy.cedar into the charter's folder, as people would.
func (c *Circle) WriteCharter() (file, policy []byte, err error) {
	people, err := c.people()
	if err != nil {
		return nil, nil, err
	}
	assets := c.Assets
	if strings.HasPrefix(c.Chain, "eip155:") {
		assets = append([]charter.Asset{{Name: "eth", Chain: c.Chain, Decimals: 18, Unit: 15}}, assets...)
	}
	var b strings.Builder
	err = charterTemplate.Execute(&b, map[string]any{
		"Operators": c.Operators, "Committee": c.Committee(), "People": people, "Initiator": c.Initiator, "Approvers": slices.Sorted(slices.Values(c.Approvers)), "Assets": assets,
		"Vault": VaultName, "Tier": cmp.Or(c.Tier, charter.TierWarm), "Suite": c.Suite, "Threshold": cmp.Or(c.Threshold, committee), "Quorum": c.Quorum, "Chain": c.Chain,
		"Countries": []string{"ch", "de", "sg", "se"},
	})
	if err != nil {
		return nil, nil, err
	}
	text := b.String()
	if c.Amend != nil {
		text = c.Amend(text)
	}
	if err := os.MkdirAll(c.CharterFolder(), 0o700); err != nil {
		return nil, nil, err
	}
	for name, text := range map[string]string{"charter.yaml": text, "policy.cedar": Policy + c.Rules} {
		if err := os.WriteFile(filepath.Join(c.CharterFolder(), name), []byte(text), 0o600); err != nil {
			return nil, nil, err
		}
	}
	return []byte(text), []byte(Policy + c.Rules), nil
}

// SignCharter lets every officer sign the charter, and waits until all nodes have it in force.
func (c *Circle) SignCharter(ctx context.Context) error {
	file, policy, err := c.WriteCharter()
	if err != nil {
		return err
	}
	for i, o := range c.Operators {
		err := poll(ctx, 50*time.Millisecond, func() (bool, error) {
			p, err := o.Client().PrepareCharter(ctx, connect.NewRequest(&v1.PrepareCharterRequest{File: file, Policy: policy}))
			if connect.CodeOf(err) == connect.CodeInvalidArgument || connect.CodeOf(err) == connect.CodeFailedPrecondition {
				return false, err
			}
			if err != nil || p.Msg.Fresh != (i == 0) {
				return false, nil //nolint:nilerr // the first officer's statement is still on its way
			}
			return true, c.accept(ctx, o, p.Msg.Statement, statement.Charter)
		})
		if err != nil {
			return fmt.Errorf("%s signs the charter: %w", o.Name, err)
		}
	}
	err = c.each(func(o *Operator) error {
		return poll(ctx, 50*time.Millisecond, func() (bool, error) {
			s, err := o.Client().Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
			return err == nil && len(s.Msg.Charter) > 0, nil
		})
	})
	if err != nil {
		return fmt.Errorf("wait for the charter: %w", err)
	}
	return nil
}

// IdentityText is the operator's node identity, as charters hold it.
func (o *Operator) IdentityText() string { return client.FormatIdentity(o.Identity) }
