package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/statement"
)

func (a *app) accountCommand() *cobra.Command {
	c := &cobra.Command{Use: "account", Short: "Accounts of a vault's departments"}
	c.AddCommand(a.accountCreateCommand(), a.accountListCommand(), a.accountBalancesCommand(), a.accountExportCommand())
	return c
}

func (a *app) addressCommand() *cobra.Command {
	c := &cobra.Command{Use: "address", Short: "Addresses of an account"}
	c.AddCommand(a.addressNewCommand(), a.addressListCommand(), a.addressProveCommand(), a.addressVerifyCommand())
	return c
}

type accountDocument struct {
	Vault     string         `json:"vault"`
	Account   string         `json:"account"` // department/name
	Path      string         `json:"path"`
	ID        string         `json:"id"`
	Addresses map[string]int `json:"addresses"` // by suite
}

func accountOf(v client.Vault, x client.Account) accountDocument {
	d := accountDocument{v.Name, x.Department + "/" + x.Name, statement.FormatPath(x.Path[:]...), x.ID.String(), map[string]int{}}
	for _, suite := range v.Suites {
		d.Addresses[suite] = x.Given(suite)
	}
	return d
}

// inVault does something with one vault of the circle.
func (a *app) inVault(ctx context.Context, name string, do func(context.Context, *client.Circle, client.Vault) error) error {
	c, err := a.circle(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	v, failed, err := c.Vault(ctx, name)
	if err != nil {
		return err
	}
	a.down(failed)
	return do(ctx, c, v)
}

func (a *app) accountListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list VAULT", Short: "List a vault's accounts", Args: exactly("VAULT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), 30*time.Second)
			defer cancel()
			return a.inVault(ctx, args[0], func(ctx context.Context, c *client.Circle, v client.Vault) error {
				all, failed, err := c.Accounts(ctx, v)
				if err != nil {
					return err
				}
				doc := struct {
					Accounts []accountDocument `json:"accounts"`
					Failed   []failureDocument `json:"failed"`
				}{[]accountDocument{}, failuresOf(failed)}
				for _, x := range all {
					doc.Accounts = append(doc.Accounts, accountOf(v, x))
				}
				return a.show(doc, func(w io.Writer) {
					if len(all) == 0 {
						fmt.Fprintf(w, "Vault %s has no account yet.\nNext: `ostraka account create --vault %s DEPARTMENT/ACCOUNT`.\n", v.Name, v.Name)
					}
					for _, x := range doc.Accounts {
						fmt.Fprintf(w, "%-24s %-10s %s\n", x.Account, x.Path, plural(total(x.Addresses), "address", "addresses"))
					}
				})
			})
		},
	}
}

func (a *app) accountCreateCommand() *cobra.Command {
	var vault string
	c := &cobra.Command{
		Use: "create --vault VAULT DEPARTMENT/ACCOUNT", Short: "Make an account, as an initiator of the vault", Args: exactly("DEPARTMENT/ACCOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			department, name, ok := strings.Cut(args[0], "/")
			if !ok || statement.CheckLabel(department) != nil || statement.CheckLabel(name) != nil {
				return usage("account %q: want DEPARTMENT/ACCOUNT, each of a-z, 0-9, -, _ and .", args[0])
			}
			if vault == "" {
				return usage("give the vault with --vault")
			}
			ctx, cancel := a.within(cmd.Context(), 30*time.Second)
			defer cancel()
			return a.inVault(ctx, vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
				return a.createAccount(ctx, c, v, department, name)
			})
		},
	}
	c.Flags().StringVar(&vault, "vault", "", "vault, by name or id (required)")
	return c
}

func (a *app) createAccount(ctx context.Context, c *client.Circle, v client.Vault, department, name string) error {
	x, taken, err := client.CreateAccount(ctx, c, v, department, name)
	if errors.Is(err, client.ErrExists) {
		return refused(fmt.Sprintf("`ostraka account list %s` shows the accounts; `ostraka address new %s %s/%s` gives out an address of this one", v.Name, v.Name, department, name), "%w", err)
	}
	if err != nil {
		return err
	}
	a.down(taken.Failures())
	d := accountOf(v, x)
	return a.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "Account %s of vault %s at %s.\n\nNext: `ostraka address new %s %s%s`.\n", d.Account, d.Vault, d.Path, d.Vault, d.Account, suiteHint(v))
	})
}

// suiteHint is what `address new` must be told besides, of a vault with several keys.
func suiteHint(v client.Vault) string {
	if len(v.Suites) < 2 {
		return ""
	}
	return " --suite " + strings.Join(v.Suites, "|")
}

func total(m map[string]int) (n int) {
	for _, k := range m {
		n += k
	}
	return n
}

type addressDocument struct {
	Vault     string   `json:"vault"`
	Account   string   `json:"account"`
	Path      string   `json:"path"`
	Suite     string   `json:"suite"`
	Chain     string   `json:"chain"`
	Address   string   `json:"address"`
	PublicKey string   `json:"public_key"`
	Nodes     []string `json:"nodes"`
	Forms     []form   `json:"forms"` // the same key's address on each chain that the vault signs for with it, first the one above
}

// A form is an address as one chain writes it: the key of an Ethereum address has another address on Bitcoin.
type form struct {
	Chain   string `json:"chain"`
	Address string `json:"address"`
}

