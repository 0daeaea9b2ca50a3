package verify

import (
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// Leaves bear their own node's time, and nobody makes a node tell it rightly. So no leaf counts as older than the one before it, nor as younger
// than the reader's clock; up to when a log is shown, those say who saw it so; and what several logs tell was told when the one in the middle says.

// tick takes a leaf's time.
func (h *history) tick(at, now time.Time) {
	var before time.Time
	if n := len(h.times); n > 0 {
		before = h.times[n-1]
	}
	if d := at.Sub(now); d > h.ahead {
		h.ahead, at = d, now
	} else if d > 0 {
		at = now
	}
	if d := before.Sub(at); d > 0 {
		h.back, at = max(h.back, d), before
	}
	h.times = append(h.times, at)
}

// last is when the log told its last, by its own clock.
func (h *history) last() time.Time {
	if len(h.times) == 0 {
		return time.Time{}
	}
	return h.times[len(h.times)-1]
}

// reaches says up to when each log is shown: its own last leaf, or when who cosigned it saw no more of it.
func (v *verifier) reaches() {
	for _, h := range v.logs {
		h.reach = h.last()
		for _, c := range v.cosigned[h] {
			if at := earlier(c.Time, v.Now); at.After(h.reach) {
				h.reach = at
			}
		}
		if h.ahead > intent.Skew {
			v.report.attend(fmt.Sprintf("the log of %s has entries that are dated %s ahead: its clock was wrong, or the one here is", h.operator, h.ahead.Round(time.Minute)))
		}
		if h.back > intent.Skew {
			v.report.attend(fmt.Sprintf("the clock of the log of %s ran back by %s: its entries count as no older than those before them", h.operator, h.back.Round(time.Minute)))
		}
		if v.Now.Sub(h.reach) > 2*v.interval()+late {
			v.report.attend(fmt.Sprintf("the log of %s is shown up to %s only", h.operator, statement.FormatTime(h.reach)))
		}
	}
}

// gone says whether so much time went by after something, as far as a log is shown, that the log must tell of it.
func (v *verifier) gone(h *history, at time.Time) bool { return h.reach.After(at.Add(v.Grace)) }

// excused says whether a log may lack something of then: its node was restored from a copy since, and its operator said so.
func (h *history) excused(at time.Time) bool { return h.generation > 0 && at.Before(h.renewed) }

// told is when something was, as logs tell: the time in the middle, so that no single log's clock decides; and which logs tell.
func (v *verifier) told(id [32]byte, kinds ...string) (time.Time, []*history) {
	var all []time.Time
	var by []*history
	for _, h := range v.logs {
		for _, k := range kinds {
			if i, ok := h.has(k, id); ok {
				all, by = append(all, h.times[i]), append(by, h)
				break
			}
		}
	}
	return middle(all), by
}

// middle is the middle of times, the later one of two; zero if there is none.
func middle(all []time.Time) time.Time {
	if len(all) == 0 {
		return time.Time{}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all[len(all)/2]
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func operatorsOf(logs []*history) (names []string) {
	for _, h := range logs {
		names = append(names, h.operator)
	}
	slices.Sort(names)
	return names
}

// tellsOf is every kind that tells of a statement.
var tellsOf = []string{tlog.KindStatement, tlog.KindPrivate}
