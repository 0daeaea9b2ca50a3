package node_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/dkls"
	"github.com/ostraka/ostraka/node/nodetest"
)

// frameCosigned answers a request for a cosignature (spec/node 2).
const frameCosigned = 23

// witnessed is a circle with a t-of-n vault whose nodes sign once so many others have cosigned their logs.
func witnessed(t *testing.T, tier string, n, threshold, witnesses int) setting {
	t.Helper()
	w := nodetest.New(t, n)
	w.Tier = tier
	w.Found()
	file := w.VaultFile("treasury", threshold)
	file.Witnesses = witnesses
	id := w.AcceptVault(file)
	w.Run("the key is published", func() bool { return w.Published(id) })
	s := setting{w, id, w.Account(id)}
	if tier == charter.TierHot {
		s.fill(dkls.PoolCapacity)
	}
	return s
}

// deaf drops the cosignatures that these hosts' logs are given, until it is told to stop.
func (s setting) deaf(hosts ...*nodetest.Host) (stop func()) {
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.Frame[0] == frameCosigned && slices.Contains(hosts, p.To) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	return func() { s.Pass = nil }
}

// nothing waits for a while, in which no host signs the intent nor gives it up, and nobody is thought the worse of.
func (s setting) nothing(st statement.Statement, how time.Duration) {
	s.T.Helper()
	over := func() bool {
		return slices.ContainsFunc(s.Hosts, func(h *nodetest.Host) bool {
			return h.Up && !slices.Contains([]intent.State{intent.Proposed, intent.Approving, intent.Allowed, intent.Signing}, s.State(h, st.ID()))
		})
	}
	if s.Try(how, over) {
		s.T.Fatalf("an intent whose ALLOW is not cosigned came to an end; log:\n%s", s.Tail())
	}
	for _, h := range s.Hosts {
		if rows := s.Rows(h, "shunned/"); len(rows) > 0 {
			s.T.Errorf("%s shuns %d parties, and nobody was in the way", h.Own.Name, len(rows))
		}
	}
}

func waitsFor(h *nodetest.Host, st statement.Statement) string {
	v, err := h.Desk.Show(st.ID())
	if err != nil {
		return err.Error()
	}
	return v.Waits
}

// While one node's log, or everybody's, is not cosigned by as many others as the charter demands, nothing is signed, in three rounds or in
// one; as soon as it is, everybody signs. It costs no attempt and no good name.
func TestSigningWaitsForCosignatures(t *testing.T) {
	t.Parallel()
	for _, tier := range []string{charter.TierWarm, charter.TierHot} {
		for _, all := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, all %t", tier, all), func(t *testing.T) {
				t.Parallel()
				s := witnessed(t, tier, 3, 3, 2)
				hosts := s.Hosts
				if !all {
					hosts = s.Hosts[1:2]
				}
				stop := s.deaf(hosts...)
				st := s.Propose(s.vault, s.addr, 0)
				s.Approve(st)
				s.Run("all allow it", func() bool {
					return s.All(func(h *nodetest.Host) bool { return s.State(h, st.ID()) >= intent.Allowed })
				})
				s.nothing(st, 4*time.Minute)
				if got := waitsFor(hosts[0], st); got != "waits for 2 other operators to cosign the log: 0 have" {
					t.Errorf("it says %q", got)
				}
				stop()
				began := s.Now
				s.Run("signed", func() bool { return s.Signed(st) })
				if took := s.Now.Sub(began); took > 45*time.Second {
					t.Errorf("signed %s after the logs are cosigned again", took)
				}
				for _, h := range s.Hosts {
					if v, err := h.Desk.Show(st.ID()); err != nil || v.Waits != "" {
						t.Errorf("%s still says %q, %v", h.Own.Name, v.Waits, err)
					}
				}
			})
		}
	}
}

