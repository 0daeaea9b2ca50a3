package node_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

// below writes rows as whoever has the disk, and not the node's keys; the host is down.
func (s setting) below(h *nodetest.Host, put ...store.Entry) {
	s.T.Helper()
	s.Below(h, func(st store.Store) {
		if _, err := st.Commit(context.Background(), store.Batch{Put: put}); err != nil {
			s.T.Fatal(err)
		}
	})
}

// reset puts a host's disk back as it was below its tags.
func (s setting) reset(h *nodetest.Host, rows []store.Item) {
	s.T.Helper()
	h.Disk = memory.NewDisk()
	for page := range slices.Chunk(rows, store.MaxWrites) {
		var put []store.Entry
		for _, it := range page {
			put = append(put, store.Entry{Key: it.Key, Value: it.Value})
		}
		s.below(h, put...)
	}
}

// meets says how a node meets a row that somebody else wrote: it does not start ("start"), it sets the vault aside ("vault"), or it refuses the row
// wherever it comes to read it ("read"). Anything else fails.
func (s setting) meets(h *nodetest.Host, what, key string) string {
	s.T.Helper()
	named := func(err error) bool {
		return errors.Is(err, store.ErrForeign) && strings.Contains(err.Error(), fmt.Sprintf("record %q is damaged", key)) && strings.Contains(err.Error(), "was not written by this node")
	}
	if err := s.TryStart(h); err != nil {
		if !named(err) {
			s.T.Errorf("%s: %s: the start ends with: %v", what, key, err)
		}
		return "start"
	}
	defer s.Crash(h)
	st := h.Journal.Store()
	if it, err := st.Get(context.Background(), key); !named(err) {
		s.T.Errorf("%s: %s is read: %x, %v", what, key, it.Value, err)
	}
	for _, v := range h.Keeper.Roots() {
		if v.Step == ceremony.StepDamaged && v.Damage != nil && strings.Contains(v.Damage.Error(), "was not written by this node") {
			return "vault"
		}
	}
	return "read"
}

// twoIntents is a circle of two with a signed intent and one that waits with a vote, whose second node's rows carry tags.
func twoIntents(t *testing.T) (s setting, h *nodetest.Host, signed, waits string) {
	t.Helper()
	s = prepare(t, 2, 2)
	st := s.Propose(s.vault, s.addr, 0)
	s.Approve(st)
	s.Run("signed", func() bool { return s.Signed(st) })
	open := s.Propose(s.vault, s.addr, 1)
	s.Deliver()
	h = s.Hosts[1]
	s.Downtime = -1
	s.Tagged(h)
	s.Run("it works over them", func() bool { return s.Greeted() })
	s.Crash(h)
	a, b := st.ID(), open.ID()
	return s, h, fmt.Sprintf("%x", a[:]), fmt.Sprintf("%x", b[:])
}

// What somebody writes into a store who has not the node's data key counts for nothing: made-up votes, burns that are undone, limits, times.
func TestForgedRows(t *testing.T) {
	t.Parallel()
	s, h, signed, waits := twoIntents(t)
	peer := s.Hosts[0].Self()
	record := s.record(s.Hosts[0])
	eh := record.Hash()
	n8 := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	was, rows := s.belowTags(h), map[string][]byte{}
	for _, it := range was {
		rows[it.Key] = it.Value
	}
	find := func(prefix string) (string, []byte) {
		for k, v := range rows {
			if strings.HasPrefix(k, prefix) {
				return k, v
			}
		}
		t.Fatalf("there is no row %s", prefix)
		return "", nil
	}
	voteKey, vote := find("vote/" + signed + "/")
	_, decision := find("decision/" + signed + "/")
	since, _ := find("charter-since/")
	for what, c := range map[string]struct {
		key   string
		value []byte
	}{
		"a vote on what waits, of another intent":   {"vote/" + waits + "/" + voteKey[len(voteKey)-16:], vote},
		"a vote of whom nobody asked":               {"vote/" + waits + "/0000000000000009", vote[:len(vote)-16]},
		"its own ALLOW, of another intent":          {"decision/" + waits + "/" + h.Own.Name, decision},
		"the life of what it signed, as if expired": {"intent/" + signed, rows["intent/"+waits]},
		"the life of what it signed, emptied":       {"intent/" + signed, nil},
		"a pair that is said to be burned":          {store.BurnKey(eh[:], peer[:]), n8(1)},
		"how often a pair failed":                   {store.Key("burns", store.ID(record.KeyID[:]), store.ID(peer[:])), make([]byte, 9)},
		"since when a charter has its signatures":   {since, n8(1)},
		"that the operator confirmed a restore":     {"confirmed", n8(uint64(s.Now.Unix()))},
		"a life of its own, all answered for":       {"instance", append(append(n8(1<<20), n8(1<<20-1)...), make([]byte, 16)...)},
		"that it is fenced":                         {"fenced", append(make([]byte, 16), "why"...)},
		"a peer's life":                             {store.Key("seen-life", store.ID(peer[:])), make([]byte, 168)},
		"another charter in force":                  {"in-force", make([]byte, 32)},
		"another head of the log":                   {"log-head", append(n8(1), make([]byte, 32)...)},
		"a share of its own, of another row":        {store.Key("epoch", store.ID(record.KeyID[:]), store.ID(eh[:]), store.Name("share")), decision},
	} {
		s.below(h, store.Entry{Key: c.key, Value: c.value})
		how := s.meets(h, what, c.key)
		if how == "read" && !strings.HasPrefix(c.key, "burns/") && !strings.HasSuffix(c.key, "/share") {
			t.Errorf("%s: the node starts over %s", what, c.key)
		}
		s.reset(h, was)
	}
	s.Start(h)
	s.Run("mended, it works", func() bool { return s.Greeted() })
}

