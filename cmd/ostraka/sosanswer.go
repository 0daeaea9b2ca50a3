package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/appeal"
	"github.com/ostraka/ostraka/client/carry"
	"github.com/ostraka/ostraka/cmd/cli"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/guard"
)

// answering is what a guardian's tool was told: it asks no node.
type answering struct {
	request, out, charter string // files, and the charter's id as the guardian was told it
}

type contributedDocument struct {
	Guardian     string            `json:"guardian"`
	Request      string            `json:"request"`
	Vault        string            `json:"vault"`
	Charter      string            `json:"charter"`
	Drill        bool              `json:"drill"`
	Trigger      string            `json:"trigger"`
	Subjects     []string          `json:"subjects"`
	FirstSeen    string            `json:"first_seen"` // by this program
	From         string            `json:"from"`       // on this clock; what was answered was answered then or later
	Until        string            `json:"until"`
	Window       string            `json:"window"` // when the nodes' is over, by the file; empty: it does not show
	Vetoes       []string          `json:"vetoes"` // in the file: guardians
	Answers      []contributedPart `json:"answers"`
	File         string            `json:"file"`
	SpoiledRows  int               `json:"spoiled_rows"` // of what dealers encrypted to the guardian
	contribution carry.Contribution
}

type contributedPart struct {
	Activation   string   `json:"activation"`
	Suite        string   `json:"suite"`
	Contributors []string `json:"contributors"`
	Committee    []string `json:"committee"` // who will hold the new shares
	Threshold    int      `json:"threshold"`
	Again        bool     `json:"again"` // the same bytes as before
}

// sosAnswer is a guardian's part in a rescue, on a machine without a network: it reads a file and writes a file.
func (a *app) sosAnswer(p *pen, o answering) error {
	switch {
	case a.key == "":
		return usage("give your key file: --key FILE")
	case o.out == "":
		return usage("say where the contribution shall be written: --out FILE")
	case p.yes && o.charter == "":
		return usage("--yes: give --charter ID, the id that you were told; without it nobody compares it")
	}
	sealed, err := a.readAs("--key", a.key, fileGuardianKey, maxKeyFile)
	if err != nil {
		return err
	}
	x, err := a.readAppeal(o.request)
	if err != nil {
		return err
	}
	if o.charter != "" {
		if err := pinned(x, o.charter); err != nil {
			return err
		}
	}
	if err := replaceable(o.out, sealed); err != nil {
		return err
	}
	now, diary := time.Now(), client.DiaryOf(a.key)
	// Before anything else: from its first sight on the delay runs, whoever asks.
	seen, err := diary.FirstSeen(x.Request.ID, now)
	if err != nil {
		return fail(codeError, err, "the folder of the key file must be writable: copy the file to a stick that is")
	}
	printAsked(a.err, x, seen, now)
	if err := early(x, seen, now); err != nil {
		return err
	}
	doc, err := a.contribute(p, o, x, diary, sealed, seen, now)
	if err != nil {
		return err
	}
	if err := client.WritePrivate(o.out, doc.contribution.Bytes()); err != nil {
		return fmt.Errorf("write the contribution: %w", err)
	}
	return a.show(doc, func(w io.Writer) { doc.print(w) })
}

func (a *app) readAppeal(file string) (x appeal.Asked, err error) {
	raw, err := a.readAs("--request", file, fileAppeal, carry.MaxFile)
	if err != nil {
		return x, err
	}
	f, err := carry.DecodeAppeal(raw)
	if err != nil {
		return x, a.damagedFile("--request", file, fileAppeal, err)
	}
	if x, err = appeal.Read(f); err != nil {
		return x, unverified("contribute to nothing of it; ask another operator for the file, and call a guardian", "%s does not hold: %w", file, err)
	}
	return x, nil
}

func pinned(x appeal.Asked, told string) error {
	id, err := statement.ParseID(told)
	if err != nil {
		return usage("--charter: %w", err)
	}
	if err := x.Pinned(id); err != nil {
		return unverified("contribute to nothing of it, and call the operators by a number that you wrote down earlier", "%w", err)
	}
	return nil
}

// replaceable lets a contribution be written over, and nothing else: --out may name a key by a slip.
func replaceable(path string, key []byte) error {
	if client.Absent(path) == nil {
		return nil
	}
	raw, err := readBounded(path, carry.MaxFile)
	if err != nil {
		return err
	}
	if !carry.IsContribution(raw) || isGuardianFile(raw) || string(raw) == string(key) {
		return fail(codeError, fmt.Errorf("%s is there, and no contribution: it is not written over", path), "name another file")
	}
	return nil
}

