package wallet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// NoteAccount carries an account statement and an initiator's signature.
const NoteAccount outbox.Kind = 0x40

// Takes says whether a note is this room's.
func Takes(k outbox.Kind) bool { return k == NoteAccount }

// Rows of this room (spec/store).
const (
	kindAccount = "account" // account/<vault>/<department>/<name>: statement ‖ signature
	kindPath    = "path"    // path/<vault>/<D>/<A>: this path is an account's
	kindAddress = "address" // address/<vault>/<department>/<name>/<suite>/<index>: the address
)

// maxAddresses bounds how many addresses one account gives out on demand.
const maxAddresses = 1 << 20

// Accounts is the book of accounts and addresses. mu guards the numbers given out.
type Accounts struct {
	Journal *journal.Journal
	// Root shows a vault's key of one suite, Vault all of them; none if the vault is not known.
	Root  func(vault statement.ID, suite string) (ceremony.View, bool)
	Vault func(statement.ID) []ceremony.View
	Log   *slog.Logger

	mu sync.Mutex
}

// An Account is one that an initiator made.
type Account struct {
	charter.Account
	Statement statement.Statement
	Addresses map[string]int // by suite: given out by this node so far
}

func accountKey(vault statement.ID, department, name string) string {
	return store.Key(kindAccount, store.ID(vault[:]), store.Name(department), store.Name(name))
}

func pathKey(a charter.Account) string {
	return store.Key(kindPath, store.ID(a.Vault[:]), store.Number(uint64(a.Path[0])), store.Number(uint64(a.Path[1])))
}

func addressPrefix(a charter.Account, suite string) string {
	return store.Prefix(kindAddress, store.ID(a.Vault[:]), store.Name(a.Department), store.Name(a.Name), store.Name(suite))
}

// Take checks an account statement. Two accounts of one name or one path are refused.
func (a *Accounts) Take(ctx context.Context, now time.Time, n outbox.Note, write func(journal.Entry) error) error {
	if len(n.Fields) != 2 {
		return fmt.Errorf("account note has %d fields, not 2", len(n.Fields))
	}
	s, err := statement.ParseKind(n.Fields[0], statement.Account)
	if err != nil {
		return err
	}
	acc, err := charter.AccountOf(s)
	if err != nil {
		return err
	}
	roots := a.Vault(acc.Vault)
	if len(roots) == 0 {
		return fmt.Errorf("%w: vault %s is not known to this node", outbox.ErrLater, acc.Vault.Short())
	}
	v := roots[0]
	if acc.Charter != v.Vault.Charter {
		return fmt.Errorf("account %s/%s: names another charter than the vault's", acc.Department, acc.Name)
	}
	var keys []signet.Key
	for _, p := range v.Vault.Initiators {
		keys = append(keys, p.Keys...)
	}
	if _, err := signet.Verify(n.Fields[1], signet.Makes(statement.Account), s.Bytes(), keys); err != nil {
		return fmt.Errorf("account %s/%s of vault %s: %w", acc.Department, acc.Name, v.Vault.Name, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	have, err := a.list(ctx, acc.Vault)
	if err != nil {
		return err
	}
	for _, o := range have {
		switch {
		case o.Statement.ID() == s.ID():
			return outbox.ErrOld
		case o.Department == acc.Department && o.Name == acc.Name:
			return fmt.Errorf("account %s/%s of vault %s exists already", acc.Department, acc.Name, v.Vault.Name)
		case o.Path == acc.Path:
			return fmt.Errorf("path %v of vault %s belongs to account %s/%s", acc.Path, v.Vault.Name, o.Department, o.Name)
		case (o.Department == acc.Department) != (o.Path[0] == acc.Path[0]):
			return fmt.Errorf("department %s and department number %d of vault %s do not belong together", acc.Department, acc.Path[0], v.Vault.Name)
		}
	}
	row := append(append([]byte{}, n.Fields[0]...), n.Fields[1]...)
	return write(journal.Entry{
		Batch: store.Batch{
			If: []store.Cond{store.Absent(accountKey(acc.Vault, acc.Department, acc.Name)), store.Absent(pathKey(acc))},
			Put: []store.Entry{
				{Key: accountKey(acc.Vault, acc.Department, acc.Name), Value: row},
				{Key: pathKey(acc), Value: []byte(acc.Department + "/" + acc.Name)},
			},
		},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindPrivate, now, acc.Vault, n.Fields[0], n.Fields[1])},
	})
}

// List gives a vault's accounts by name.
func (a *Accounts) List(ctx context.Context, vault statement.ID) ([]Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.list(ctx, vault)
}

