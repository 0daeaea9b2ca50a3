package rehearse

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/ostraka/ostraka/cmd/ostraka/local"
)

var stakehound = Story{
	Name:     "stakehound",
	Incident: "2021, 38,178 ether: shares of a key had no backup that anybody could decrypt; a drill found it when it was too late, and the parties dispute whose fault it was",
	tell:     tellStakehound,
}

func tellStakehound(ctx context.Context, t *tale) error {
	if err := t.openGuarded(ctx, false); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{t.unbacked, t.looked, t.backedUp, t.voided, t.whoHeld, t.diskLost} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// The rules of product.md by which addresses are given out.
const (
	ruleBacked = "backups of this epoch"
	ruleProved = "a share proved itself"
)

// unbacked: the key is there, and operators have kept nothing elsewhere yet. A circle that others told stories of has; new shares void that.
func (t *tale) unbacked(ctx context.Context) error {
	if len(t.guards.exports) > 0 {
		if err := t.refresh(ctx); err != nil {
			return err
		}
	}
	if err := t.noAddress(ctx, "the vault's key is made, and no operator has a backup of its share", ruleBacked, "is noted of acme, bolt, cora"); err != nil {
		return err
	}
	return t.verifies(ctx, "what the five guardians have, which the nodes made with the key; anybody may ask, without a key", "", 0, []string{"whole: 2 operators and 3 of 5 guardians"})
}

// looked: backups that would not help are found now, and unopened.
func (t *tale) looked(ctx context.Context) error {
	acme := t.operator("acme")
	if err := t.cut(ctx, acme); err != nil {
		return err
	}
	whole := t.guards.exports["acme"]
	raw, err := os.ReadFile(whole)
	if err != nil {
		return err
	}
	bad := slices.Clone(raw)
	bad[len(bad)/2] ^= 1
	spoilt := filepath.Join(t.guards.folder, "spoilt.ostraka-export")
	if err := os.WriteFile(spoilt, bad, 0o600); err != nil {
		return err
	}
	if err := t.verifies(ctx, "acme's export with one bit changed on its way to the safe", "damaged", codeUnverified, []string{"refused", "another SHA-256"}, spoilt); err != nil {
		return err
	}
	short := filepath.Join(t.guards.folder, "short.ostraka-export")
	if err := os.WriteFile(short, raw[:len(raw)-1], 0o600); err != nil {
		return err
	}
	if err := t.verifies(ctx, "acme's export without its last byte", "damaged", codeUnverified, []string{"refused", "cut off"}, short); err != nil {
		return err
	}
	if err := t.verifies(ctx, "acme's export as it was cut", "", 0, []string{"of acme at away: whole"}, whole); err != nil {
		return err
	}
	return t.opens(ctx, whole)
}

// opens: the key in the safe opens the export, or it does not, and that is known on the day on which it is cut.
func (t *tale) opens(ctx context.Context, export string) error {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		return err
	}
	other := filepath.Join(t.guards.folder, "other.txt")
	if err := os.WriteFile(other, []byte(id.String()+"\n"), 0o600); err != nil {
		return err
	}
	r, err := t.run(ctx, "backup", "restore", export, "--identity", other, "--check")
	if err != nil {
		return err
	}
	x := Step{What: "the key in acme's safe is not the one to which the export is encrypted: `ostraka backup restore --check`", Outcome: fmt.Sprintf("exit %d: %s", r.code, shorten(r.said())), Held: r.code == codeUnverified}
	if x.Held {
		x.Rule = "does not open"
	}
	t.step(x)
	if r, err = t.run(ctx, "backup", "restore", export, "--identity", t.guards.identity, "--check"); err != nil {
		return err
	}
	t.step(Step{What: "with the right key: `ostraka backup restore --check`", Outcome: fmt.Sprintf("exit %d: %s", r.code, lastLine(r.out)), Held: r.code == 0 && strings.Contains(r.out, "It opens: every share and mask matches")})
	if r, err = t.run(ctx, "backup", "restore", export, "--identity", t.guards.identity, "--operator", "cora", "--check"); err != nil {
		return err
	}
	x = Step{What: "the same export, taken for cora's: `ostraka backup restore --operator cora --check`", Outcome: fmt.Sprintf("exit %d: %s", r.code, shorten(r.said())), Held: r.code == codeRefused && strings.Contains(r.errs, "of operator acme")}
	if x.Held {
		x.Rule = "another operator's"
	}
	t.step(x)
	return t.drilled(ctx, other)
}

// drilled: every guardian proves that what the epoch encrypted to them opens, and acme that its export holds its share; each proof is taken by every node, and coverage counts it.
func (t *tale) drilled(ctx context.Context, other string) error {
	r, err := t.drillOf(ctx, "backup", "drill", "--vault", local.VaultName, "--key", t.guards.keys[0], "-i", other)
	if err != nil {
		return err
	}
	x := Step{What: "a guardian's key file, and a private key that does not open it: `ostraka backup drill`", Outcome: fmt.Sprintf("exit %d: %s", r.code, shorten(r.said())), Held: r.code != 0 && strings.Contains(r.errs, "wrong passphrase or private key")}
	if x.Held {
		x.Rule = "does not open"
	}
	t.step(x)
	proved := []string{}
	for _, file := range t.guards.keys {
		who, err := t.drilledBy(ctx, "--vault", local.VaultName, "--key", file, "-i", t.guards.identity)
		if err != nil {
			return err
		}
		proved = append(proved, who...)
	}
	t.step(Step{What: "each guardian shows that what they have opens, without anything of it leaving: `ostraka backup drill`", Outcome: fmt.Sprintf("proofs of %s, taken by every node", strings.Join(proved, ", ")), Held: len(proved) == len(t.guards.keys)})
	own, err := t.drilledBy(ctx, t.guards.exports["acme"], "--identity", t.guards.identity)
	if err != nil {
		return err
	}
	t.step(Step{What: "acme's export is restored in a process of its own, in memory: `ostraka backup drill`", Outcome: fmt.Sprintf("proof of %s: share and mask are known", strings.Join(own, ", ")), Held: slices.Equal(own, []string{"acme"})})
	return t.counted(ctx)
}