// belowTags are all rows as they lie on a host's disk.
func (s setting) belowTags(h *nodetest.Host) (all []store.Item) {
	s.T.Helper()
	s.Below(h, func(st store.Store) {
		for after, last := "", false; !last; after = all[len(all)-1].Key {
			page, err := st.Range(context.Background(), "", after, store.MaxLimit)
			if err != nil {
				s.T.Fatal(err)
			}
			all, last = append(all, page...), len(page) < store.MaxLimit
		}
	})
	return all
}

// kinds are those of the table in spec/store 2.
func kinds(t *testing.T) (all []string) {
	t.Helper()
	spec, err := os.ReadFile("../spec/store.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllSubmatch(spec, -1) {
		if k := string(m[1]); !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	return all
}

// A changed byte in a row of each kind that a node has, and a made-up row of each kind that there is, are refused by name; most of them where the node starts.
func TestEveryKindOfRowIsRefused(t *testing.T) {
	t.Parallel()
	s, h, _, _ := twoIntents(t)
	was, has := s.belowTags(h), map[string]store.Item{}
	for _, it := range was {
		kind, _, _ := strings.Cut(it.Key, "/")
		has[kind] = it
	}
	all := kinds(t)
	if len(has) < 30 || len(all) < 80 {
		t.Fatalf("%d kinds of row are there, the table has %d", len(has), len(all))
	}
	// What a start need not read, since nothing is done by it alone; where it is read it is refused.
	later := map[string]bool{}
	for _, kind := range all {
		it, there := has[kind]
		if there {
			forged := slices.Clone(it.Value)
			forged[0] ^= 1
			s.below(h, store.Entry{Key: it.Key, Value: forged})
		} else {
			it.Key = kind + "/" + strings.Repeat("0", 64)
			s.below(h, store.Entry{Key: it.Key, Value: []byte("made up, and long enough for a tag")})
		}
		if s.meets(h, kind, it.Key) == "read" && there {
			later[kind] = true
		}
		s.reset(h, was)
	}
	for _, kind := range []string{
		"burn", "charter", "charter-since", "decision", "in-force", "instance", "intent", "log-head", "newest", "proposal", "roster", "seen-life", "vault", "vote",
	} {
		if later[kind] {
			t.Errorf("a node starts over a forged row %s", kind)
		}
	}
	t.Logf("read later: %v", later)
	s.Start(h)
	s.Run("mended, it works", func() bool { return s.Greeted() })
}

// What an older release's store holds of an intent that may still move is verified against its signers when the node starts: somebody may have written there before
// rows carried tags. The intent is set aside, with the row's name.
func TestStartVerifiesWhatWasSigned(t *testing.T) {
	t.Parallel()
	base := prepare(t, 2, 2)
	base.Downtime = -1
	signed := base.Propose(base.vault, base.addr, 0)
	base.Approve(signed)
	base.Run("signed", func() bool { return base.Signed(signed) })
	waits := base.Propose(base.vault, base.addr, 1)
	base.Run("a vote is taken", func() bool {
		_, err := base.Submit(base.Vote(waits, nodetest.Approvers[0], signet.Approve))
		return err == nil
	})
	base.Deliver()
	h := base.Hosts[1]
	id, of := waits.ID(), signed.ID()
	flip := func(prefix string, at int) func(setting, *nodetest.Host) {
		return func(s setting, h *nodetest.Host) {
			rows := s.Rows(h, prefix)
			if len(rows) == 0 {
				t.Fatalf("no row %s", prefix)
			}
			v := slices.Clone(rows[0].Value)
			if at < 0 {
				at += len(v)
			}
			v[at] ^= 1
			s.rewrite(h, store.Entry{Key: rows[0].Key, Value: v})
		}
	}
	life := func(s setting, h *nodetest.Host) (intent.Life, string) {
		rows := s.Rows(h, store.Key("intent", store.ID(id[:])))
		l, err := intent.DecodeLife(rows[0].Value, waits, h.Keeper.Vault(s.vault)[0].Vault)
		if err != nil {
			t.Fatal(err)
		}
		return l, rows[0].Key
	}
	apply := func(l intent.Life, s setting, h *nodetest.Host, e intent.Event) intent.Life {
		l, err := l.Apply(e, s.Clock(h))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	// allowed is a life that counts an ALLOW of each operator.
	allowed := func(s setting, h *nodetest.Host) store.Entry {
		l, key := life(s, h)
		for _, x := range s.Hosts {
			l = apply(l, s, h, intent.Decided{Operator: x.Own.Name, Verdict: intent.Allow})
		}
		return store.Entry{Key: key, Value: l.Bytes()}
	}
	// moved are the other intent's decisions in this one's place.
	moved := func(s setting, h *nodetest.Host, change bool) (put []store.Entry) {
		for _, r := range s.Rows(h, store.Prefix("decision", store.ID(of[:]))) {
			if change {
				r.Value = append(r.Value[:64:64], strings.ReplaceAll(string(r.Value[64:]), fmt.Sprintf("%x", of[:]), fmt.Sprintf("%x", id[:]))...)
			}
			put = append(put, store.Entry{Key: strings.Replace(r.Key, fmt.Sprintf("%x", of[:]), fmt.Sprintf("%x", id[:]), 1), Value: r.Value})
		}
		return put
	}
	for name, c := range map[string]struct {
		row, says string
		change    func(setting, *nodetest.Host)
	}{
		"the initiator's signature": {"proposal", "signature", flip(store.Key("proposal", store.ID(id[:])), -60)},
		"a vote's":                  {"vote", "the vote of", flip(store.Prefix("vote", store.ID(id[:])), -60)},
		"a vote's flags": {"vote", "counts as with", func(s setting, h *nodetest.Host) {
			was, key := life(s, h)
			l, err := intent.New(waits, h.Keeper.Vault(s.vault)[0].Vault, s.Clock(h))
			if err != nil {
				t.Fatal(err)
			}
			vote := was.Votes()[0]
			vote.Flags.Verified = !vote.Flags.Verified
			s.rewrite(h, store.Entry{Key: key, Value: apply(l, s, h, intent.Answer{Vote: vote}).Bytes()})
		}},
		"a decision's": {"decision", "the decision of", func(s setting, h *nodetest.Host) {
			s.rewrite(h, append(moved(s, h, true), allowed(s, h))...)
		}},
		"ALLOWs that nobody said": {"decision", "it is missing", func(s setting, h *nodetest.Host) { s.rewrite(h, allowed(s, h)) }},
		"ALLOWs of another intent": {"decision", "on intent " + of.Short(), func(s setting, h *nodetest.Host) {
			s.rewrite(h, append(moved(s, h, false), allowed(s, h))...)
		}},
		"ALLOWs that do not count": {"decision", "counts otherwise", func(s setting, h *nodetest.Host) { s.rewrite(h, moved(s, h, true)...) }},
		"a denial that counts as an ALLOW": {"decision", "said " + string(intent.Deny), func(s setting, h *nodetest.Host) {
			put := moved(s, h, true)
			for i := range put {
				put[i].Value = append(put[i].Value[:64:64], strings.Replace(string(put[i].Value[64:]), string(intent.Allow), string(intent.Deny), 1)...)
			}
			s.rewrite(h, append(put, allowed(s, h))...)
		}},
		"who said both": {"contrary", "it is missing", func(s setting, h *nodetest.Host) {
			l, key := life(s, h)
			for _, v := range []intent.Verdict{intent.Allow, intent.Deny} {
				l = apply(l, s, h, intent.Decided{Operator: h.Own.Name, Verdict: v})
			}
			own := slices.DeleteFunc(moved(s, h, true), func(e store.Entry) bool { return !strings.HasSuffix(e.Key, "/"+h.Own.Name) })
			s.rewrite(h, append(own, store.Entry{Key: key, Value: l.Bytes()})...)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			s.Downtime = -1
			o := s.Hosts[slices.Index(base.Hosts, h)]
			if _, err := o.Desk.Show(id); err != nil {
				t.Fatalf("before: %v", err)
			}
			c.change(s, o)
			if _, err := o.Desk.Show(id); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), `record "`+c.row+"/") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("shown: %v", err)
			}
			if _, err := o.Desk.Show(of); err != nil {
				t.Errorf("the other intent: %v", err)
			}
		})
	}
}