func (a *Accounts) list(ctx context.Context, vault statement.ID) (out []Account, err error) {
	items, err := a.all(ctx, store.Prefix(kindAccount, store.ID(vault[:])))
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	for _, it := range items {
		// The signature follows, of any kind. No line of a statement begins so.
		end := strings.Index(string(it.Value), "\n-----BEGIN ") + 1
		if end == 0 {
			return nil, fmt.Errorf("read accounts: row %q holds no signature", it.Key)
		}
		s, err := statement.ParseKind(it.Value[:end], statement.Account)
		if err != nil {
			return nil, fmt.Errorf("read accounts: %w", err)
		}
		acc, err := charter.AccountOf(s)
		if err != nil {
			return nil, fmt.Errorf("read accounts: %w", err)
		}
		x := Account{acc, s, map[string]int{}}
		for _, v := range a.Vault(vault) {
			given, err := a.given(ctx, acc, v.Suite)
			if err != nil {
				return nil, err
			}
			x.Addresses[v.Suite] = len(given)
		}
		out = append(out, x)
	}
	return out, nil
}

// An Address is one that was given out.
type Address struct {
	Path      hd.Path
	Suite     string
	Chain     string // the first of the vault's that the suite serves: its form
	Address   string
	PublicKey []byte // the derived key's point
}

func (a *Accounts) given(ctx context.Context, acc charter.Account, suite string) ([]store.Item, error) {
	items, err := a.all(ctx, addressPrefix(acc, suite))
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	return items, nil
}

// all reads every row with this prefix.
func (a *Accounts) all(ctx context.Context, prefix string) (out []store.Item, err error) {
	for after := ""; ; after = out[len(out)-1].Key {
		items, err := a.Journal.Store().Range(ctx, prefix, after, store.MaxLimit)
		if err != nil {
			return nil, err
		}
		out = append(out, items...)
		if len(items) < store.MaxLimit {
			return out, nil
		}
	}
}

// ErrNoAccount says that a vault has no account of this name here.
var ErrNoAccount = errors.New("no such account is known to this node")

func (a *Accounts) account(ctx context.Context, vault statement.ID, suite, department, name string) (Account, ceremony.View, error) {
	v, ok := a.Root(vault, suite)
	if !ok || v.Current == nil {
		return Account{}, v, ceremony.ErrNoKey
	}
	all, err := a.list(ctx, vault)
	if err != nil {
		return Account{}, v, err
	}
	i := slices.IndexFunc(all, func(x Account) bool { return x.Department == department && x.Name == name })
	if i < 0 {
		return Account{}, v, fmt.Errorf("account %s/%s of vault %s: %w", department, name, v.Vault.Name, ErrNoAccount)
	}
	return all[i], v, nil
}

func derive(v ceremony.View, acc Account, index uint32) (Address, error) {
	path := hd.Path{acc.Path[0], acc.Path[1], index}
	key, err := decide.Key(v, path)
	if err != nil {
		return Address{}, err
	}
	on := chain.First(v.Suite, v.Vault.Chains)
	addr, err := chain.Address(v.Suite, on, key, policy.Tree(v.Vault, v.Suite))
	return Address{path, v.Suite, on, addr, key.Bytes()}, err
}

// New gives out the next address of an account. The caller has made sure that all shares
// proved themselves within a day (product.md, rule 9).
func (a *Accounts) New(ctx context.Context, now time.Time, vault statement.ID, suite, department, name string) (Address, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	acc, v, err := a.account(ctx, vault, suite, department, name)
	if err != nil {
		return Address{}, err
	}
	index := uint32(acc.Addresses[suite])
	var skipped *hd.SkippedError
	out, err := derive(v, acc, index)
	for ; errors.As(err, &skipped) && index < maxAddresses; out, err = derive(v, acc, index) {
		index++
	}
	if err != nil {
		return Address{}, err
	}
	if index >= maxAddresses {
		return Address{}, fmt.Errorf("account %s/%s gave out %d addresses: make another account", department, name, index)
	}
	key := addressPrefix(acc.Account, suite) + string(store.Number(uint64(index)))
	e := journal.Entry{
		Batch:  store.Batch{If: []store.Cond{store.Absent(key)}, Put: []store.Entry{{Key: key, Value: []byte(out.Address)}}},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindAddress, now, vault, charter.Address(out).Bytes())},
	}
	return out, a.Journal.Write(ctx, e)
}

// Addresses lists what was given out.
func (a *Accounts) Addresses(ctx context.Context, vault statement.ID, suite, department, name string) (out []Address, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	acc, v, err := a.account(ctx, vault, suite, department, name)
	if err != nil {
		return nil, err
	}
	for i := range acc.Addresses[suite] {
		x, err := derive(v, acc, uint32(i))
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}
