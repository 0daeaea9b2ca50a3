package node_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/evidence/attest/hardware"
	"github.com/ostraka/ostraka/evidence/attest/tpm"
	"github.com/ostraka/ostraka/evidence/judge"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/evidence/vetted"
	"github.com/ostraka/ostraka/node/nodetest"
)

// again judges records as an outsider does.
func again(t *testing.T) func(vetted.Record, charter.Demand) error {
	pinned, err := hardware.Pinned()
	if err != nil {
		t.Fatal(err)
	}
	return func(r vetted.Record, x charter.Demand) error { return judge.Again(r, x, pinned, nil) }
}

// What nodes found of one another's hardware is checked by outsiders: as the nodes' word, or by the evidence itself. A node that held a session unchecked, or wrote down
// what it did not find, is named, and nobody else is.
func TestVerifyHardware(t *testing.T) {
	t.Parallel()
	s := attests(t, 3, 3)
	w := s.World
	w.Now = w.Now.Add(10 * time.Minute)
	for i := range 2 {
		s.comes("signed by all", s.wants(uint64(i)))
	}
	w.Run("every share is proved everywhere, and all is cosigned", func() bool {
		return w.All(func(h *nodetest.Host) bool { return proved(h, 1) == 3 && cosigned(h, 2) })
	})
	publish := func() (all []*nodetest.Published) {
		for _, h := range w.Hosts {
			all = append(all, w.Publish(h))
		}
		return all
	}
	lacking := func(vetted.Record, charter.Demand) error { return &attest.UnknownError{Lacks: "a root"} }
	for name, o := range map[string]verify.Options{"a browser": {Now: w.Now}, "a command": {Now: w.Now, Vetted: again(t)}, "a command without the maker's root": {Now: w.Now, Vetted: lacking}} {
		class, claimed := vetted.ClassTold, verify.Declared
		if name == "a command" {
			class, claimed = vetted.ClassRecorded, verify.Attested
		}
		r, err := verify.Verify(sources(t, publish()), o)
		if err != nil || r.Failed {
			t.Fatalf("an honest circle: %v\n%s", err, strings.Join(failures(r), "\n"))
		}
		for _, o := range r.Operators {
			if o.Hardware == nil || o.Hardware.Class != class || o.Hardware.Name != "r1" || len(o.Hardware.By) != 2 {
				t.Errorf("%s: %+v, want %s by two others", o.Name, o.Hardware, class)
			}
		}
		if !slices.ContainsFunc(r.Claims, func(c verify.Claim) bool {
			return c.Class == claimed && strings.Contains(c.Claim, class+" by operator-1, operator-2")
		}) {
			t.Errorf("no claim says %s: %v", class, r.Claims)
		}
	}
	// Much later it is as true of then, and counts no more.
	late, err := verify.Verify(sources(t, publish()), verify.Options{Now: w.Now.Add(fresh + time.Hour)})
	if err != nil || late.Failed || late.Operators[0].Hardware != nil || !slices.ContainsFunc(late.Attention, func(a string) bool { return strings.Contains(a, "demands to see what the node of operator-0 runs on") }) {
		t.Errorf("%v, %v, %v", err, failures(late), late.Attention)
	}
	edit := func(p *nodetest.Published, i int, change func(*vetted.Record)) {
		r, err := vetted.Decode(p.Leaves[i].Content)
		if err != nil {
			t.Fatal(err)
		}
		change(&r)
		l := tlog.Says(tlog.KindVetted, p.Leaves[i].Time, [32]byte{}, r.Encode())
		for j, m := range p.Leaves {
			if m.Kind != tlog.KindMet {
				continue
			}
			x, err := vetted.DecodeMeeting(m.Content)
			if err != nil {
				t.Fatal(err)
			}
			for k := range x.With {
				if x.With[k].Record == p.Leaves[i].ID {
					x.With[k].Record = l.ID
				}
			}
			p.Leaves[j] = tlog.Says(tlog.KindMet, m.Time, m.Vault, x.Encode()).On(m.About)
		}
		p.Leaves[i] = l
	}
	last := func(p *nodetest.Published, kind string) int {
		for i := len(p.Leaves) - 1; ; i-- {
			if p.Leaves[i].Kind == kind {
				return i
			}
		}
	}
	// twice tells the last record again, changed.
	twice := func(p *nodetest.Published, change func(*vetted.Record)) {
		l := p.Leaves[last(p, tlog.KindVetted)]
		r, err := vetted.Decode(l.Content)
		if err != nil {
			t.Fatal(err)
		}
		change(&r)
		p.Leaves = append(p.Leaves, tlog.Says(tlog.KindVetted, l.Time, [32]byte{}, r.Encode()))
	}
	// What a node that was put back tells once more is the same, and no lie.
	all := publish()
	twice(all[0], func(*vetted.Record) {})
	if err := all[0].Sign(); err != nil {
		t.Fatal(err)
	}
	if r, err := verify.Verify(sources(t, all), verify.Options{Now: w.Now, Vetted: again(t)}); err != nil || slices.ContainsFunc(failures(r), func(f string) bool { return strings.Contains(f, "nonce") }) {
		t.Errorf("the same told once more: %v, %v", err, failures(r))
	}
	for name, c := range map[string]struct {
		lie       func(p *nodetest.Published)
		want      string
		attention bool // it is told, and nobody is accused
	}{
		"it did not look": {lie: func(p *nodetest.Published) { i := last(p, tlog.KindMet); p.Leaves = slices.Delete(p.Leaves, i, i+1) }, want: "does not say that it looked"},
		"it found nothing": {lie: func(p *nodetest.Published) {
			p.Leaves = slices.DeleteFunc(p.Leaves, func(l tlog.Filed) bool { return l.Kind == tlog.KindVetted })
		}, want: "does not stand in its log before it"},
		"too old": {lie: func(p *nodetest.Published) {
			for i, l := range p.Leaves {
				if l.Kind == tlog.KindVetted {
					edit(p, i, func(r *vetted.Record) { r.At = r.At.Add(-fresh) })
				}
			}
		}, want: "its evidence is too old"},
		"of what is not allowed": {lie: func(p *nodetest.Published) {
			edit(p, last(p, tlog.KindVetted), func(r *vetted.Record) { r.Measurement = strings.Replace(r.Measurement, "7:", "8:", 1) })
		}, want: "the charter demands something else"},
		"asked by another": {lie: func(p *nodetest.Published) {
			edit(p, last(p, tlog.KindVetted), func(r *vetted.Record) { r.Asker = w.Hosts[1].Own.Identity })
		}, want: "what its charter did not ask, or of another node"},
		"of another node": {lie: func(p *nodetest.Published) {
			edit(p, last(p, tlog.KindVetted), func(r *vetted.Record) { r.Identity = w.Hosts[0].Own.Identity })
		}, want: "what its charter did not ask, or of another node"},
		"of no charter": {lie: func(p *nodetest.Published) {
			edit(p, last(p, tlog.KindVetted), func(r *vetted.Record) { r.Charter[0] ^= 1 })
		}, want: "which was never in force"},
		"evidence that nobody made": {lie: func(p *nodetest.Published) {
			edit(p, last(p, tlog.KindVetted), func(r *vetted.Record) {
				r.Evidence = bytes.Clone(r.Evidence)
				r.Evidence[bytes.Index(r.Evidence, []byte("\xffTCG"))+45] ^= 1
			})
		}, want: "good, and it is not: "},
		"evidence for another nonce": {lie: func(p *nodetest.Published) {
			edit(p, last(p, tlog.KindVetted), func(r *vetted.Record) { r.Nonce[0] ^= 1 })
		}, want: "qualifying data"},
		"one answer as of another time": {lie: func(p *nodetest.Published) { twice(p, func(r *vetted.Record) { r.At = r.At.Add(time.Minute) }) }, want: "by the nonce of leaf"},
		"one answer of another process": {lie: func(p *nodetest.Published) { twice(p, func(r *vetted.Record) { r.Life.Counter++ }) }, want: "by the nonce of leaf"},
		"a refusal of what was good":    {lie: func(p *nodetest.Published) { twice(p, func(r *vetted.Record) { r.Why = "no" }) }, want: "by the nonce of leaf"},
		"for another connection": {lie: func(p *nodetest.Published) {
			edit(p, last(p, tlog.KindVetted), func(r *vetted.Record) { r.Connection[0] ^= 1 })
		}, want: "qualifying data"},
		"junk": {lie: func(p *nodetest.Published) {
			i := last(p, tlog.KindVetted)
			p.Leaves = append(p.Leaves, tlog.Says(tlog.KindVetted, p.Leaves[i].Time, [32]byte{}, []byte("junk")))
		}, want: "decode what was found"},
		"nothing was demanded": {lie: func(p *nodetest.Published) {
			i := last(p, tlog.KindMet)
			m, err := vetted.DecodeMeeting(p.Leaves[i].Content)
			if err != nil {
				t.Fatal(err)
			}
			m.With[1].Record = [32]byte{}
			p.Leaves[i] = tlog.Says(tlog.KindMet, p.Leaves[i].Time, p.Leaves[i].Vault, m.Encode()).On(m.Session)
		}, want: "says that nothing was demanded"},
		"another is not named": {lie: func(p *nodetest.Published) {
			i := last(p, tlog.KindMet)
			m, err := vetted.DecodeMeeting(p.Leaves[i].Content)
			if err != nil {
				t.Fatal(err)
			}
			m.With = m.With[:1]
			p.Leaves[i] = tlog.Says(tlog.KindMet, p.Leaves[i].Time, p.Leaves[i].Vault, m.Encode()).On(m.Session)
		}, want: "that operator-2 tells of too, and does not name it", attention: true},
	} {
		all := publish()
		c.lie(all[0])
		if err := all[0].Sign(); err != nil {
			t.Fatal(err)
		}
		r, err := verify.Verify(sources(t, all), verify.Options{Now: w.Now, Vetted: again(t)})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(failures(r), "\n")
		if c.attention {
			text = strings.Join(r.Attention, "\n")
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%s: not found:\n%s", name, text)
		}
		for _, x := range r.Claims {
			if x.Failed != "" && (strings.HasPrefix(x.Subject, "operator operator-1") || strings.HasPrefix(x.Subject, "operator operator-2")) {
				t.Errorf("%s: accused is %s: %s", name, x.Subject, x.Failed)
			}
		}
		if c.attention && strings.Contains(fmt.Sprint(failures(r)), "showed what they run on") {
			t.Errorf("%s: somebody is accused: %v", name, failures(r))
		}
	}
	// A record whose evidence nobody but its writer could judge (its TPM's certificates left out) is that writer's word alone, whatever it names.
	all = publish()
	for i, l := range all[0].Leaves {
		if r, err := vetted.Decode(l.Content); l.Kind == tlog.KindVetted && err == nil && r.Operator == "operator-1" {
			edit(all[0], i, func(r *vetted.Record) {
				e, err := tpm.Decode(r.Evidence)
				if err != nil {
					t.Fatal(err)
				}
				e.Chain = nil
				r.Evidence, r.Device, r.At = e.Encode(), madeUp, r.At.Add(time.Minute)
			})
		}
	}
	if err := all[0].Sign(); err != nil {
		t.Fatal(err)
	}
	r, err := verify.Verify(sources(t, all), verify.Options{Now: w.Now, Vetted: again(t)})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range r.Claims {
		_, what, ok := strings.Cut(c.Claim, "its node runs r1 (tpm2) on ")
		if device, who, cut := strings.Cut(what, ", "); ok && cut && c.Subject == "operator operator-1" {
			who, _, _ = strings.Cut(who, ", at ")
			seen[fmt.Sprint(device == madeUp, " ", who, " ", strings.Contains(c.Basis, "judged none of it"))] = true
		}
	}
	h := r.Operators[1].Hardware
	if len(seen) != 2 || !seen["true "+vetted.ClassTold+" by operator-0 true"] || !seen["false "+vetted.ClassRecorded+" by operator-2 false"] ||
		h == nil || h.Device == madeUp || h.Class != vetted.ClassRecorded || !slices.Equal(h.By, []string{"operator-2"}) {
		t.Errorf("a device that no judged evidence shows is claimed as %v, %+v", seen, h)
	}
	if text := strings.Join(r.Attention, "\n"); !strings.Contains(text, "not all logs that hold evidence of the node of operator-1 tell of one machine") || strings.Contains(text, "one piece of hardware") {
		t.Errorf("attention: %s", text)
	}
}

var madeUp = "tpm2:" + strings.Repeat("ba", 32)