// drilledBy runs a drill, and names whose proof every node took.
func (t *tale) drilledBy(ctx context.Context, args ...string) (who []string, err error) {
	r, err := t.drillOf(ctx, append([]string{"backup", "drill", "--json"}, args...)...)
	if err != nil || r.code != 0 {
		return nil, err
	}
	var doc struct {
		Drills []struct{ By string }
		Taken  []string
	}
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		return nil, fmt.Errorf("`ostraka backup drill`: %w: %s", err, r.said())
	}
	for _, d := range doc.Drills {
		if len(doc.Taken) == len(t.circle.Operators) && !slices.Contains(who, d.By) {
			who = append(who, d.By)
		}
	}
	return who, nil
}

// counted: coverage has no guardian left who never drilled.
func (t *tale) counted(ctx context.Context) error {
	rows, _, err := t.coverage(ctx, 2)
	if err != nil {
		return err
	}
	var said []string
	x := Step{What: "whose drills count: `ostraka backup coverage`", Held: len(rows) == len(t.guards.keys)+1}
	for _, row := range rows {
		if row.Place != "" {
			said = append(said, row.Place+": "+row.State)
		}
		x.Held = x.Held && row.State == "ok"
	}
	x.Outcome = strings.Join(said, "; ")
	t.step(x)
	return nil
}

func lastLine(text string) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return shorten(all[len(all)-1])
}

// backedUp: once all have cut theirs, the address is given out.
func (t *tale) backedUp(ctx context.Context) error {
	if err := t.noAddress(ctx, "acme alone has cut an export", ruleBacked, "is noted of bolt, cora"); err != nil {
		return err
	}
	if err := t.cutAll(ctx); err != nil {
		return err
	}
	return t.anAddress(ctx, "all three have cut one")
}

// voided: new shares make every backup of the old ones worthless, and that is said.
func (t *tale) voided(ctx context.Context) error {
	old := t.guards.exports["acme"]
	was, _, err := t.epochAt(ctx, t.operator("acme"))
	if err != nil {
		return err
	}
	if err := t.refresh(ctx); err != nil {
		return err
	}
	void := fmt.Sprintf("it is of epoch %d, and epoch %d is in force", was, was+1)
	if err := t.verifies(ctx, "acme's export, after the operators made new shares", "epoch", codeUnverified, []string{"void", void}, old); err != nil {
		return err
	}
	dir, err := t.folder()
	if err != nil {
		return err
	}
	r, err := t.run(ctx, "backup", "restore", old, "--identity", t.guards.identity, "--dir", dir)
	if err != nil {
		return err
	}
	x := Step{What: "it is restored all the same: `ostraka backup restore`", Outcome: fmt.Sprintf("exit %d: %s", r.code, strings.ReplaceAll(shorten(r.said()), old, filepath.Base(old))), Held: r.code == codeRefused && strings.Contains(r.errs, void)}
	if x.Held {
		x.Rule = "epoch"
	}
	t.step(x)
	if err := t.noAddress(ctx, "the next address, before the operators cut exports of the new shares", ruleBacked, fmt.Sprintf("no backup of epoch %d", was+1), "acme, bolt, cora, for whom"); err != nil {
		return err
	}
	if err := t.cutAll(ctx); err != nil {
		return err
	}
	return t.anAddress(ctx, "they have cut them")
}

// whoHeld: who had which backup when stands in every operator's log, signed by who cut it.
func (t *tale) whoHeld(ctx context.Context) error {
	var held []string
	x := Step{What: "who held which backup, when: `ostraka log list` at every operator's node", Held: true}
	for _, o := range t.circle.Operators {
		r, err := t.must(ctx, "log", "list", "--last", "10000", "--kind", "statement", "--json", "--dir", o.Dir)
		if err != nil {
			return err
		}
		var doc struct{ Entries []struct{ Text string } }
		if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
			return err
		}
		told := map[string]int{}
		for _, e := range doc.Entries {
			for _, by := range t.circle.Operators {
				if strings.Contains(e.Text, "backup") && strings.Contains(e.Text, by.Name) {
					told[by.Name]++
				}
			}
		}
		held = append(held, fmt.Sprintf("%s's log: %d of acme, %d of bolt, %d of cora", o.Name, told["acme"], told["bolt"], told["cora"]))
		x.Held = x.Held && told["acme"] >= 3 && told["bolt"] >= 2 && told["cora"] >= 2
	}
	x.Outcome = strings.Join(held, "; ")
	t.step(x)
	return nil
}

// diskLost: the day for which all that is.
func (t *tale) diskLost(ctx context.Context) error {
	t.to.Busy("cora's machine is destroyed, and its node restored from the export")
	cora := t.operator("cora")
	address, err := t.first(ctx)
	if err != nil {
		return err
	}
	if err := t.lose(cora); err != nil {
		return err
	}
	if err := t.restore(ctx, cora); err != nil {
		return err
	}
	if err := t.refresh(ctx); err != nil {
		return err
	}
	if err := t.cutAll(ctx); err != nil {
		return err
	}
	after, err := t.first(ctx)
	if err != nil {
		return err
	}
	t.step(Step{What: "cora's disk is lost, restored from its export, and all make new shares and exports: the address", Outcome: after, Held: after == address})
	_, err = t.proves(ctx, "the vault signs again, with cora's share among the three", "After the loss of a disk")
	return err
}