// early refuses before the key is opened: there is nothing to do yet.
func early(x appeal.Asked, seen, now time.Time) error {
	from, _, err := x.Term(seen, now)
	switch {
	case errors.Is(err, sos.ErrEarly):
		return mayNot(err)
	case err != nil:
		return err
	case now.Before(from):
		return notReady(fmt.Sprintf("run it again after %s, with a newer file if there are vetoes by then; that you saw it is noted", statement.FormatTime(from)),
			"the delay of request %s has %s left on this clock", x.Request.ID.Short(), from.Sub(now).Round(time.Second))
	}
	return nil
}

// mayNot gives what custody/sos and the appeal say their exit codes.
func mayNot(err error) error {
	switch {
	case errors.Is(err, sos.ErrEarly):
		return notReady("ask for a newer file later; that you saw the request is noted, and the delay runs here too", "%w", err)
	case errors.Is(err, appeal.ErrUnsigned):
		return notReady("ask an operator for a newer file, once the contributors have activated it", "%w", err)
	case errors.Is(err, appeal.ErrNotYours):
		return refused("give the key file whose card the charter has: `ostraka guardian card FILE` shows it", "%w", err)
	}
	return refused("contribute nothing, and tell the other guardians", "%w", err)
}

// contribute opens the key, asks, and makes what was not made before.
func (a *app) contribute(p *pen, o answering, x appeal.Asked, diary client.Diary, sealed []byte, seen, now time.Time) (doc contributedDocument, err error) {
	k, err := a.openGuardianFile(a.key, sealed, p.identity, p.passFile)
	if err != nil {
		return doc, err
	}
	defer k.Wipe()
	card, err := k.Card()
	if err != nil {
		return doc, err
	}
	g, err := x.Who(card)
	if err == nil && p.as != "" && p.as != g.Name {
		return doc, usage("--as %s: the key file is %s's", p.as, g.Name)
	}
	if err == nil {
		err = x.May(g, seen, now)
	}
	if err != nil {
		return doc, mayNot(err)
	}
	if err := a.agree(p, o, x, g); err != nil {
		return doc, err
	}
	doc, answered, err := before(x, g, diary, seen, now)
	if err != nil {
		return doc, err
	}
	doc.File = o.out
	if len(answered) == len(doc.Answers) {
		return doc, nil
	}
	var spoiled []guard.SpoiledError
	fresh, spoiled, err := x.Answer(k, rand.Reader)
	if err != nil {
		return doc, unverified("take your second copy of the key file; if it is of no use either, tell the operators", "%w", err)
	}
	for _, s := range spoiled {
		a.say("Alarm: %v. Your value was had all the same; tell the operators.", &s)
		doc.SpoiledRows += len(s.Rows)
	}
	return doc, doc.keep(fresh, answered, diary)
}

// before is what was answered already, by activation.
func before(x appeal.Asked, g plan.Guardian, diary client.Diary, seen, now time.Time) (doc contributedDocument, answered map[statement.ID][]byte, err error) {
	q, answered := x.Request, map[statement.ID][]byte{}
	from, until, err := x.Term(seen, now)
	if err != nil {
		return doc, nil, err
	}
	doc = contributedDocument{
		Guardian: g.Name, Request: q.ID.String(), Vault: x.Plan.Name, Charter: q.Charter.String(), Drill: q.Drill, Trigger: q.Trigger, Subjects: list(q.Subjects),
		FirstSeen: statement.FormatTime(seen), From: statement.FormatTime(from), Until: statement.FormatTime(until), Vetoes: []string{}, Answers: []contributedPart{},
		contribution: carry.Contribution{Guardian: g.Name, Request: q.ID},
	}
	if over, _ := x.Window(); !over.IsZero() {
		doc.Window = statement.FormatTime(over)
	}
	for _, v := range x.Vetoes {
		doc.Vetoes = append(doc.Vetoes, v.By)
	}
	for _, k := range x.Keys {
		if k.Activation == nil {
			continue
		}
		raw, err := diary.Answered(k.Activation.ID)
		if err != nil {
			return doc, nil, err
		}
		if raw != nil {
			answered[k.Activation.ID] = raw
		}
		doc.Answers = append(doc.Answers, partOf(k, raw != nil))
		doc.contribution.Parts = append(doc.contribution.Parts, carry.Part{Activation: k.Activation.ID, Contribution: raw})
	}
	return doc, answered, x.Check(doc.contribution.Only(answered))
}

// keep takes the answers to what was not answered before, and notes them before anybody is shown them: two different ones would be void.
func (d *contributedDocument) keep(fresh carry.Contribution, answered map[statement.ID][]byte, diary client.Diary) error {
	for i, p := range fresh.Parts {
		if _, known := answered[p.Activation]; known {
			continue
		}
		if err := diary.Answer(p.Activation, p.Contribution); errors.Is(err, client.ErrAnswered) {
			return refused("run it again: what was answered first is given again", "%w", err)
		} else if err != nil {
			return err
		}
		d.contribution.Parts[i].Contribution = p.Contribution
	}
	return nil
}