// Without that demand nobody waits for cosignatures; with it and no trouble, a signature is a matter of seconds.
func TestSigningSoonWhereNothingIsInTheWay(t *testing.T) {
	t.Parallel()
	for witnesses, most := range map[int]time.Duration{0: 4 * time.Second, 2: 15 * time.Second} {
		t.Run(fmt.Sprint(witnesses, " witnesses"), func(t *testing.T) {
			t.Parallel()
			s := witnessed(t, charter.TierWarm, 3, 3, witnesses)
			if witnesses == 0 {
				s.deaf(s.Hosts...)
			}
			began := s.Now
			st := s.Propose(s.vault, s.addr, 0)
			s.Approve(st)
			s.Run("signed", func() bool { return s.Signed(st) })
			if took := s.Now.Sub(began); took > most {
				t.Errorf("signed after %s", took)
			}
		})
	}
}

// Two of three sign without the one whose log nobody cosigns; and a restart makes nobody forget what it waits for.
func TestOthersSignMeanwhile(t *testing.T) {
	t.Parallel()
	s := witnessed(t, charter.TierWarm, 3, 2, 1)
	deaf := s.seats()[0] // the first whom the others ask
	s.deaf(deaf)
	st := s.Propose(s.vault, s.addr, 0)
	s.Approve(st)
	s.Run("the others sign", func() bool { return s.Signed(st) })

	s.deaf(s.Hosts...)
	st = s.Propose(s.vault, s.addr, 1)
	s.Approve(st)
	s.nothing(st, time.Minute)
	for _, h := range s.Hosts {
		s.Crash(h)
	}
	s.Run("all are there again", func() bool { return s.All(func(*nodetest.Host) bool { return true }) })
	s.Greet()
	s.nothing(st, time.Minute)
	for _, h := range s.Hosts {
		if got := waitsFor(h, st); !strings.HasPrefix(got, "waits for 1 other operators") {
			t.Errorf("%s says %q after its restart", h.Own.Name, got)
		}
	}
	s.Pass = nil
	s.Run("signed", func() bool { return s.Signed(st) })
}

// What was cosigned before the ALLOW stood in the log does not count for it.
func TestOldCosignaturesDoNotCount(t *testing.T) {
	t.Parallel()
	s := witnessed(t, charter.TierWarm, 3, 3, 2)
	s.Run("every log is cosigned by the others", func() bool {
		return s.All(func(h *nodetest.Host) bool { return cosigned(h, 2) })
	})
	h := s.Hosts[0]
	head, _ := h.Journal.Head(t.Context())
	if n := h.Witness.Cosigned(head.Size); n != 2 {
		t.Fatalf("%d have cosigned the whole log", n)
	}
	if n := h.Witness.Cosigned(head.Size + 1); n != 0 {
		t.Errorf("%d have cosigned what is not there", n)
	}
	s.deaf(s.Hosts...)
	st := s.Propose(s.vault, s.addr, 0)
	s.Approve(st)
	s.nothing(st, time.Minute)
}

// An operator that opens sessions and gives each up with the word that somebody cannot join yet keeps the two others from nothing.
func TestNotYetHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	s := witnessed(t, charter.TierWarm, 3, 2, 1)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // its node takes no part
		if p.From == c && nodetest.OfSession(p.Frame) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	st, n := s.voted(0), 0
	attack := func() {
		for _, h := range []*nodetest.Host{a, b} {
			n++
			x, frame := s.lure(st, c, h, n)
			s.Forge(c, h, frame)
			hash := x.Hash()
			var e transcript.Encoder
			e.Bytes(1, hash[:]).String(2, "waits for 1 other operators to cosign the log: 0 have").Uint(3, 1)
			s.Forge(c, h, append([]byte{nodetest.FrameDecline}, e.Sum()...))
		}
	}
	s.Run("the two others sign", func() bool {
		attack()
		return s.at(st, intent.Signed, a, b)
	})
	// Nor where the charter demands nothing of the kind, and the word can only mean that an operator holds its node to limits (spec/node 14.2).
	plain := witnessed(t, charter.TierWarm, 3, 2, 0)
	a, b, c = plain.Hosts[0], plain.Hosts[1], plain.Hosts[2]
	plain.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == c && nodetest.OfSession(p.Frame) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	s, st = plain, plain.voted(0)
	s.Run("the two others sign here too", func() bool {
		attack()
		return s.at(st, intent.Signed, a, b)
	})
}
