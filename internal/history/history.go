// Package history records what callers asked of something that several share, and what each was told, and asks whether there is one order of all of
// it that explains every answer (linearizability; Herlihy and Wing, 1990). porcupine searches for the order; the models say what a right answer is.
// Tests alone import it.
//
// An outcome that nobody knows *may or may not have happened*, at any moment up to a bound: a model tries both.
package history

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// Forever is the end of an operation of which nobody knows when it took effect, if it did.
const Forever int64 = math.MaxInt64

// A History is what was asked and answered. Its methods may be called at any time by anybody.
type History struct {
	began time.Time

	mu  sync.Mutex
	all []porcupine.Operation
}

// New begins one.
func New() *History { return &History{began: time.Now()} }

// Now is a moment of this history, on a clock that nobody sets.
func (h *History) Now() int64 { return int64(time.Since(h.began)) }

// Add records that somebody asked at one moment and was answered at another.
func (h *History) Add(who int, call, end int64, asked, answer any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, porcupine.Operation{ClientId: who, Call: call, Return: end, Input: asked, Output: answer})
}

// Len is how many were recorded.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.all)
}

// A Model says what a right answer is.
type Model struct {
	part func(asked any) string // operations on different parts have nothing to do with one another
	porcupine.Model
}

// limit is generous: a search that does not end is no answer.
const limit = 2 * time.Minute

// Check searches an order for every part of the history; its error shows the part for which there is none.
func (h *History) Check(m Model) error {
	h.mu.Lock()
	parts := map[string][]porcupine.Operation{}
	for _, op := range h.all {
		name := m.part(op.Input)
		parts[name] = append(parts[name], op)
	}
	h.mu.Unlock()
	for name, ops := range parts {
		switch found := porcupine.CheckOperationsTimeout(m.Model, ops, limit); found {
		case porcupine.Ok:
		case porcupine.Unknown:
			return fmt.Errorf("%s: no order was found in %v, and none was excluded: %d operations", name, limit, len(ops))
		default:
			return fmt.Errorf("%s: no order explains what was answered:\n%s", name, told(ops))
		}
	}
	return nil
}

func told(ops []porcupine.Operation) string {
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int { return int(min(max(a.Call-b.Call, -1), 1)) })
	var b strings.Builder
	const most = 200
	for _, op := range ops[:min(len(ops), most)] {
		end := "never"
		if op.Return != Forever {
			end = fmt.Sprint(time.Duration(op.Return))
		}
		fmt.Fprintf(&b, "%3d  %v to %s: %+v: %+v\n", op.ClientId, time.Duration(op.Call), end, op.Input, op.Output)
	}
	if len(ops) > most {
		fmt.Fprintf(&b, "and %d more\n", len(ops)-most)
	}
	return b.String()
}