// agree asks. Whoever gave no --charter types what they were told.
func (a *app) agree(p *pen, o answering, x appeal.Asked, g plan.Guardian) error {
	a.say("You contribute as %s. It cannot be taken back.", g.Name)
	if o.charter != "" {
		return a.confirm(p.yes, "Contribute?")
	}
	id := x.Charter().ID.String()
	return a.confirmBy(false, "Look up the charter's id as you were told it, on paper or by telephone, not above.", "its first 8 digits", id[:8])
}

func printAsked(w io.Writer, x appeal.Asked, seen, now time.Time) {
	w = cli.Writer{Writer: w}
	q, p := x.Request, x.Plan
	fmt.Fprintf(w, "%s: you are asked to help bring back vault %s.\n", map[bool]string{true: "DRILL", false: "REAL"}[q.Drill], p.Name)
	fmt.Fprintf(w, "  circle     %s\n  charter    %s (version %d)\n  request    %s, by %s %s, %s\n", x.Charter().Circle, q.Charter, x.Charter().Version, q.ID, q.Role, q.By, statement.FormatTime(q.Created))
	fmt.Fprintf(w, "  why        %s of %s: %q\n", q.Trigger, strings.Join(q.Subjects, ", "), q.Reason)
	for _, k := range x.Keys {
		if k.Activation == nil {
			fmt.Fprintf(w, "  key %.12x (%s): nobody has activated it yet\n", k.Key.Key[:], k.Record.Suite)
			continue
		}
		fmt.Fprintf(w, "  key %.12x (%s), attempt %d\n    who gives their part: %s, and guardians\n", k.Key.Key[:], k.Record.Suite, k.Activation.Attempt, strings.Join(k.Activation.Contributors, ", "))
		fmt.Fprintf(w, "    who holds the shares now: %s; %d of them sign\n    who will hold new ones:   %s; %d of them sign\n", strings.Join(x.Vault.Committee, ", "), x.Vault.Threshold, strings.Join(k.Activation.Names(), ", "), k.Activation.Threshold)
	}
	for _, v := range x.Vetoes {
		fmt.Fprintf(w, "  veto of %s, %s: %q\n", v.By, statement.FormatTime(v.Created), v.Reason)
	}
	for _, v := range x.Alive {
		fmt.Fprintf(w, "  alive      %s proved at %s that it holds its shares%s\n", v.Operator, statement.FormatTime(v.Created), lifeOf(x, v.Operator))
	}
	fmt.Fprintf(w, "  vetoes     %d are in the file, %d end it. One that is not in the file nobody can see here: call another guardian.\n", len(x.Vetoes), p.Vetoes())
	fmt.Fprintf(w, "  first seen %s, by this program\n", statement.FormatTime(seen))
	for _, s := range x.Ahead(seen, now) {
		fmt.Fprintf(w, "  not yet    %s says that its delay began at %s, ahead of this clock and of all others: it counts for nothing; look whether this clock is right\n", s.Operator, statement.FormatTime(s.Created))
	}
	if from, until, err := x.Term(seen, now); err == nil {
		fmt.Fprintf(w, "  time       from %s, on this clock; %s\n", statement.FormatTime(from), windowOf(x, until))
	}
}

// windowOf says until when a contribution comes to anything: the nodes' window ends much earlier than this program would answer, which cannot know how far the nodes are.
func windowOf(x appeal.Asked, until time.Time) string {
	over, sure := x.Window()
	switch {
	case over.IsZero() || over.After(until):
		return "until " + statement.FormatTime(until)
	case sure:
		return fmt.Sprintf("the nodes' window is over at %s: what comes later comes to nothing", statement.FormatTime(over))
	}
	return fmt.Sprintf("the nodes' window will be over at about %s: what comes later comes to nothing", statement.FormatTime(over))
}

// lifeOf says what comes of a subject's proof of life.
func lifeOf(x appeal.Asked, subject string) string {
	signed := slices.ContainsFunc(x.Tests, func(t act.Signed) bool { return t.Operator == subject })
	switch {
	case !plan.Cancels(x.Request.Trigger):
		return "; that ends no request of " + x.Request.Trigger
	case signed:
		return ", and the vault signed with it: that ends the request"
	}
	return "; with a signature of the vault it would end the request, and there is none in the file"
}

func (d contributedDocument) print(w io.Writer) {
	for _, x := range d.Answers {
		again := ""
		if x.Again {
			again = " (the same as before)"
		}
		fmt.Fprintf(w, "Contribution of %s to activation %.8s, %s%s\n", d.Guardian, x.Activation, x.Suite, again)
	}
	fmt.Fprintf(w, "\n%s holds it; nothing in it is secret. Give it to an operator, or hand it in yourself: ostraka sos support --send %s\n", d.File, d.File)
}
