package rehearse

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/cmd/ostraka/local"
)

var primetrust = Story{
	Name:     "primetrust",
	Incident: "2021 to 2023, about 38.9 million dollars: old addresses of a wallet that nobody could open any more were given to customers again, and they paid there",
	tell:     tellPrimetrust,
}

func tellPrimetrust(ctx context.Context, t *tale) error {
	if err := t.openGuarded(ctx, false); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{t.given, t.legacy, t.recovered} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// given: all shares proved themselves within a day, and backups are of this epoch.
func (t *tale) given(ctx context.Context) error {
	if err := t.cutAll(ctx); err != nil {
		return err
	}
	return t.anAddress(ctx, "every share proved itself within a day, and every backup is of this epoch")
}

// proofs are when the other nodes last saw each share prove itself; zero: never, or it was taken back.
func (t *tale) proofs(ctx context.Context) (map[string]time.Time, error) {
	rows, _, err := t.coverage(ctx, 0)
	all := map[string]time.Time{}
	for _, r := range rows {
		all[r.Operator], _ = time.Parse(time.RFC3339, r.At)
	}
	return all, err
}

// legacy: acme's machine comes back as it was before the shares that are in force: an old wallet, as it were. All three must sign, so nobody can.
func (t *tale) legacy(ctx context.Context) error {
	t.to.Busy("acme's folder is copied; then the operators make new shares")
	acme := t.operator("acme")
	was, err := t.first(ctx)
	if err != nil {
		return err
	}
	_, public, err := t.epochAt(ctx, acme)
	if err != nil {
		return err
	}
	old, err := t.folder()
	if err != nil {
		return err
	}
	t.circle.Halt(acme)
	if err := carry(acme.Dir, filepath.Join(old, "node")); err != nil {
		return err
	}
	if err := t.back(ctx, []*local.Operator{acme}); err != nil {
		return err
	}
	if err := t.refresh(ctx); err != nil {
		return err
	}
	if err := t.cutAll(ctx); err != nil {
		return err
	}
	e, same, err := t.epochAt(ctx, acme)
	if err != nil {
		return err
	}
	is, err := t.first(ctx)
	if err != nil {
		return err
	}
	t.step(Step{What: "the operators make new shares: no wallet is older than another, for the key stays the same", Outcome: fmt.Sprintf("epoch %d, address %s as before", e, is), Held: is == was && same == public})
	if err := t.anAddress(ctx, "the next address in that epoch"); err != nil {
		return err
	}
	t.to.Busy("acme's machine is lost, and the old copy put in its place")
	if err := t.lose(acme); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(old, "node"), acme.Dir); err != nil {
		return err
	}
	if err := t.back(ctx, []*local.Operator{acme}); err != nil {
		return err
	}
	t.guards.worn = true
	if err := t.onlyCopy(ctx, acme); err != nil {
		return err
	}
	return t.unsignable(ctx)
}

// unsignable: acme's node says that it lives, and cannot prove its share.
func (t *tale) unsignable(ctx context.Context) error {
	var all map[string]time.Time
	_, err := poll(ctx, awhile, func() (done bool, err error) {
		if all, err = t.proofs(ctx); err == nil && !all["acme"].IsZero() {
			err = sleep(ctx, 300*time.Millisecond)
		}
		return all["acme"].IsZero(), err
	})
	if err != nil {
		return err
	}
	lately := func(name string) bool { return !all[name].IsZero() && time.Since(all[name]) < 24*time.Hour }
	x := Step{What: "acme's node runs on an old copy, and its heartbeat proves no share of this epoch: `ostraka backup coverage`", Held: all["acme"].IsZero() && lately("bolt") && lately("cora")}
	for _, name := range []string{"acme", "bolt", "cora"} {
		said := "no proof stands"
		if lately(name) {
			said = "proved within a day"
		}
		x.Outcome += fmt.Sprintf("%s: %s; ", name, said)
	}
	x.Outcome += "a node that is only silent is believed for 24 hours from its last proof, and not beyond"
	if x.Held {
		x.Rule = ruleProved
	}
	t.step(x)
	return t.noAddress(ctx, "three must sign, and acme's share is lost: an address would be one that nobody can open", ruleProved, "the shares of acme have not proved themselves within a day")
}

// recovered: the share comes back from the export of this epoch, and with it the addresses.
func (t *tale) recovered(ctx context.Context) error {
	t.to.Busy("acme's node is restored from its export of this epoch")
	acme := t.operator("acme")
	old := t.guards.exports["acme"]
	if err := t.lose(acme); err != nil {
		return err
	}
	if err := t.restore(ctx, acme); err != nil {
		return err
	}
	if err := t.refresh(ctx); err != nil {
		return err
	}
	if err := t.cutAll(ctx); err != nil {
		return err
	}
	if err := t.drill(ctx); err != nil {
		return err
	}
	rows, code, err := t.coverage(ctx, 1)
	if err != nil {
		return err
	}
	bad := slices.ContainsFunc(rows, func(r coverageRow) bool { return r.State != "ok" })
	t.step(Step{What: fmt.Sprintf("acme is restored from %s, and all make new shares and exports, and drill: `ostraka backup coverage`", kindOf(old)), Outcome: fmt.Sprintf("exit %d: %d exports of this epoch, none is missing", code, len(rows)), Held: code == 0 && len(rows) == 3 && !bad})
	if err := t.anAddress(ctx, "the share proves itself again"); err != nil {
		return err
	}
	_, err = t.proves(ctx, "and the first address of all, from before all these epochs, can be opened", "Nothing here is legacy")
	return err
}

// kindOf leaves a file's folder and time out of its name.
func kindOf(file string) string {
	name := filepath.Base(file)
	if i := strings.LastIndex(name, "_"); i > 0 {
		name = name[:i]
	}
	return "its export " + name
}
