package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/sos"
)

// An activationDocument is an activation, by the node that has most of it.
type activationDocument struct {
	ID           string   `json:"id"`
	Key          string   `json:"key"`
	Contributors []string `json:"contributors"`
	Members      []string `json:"members"` // who will hold the new shares
	Signed       []string `json:"signed"`  // contributors
	Whole        bool     `json:"whole"`   // all signed, and a node took it
	Given        []string `json:"given"`   // guardians who contributed
	Quorum       int      `json:"quorum"`  // so many it takes
	Gave         []string `json:"gave"`    // contributors that gave their part
}

// activationsOf are a request's, of each the most that some node has: what one has comes to the others.
func activationsOf(q client.RescueRequest) []activationDocument {
	out := []activationDocument{}
	for _, v := range q.Views {
		for _, a := range v.Activations {
			x := activationDocument{a.ID.String(), hex.EncodeToString(a.Key[:]), list(a.Contributors), list(a.Members), list(a.Signed), a.Whole, list(a.Given), v.Quorum, list(a.Gave)}
			i := slices.IndexFunc(out, func(o activationDocument) bool { return o.ID == x.ID })
			if i < 0 {
				out = append(out, x)
				continue
			}
			o := &out[i]
			o.Whole, o.Signed, o.Given, o.Gave = o.Whole || x.Whole, union(o.Signed, x.Signed), union(o.Given, x.Given), union(o.Gave, x.Gave)
		}
	}
	slices.SortStableFunc(out, func(a, b activationDocument) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func union(a, b []string) []string {
	return list(slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b)))))
}

// without are the names that are not among these.
func without(names, these []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(these, name) })
}

// renewed are the request's keys that have new shares by it, as some node has it.
func renewed(q client.RescueRequest) []string {
	out := []string{}
	for _, v := range q.Views {
		for _, k := range v.Reshared {
			out = append(out, hex.EncodeToString(k[:]))
		}
	}
	return list(slices.Compact(slices.Sorted(slices.Values(out))))
}

// printDoings shows the activations, and the keys with new shares.
func printDoings(w io.Writer, q client.RescueRequest) {
	fresh := renewed(q)
	for _, x := range activationsOf(q) {
		if slices.Contains(fresh, x.Key) {
			continue
		}
		fmt.Fprintf(w, "  activation %.8s of key %.12s, for %s: signed by %s", x.ID, x.Key, strings.Join(x.Members, ", "), orNone(x.Signed))
		if rest := without(x.Contributors, x.Signed); len(rest) > 0 {
			fmt.Fprintf(w, ", and awaits %s", strings.Join(rest, ", "))
		}
		fmt.Fprintf(w, "; contributions %d of %d: %s", len(x.Given), x.Quorum, orNone(x.Given))
		if len(x.Gave) > 0 {
			fmt.Fprintf(w, "; %s gave their part", strings.Join(x.Gave, ", "))
		}
		fmt.Fprintln(w)
	}
	for _, k := range fresh {
		fmt.Fprintf(w, "  key %.12s has new shares\n", k)
	}
}

// A step is what people do about a request now; empty: it is over.
type step struct {
	text  string
	waits bool // for people: without them the request goes no further
}

func sosNext(r client.Rescue, q client.RescueRequest) string { return nextStep(r, q).text }

// nextStep goes by the node that is furthest.
func nextStep(r client.Rescue, q client.RescueRequest) step {
	at := map[string]bool{}
	for _, v := range q.Views {
		at[v.State] = true
	}
	id := q.ID.Short()
	switch {
	case at[sos.LockUp.String()]:
		return step{"new exports, drills and a report; then officers of the new committee run `ostraka sos close " + r.Name + " --as OPERATOR --report FILE`", awaits(q, sos.LockUp, "a closing of key")}
	case at[sos.Active.String()]:
		return activeStep(r, q, id)
	case at[sos.Contest.String()]:
		return step{"wait; `ostraka sos appeal " + id + " --out FILE` lets guardians' own clocks count. If it is wrong, guardians run `ostraka sos veto " + id + "`, and the operator `ostraka sos alive`", awaits(q, sos.Contest, "must consent") || awaits(q, sos.Contest, "must confirm")}
	case at[sos.Declared.String()]:
		return step{"wait: the delay begins once the logs that must hold it do", false}
	case at[sos.Armed.String()]:
		return step{"call " + strings.Join(q.Subjects, ", ") + " first; who is for it runs `ostraka sos support " + id + " --as NAME`, a guardian who is not `ostraka sos veto " + id + "`", true}
	}
	return step{}
}

// awaits says that a node in a state waits for something. What it waits for stands in its own words.
func awaits(q client.RescueRequest, at sos.State, words string) bool {
	return slices.ContainsFunc(q.Views, func(v client.RequestView) bool {
		return v.State == at.String() && slices.ContainsFunc(v.Waiting, func(what string) bool { return strings.Contains(what, words) })
	})
}

// activeStep is what comes next in ACTIVE, by what is there: the key that is least far says it.
func activeStep(r client.Rescue, q client.RescueRequest, id string) step {
	fresh, doings := renewed(q), activationsOf(q)
	activate := step{"an operator runs `ostraka sos activate " + r.Name + "`, then `ostraka sos appeal " + id + " --out FILE` for the guardians, who contribute with `ostraka sos support --request FILE`; all of it within the window", true}
	var least *activationDocument
	for _, k := range q.Keys {
		key := hex.EncodeToString(k.Key[:])
		if slices.Contains(fresh, key) {
			continue
		}
		x := foremost(doings, key)
		if x == nil {
			return activate
		}
		if least == nil || x.far() < least.far() {
			least = x
		}
	}
	switch {
	case least == nil && len(q.Keys) > 0:
		return step{"there are new shares: treasurers run `ostraka sos sweep " + r.Name + "`; each member of the new committee cuts a new export (`ostraka backup cut`), guardians run `ostraka backup drill`. A report and `ostraka sos close` come in LOCK-UP, once the window is over", false}
	case least == nil:
		return activate
	}
	switch least.far() {
	case unsigned:
		return step{fmt.Sprintf("activation %.8s awaits the node of %s: it signs by itself once it is ACTIVE and reaches the others; if it does not, its operator looks into its log, or runs `ostraka sos activate %s` with the same options", least.ID, strings.Join(without(least.Contributors, least.Signed), ", "), r.Name), true}
	case unanswered:
		return step{fmt.Sprintf("contributions %d of %d: `ostraka sos appeal %s --out FILE`, and send it to guardians that have not answered; they contribute with `ostraka sos support --request FILE`, anybody hands it in with `--send`; all of it within the window", len(least.Given), least.Quorum, id), true}
	}
	return step{"wait: the contributors' nodes ask for vetoes, give their parts and make the new shares by themselves", false}
}

// foremost is the activation of a key that will be carried out, or the last one.
func foremost(all []activationDocument, key string) (x *activationDocument) {
	for i := range all {
		if all[i].Key == key && (x == nil || all[i].far() > x.far()) {
			x = &all[i]
		}
	}
	return x
}

// How far an activation is.
const (
	unsigned = iota
	unanswered
	underway
)

func (x activationDocument) far() int {
	switch {
	case len(x.Gave) > 0 || x.Whole && len(x.Given) >= x.Quorum:
		return underway
	case x.Whole || len(without(x.Contributors, x.Signed)) == 0:
		return unanswered
	}
	return unsigned
}