func addressOf(v client.Vault, x client.Account, d client.Address) (addressDocument, error) {
	out := addressDocument{v.Name, x.Department + "/" + x.Name, d.Path.String(), d.Suite, d.Chain, d.Address, fmt.Sprintf("%x", d.PublicKey), d.Nodes, []form{{d.Chain, d.Address}}}
	root, err := v.Root(d.Suite)
	if err != nil {
		return out, err
	}
	for _, on := range v.Chains {
		if on == d.Chain || !chain.Serves(d.Suite, on) {
			continue
		}
		address, _, err := v.Address(root, on, d.Path)
		if err != nil {
			return out, err
		}
		out.Forms = append(out.Forms, form{on, address})
	}
	return out, nil
}

func (a *app) inAccount(ctx context.Context, args []string, do func(context.Context, *client.Circle, client.Vault, client.Account) error) error {
	return a.inVault(ctx, args[0], func(ctx context.Context, c *client.Circle, v client.Vault) error {
		all, _, err := c.Accounts(ctx, v)
		if err != nil {
			return err
		}
		x, err := client.FindAccount(all, args[1])
		if err != nil {
			return fail(codeError, err, fmt.Sprintf("`ostraka account list %s` shows the accounts; `ostraka account create --vault %s %s` makes this one", v.Name, v.Name, args[1]))
		}
		return do(ctx, c, v, x)
	})
}

func suiteFlag(c *cobra.Command) *string {
	return c.Flags().String("suite", "", "root key that the address is below: ecdsa-secp256k1 (Ethereum and others like it, Bitcoin's bc1q…), bip340-secp256k1 (Bitcoin's bc1p…) or ed25519 (Solana) (default: the vault's only one)")
}

// rootFor finds the root that --suite names.
func rootFor(v client.Vault, suite string) (client.Root, error) {
	r, err := v.Root(suite)
	switch {
	case err != nil && suite == "" && len(v.Suites) > 1:
		return r, usage("%w: give --suite", err)
	case err != nil:
		return r, usage("%w", err)
	}
	return r, nil
}

// rootsFor are the root that --suite names, or all of the vault's.
func rootsFor(v client.Vault, suite string) (out []client.Root, err error) {
	if suite != "" || len(v.Suites) < 2 {
		r, err := rootFor(v, suite)
		return []client.Root{r}, err
	}
	for _, s := range v.Suites {
		r, err := rootFor(v, s)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func (a *app) addressNewCommand() *cobra.Command {
	var suite *string
	c := &cobra.Command{
		Use: "new VAULT DEPARTMENT/ACCOUNT", Short: "Give out the account's next address", Args: exactly("VAULT", "DEPARTMENT/ACCOUNT"),
		Long: "Asks every node for the account's next address, derives it here too, and compares. Nodes give out an address\n" +
			"only when every share of the vault's key has proved itself within a day; otherwise the shares prove themselves first.\n" +
			"Where the charter has a plan or lists places for backups, these must be of the epoch in force: `ostraka backup coverage` shows them.\n\n" +
			"A vault for several chains may have several keys: --suite says which. One key may serve several chains, and is shown as each of them writes its address.",
		Example: "  ostraka address new treasury ops/main\n" +
			"  ostraka address new treasury ops/main --suite ed25519",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), time.Minute)
			defer cancel()
			return a.inAccount(ctx, args, func(ctx context.Context, c *client.Circle, v client.Vault, x client.Account) error {
				root, err := rootFor(v, *suite)
				if err != nil {
					return err
				}
				one, failed, err := c.NewAddress(ctx, v, root, x, min(2, len(c.Members)))
				if err != nil {
					return err
				}
				a.down(failed)
				d, err := addressOf(v, x, one)
				if err != nil {
					return err
				}
				return a.show(d, func(w io.Writer) {
					fmt.Fprintln(w, d.Address)
					a.say("%s of %s in vault %s, on %s, the same at %s and derived here from the vault's key.", d.Path, d.Account, d.Vault, d.Chain, strings.Join(d.Nodes, ", "))
					for _, f := range d.Forms[1:] {
						a.say("On %s it is %s.", f.Chain, f.Address)
					}
				})
			})
		},
	}
	suite = suiteFlag(c)
	return c
}

func (a *app) addressListCommand() *cobra.Command {
	var suite *string
	c := &cobra.Command{
		Use: "list VAULT DEPARTMENT/ACCOUNT", Short: "List an account's addresses", Args: exactly("VAULT", "DEPARTMENT/ACCOUNT"),
		Long: "Lists what the nodes gave out, of all keys of the vault or of that of --suite, each derived here too, as every chain that the key signs for writes it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), 30*time.Second)
			defer cancel()
			return a.inAccount(ctx, args, func(ctx context.Context, c *client.Circle, v client.Vault, x client.Account) error {
				roots, err := rootsFor(v, *suite)
				if err != nil {
					return err
				}
				doc := struct {
					Addresses []addressDocument `json:"addresses"`
				}{[]addressDocument{}}
				for _, root := range roots {
					all, failed, err := c.Addresses(ctx, v, root, x)
					if err != nil {
						return err
					}
					a.down(failed)
					for _, one := range all {
						d, err := addressOf(v, x, one)
						if err != nil {
							return err
						}
						doc.Addresses = append(doc.Addresses, d)
					}
				}
				return a.show(doc, func(w io.Writer) { printAddressList(w, doc.Addresses) })
			})
		},
	}
	suite = suiteFlag(c)
	return c
}

// printAddressList writes each address as each chain writes it, one a line.
func printAddressList(w io.Writer, all []addressDocument) {
	if len(all) == 0 {
		fmt.Fprintln(w, "It gave out no address yet: `ostraka address new` gives one out.")
	}
	for _, d := range all {
		for _, f := range d.Forms {
			fmt.Fprintf(w, "%-12s %s  %s\n", d.Path, f.Address, f.Chain)
		}
	}
}
