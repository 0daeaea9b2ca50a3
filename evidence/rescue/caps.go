package rescue

import (
	"maps"
	"math"
	"slices"
	"sort"
)

// sums adds up what was signed, at most, by asset: of all that have one nonce a chain takes one, so together they count as the largest of each asset. So many of the largest are
// left out, each in its asset.
func sums(all []Outflow, without int) map[string]int64 {
	parts, slots := map[string][]int64{}, map[string]map[string]int64{}
	for _, o := range all {
		for asset, n := range o.Moves {
			switch {
			case o.Slot == "":
				parts[asset] = append(parts[asset], n)
			case slots[o.Slot] == nil:
				slots[o.Slot] = map[string]int64{asset: n}
			default:
				slots[o.Slot][asset] = max(slots[o.Slot][asset], n)
			}
		}
	}
	for _, most := range slots {
		for asset, n := range most {
			parts[asset] = append(parts[asset], n)
		}
	}
	out := map[string]int64{}
	for asset, each := range parts {
		slices.Sort(each)
		for _, n := range each[:max(len(each)-without, 0)] {
			out[asset] += min(n, math.MaxInt64-out[asset])
		}
	}
	return out
}

// alone puts what the chain took for good in the place of all that have its nonce, whoever asked for it and by whichever rules, as dockets do (spec/sos 5.4). Where two are said to
// have it, or what took it cannot be counted, all stays as it is: unknown is spent.
func (j *judge) alone(some []Outflow, took func(Outflow) bool) (out []Outflow) {
	by, placed := map[string][]Outflow{}, map[string]bool{}
	for _, o := range j.Outflows {
		if o.Slot != "" && took(o) {
			by[o.Slot] = append(by[o.Slot], o)
		}
	}
	for _, o := range some {
		switch x := by[o.Slot]; {
		case len(x) != 1 || x[0].Unmeasured != "":
			out = append(out, o)
		case !placed[o.Slot]:
			placed[o.Slot] = true
			out = append(out, x[0])
		}
	}
	return out
}

// unseen is how many the chain took of which it is not shown which nonce they have: each may have made one of these void.
func (j *judge) unseen(some []Outflow, took func(Outflow) bool) (n int) {
	for _, o := range j.Outflows {
		if o.Slot == "" && took(o) && slices.ContainsFunc(some, func(x Outflow) bool { return x.Vault == o.Vault }) {
			n++
		}
	}
	return n
}

// settled says that as many logs as sign tell that the chain took it for good: one of them is honest. As many as sign in its epoch, or in that of what has its nonce too: of the
// older committee fewer may be left than signed there. claimed, that any does.
func settled(some []Outflow) func(Outflow) bool {
	return func(o Outflow) bool {
		need := o.Threshold
		for _, x := range some {
			if x.Slot == o.Slot || o.Slot == "" {
				need = min(need, x.Threshold)
			}
		}
		return len(o.Taken) >= max(need, 1)
	}
}

func claimed(o Outflow) bool { return len(o.Taken) > 0 }

// counted holds each node that allowed something by the plan to the caps, as its own docket counts them at that leaf (spec/sos 5.4): what it had allowed by then, of one
// nonce the largest, or what its own log by then says that the chain took. One that has a new log does not know all that it counted.
func (j *judge) counted(c *inquiry) {
	for _, name := range c.allowers() {
		if l, ok := j.log(name); !ok || !l.Renewed.IsZero() {
			continue
		}
		mine := slices.DeleteFunc(slices.Clone(c.left), func(o Outflow) bool { _, allowed := o.Allowed[name]; return o.Ruled != c.id || !allowed })
		sort.Slice(mine, func(i, k int) bool { return mine[i].Allowed[name].Leaf < mine[k].Allowed[name].Leaf })
		doubted := false
		for i, o := range mine {
			own := func(x Outflow) bool {
				at, told := x.Taken[name]
				return told && at.Leaf < o.Allowed[name].Leaf
			}
			over := func(without int) string {
				total := sums(j.alone(mine[:i+1], own), without)
				for _, asset := range slices.Sorted(maps.Keys(o.Moves)) {
					if most, capped := c.Plan.Cap(asset); capped && total[asset] > most {
						return asset
					}
				}
				return ""
			}
			if asset := over(j.unseen(mine, own)); asset != "" {
				j.accuse(c, name, claimCaps, "leaf %d of its log allows request %s, with which more of %s leaves than the plan lets, as far as it knew then", o.Allowed[name].Leaf, o.Intent.Short(), asset)
				break
			}
			if asset := over(0); asset != "" && !doubted {
				doubted = true
				j.attend("leaf %d of %s's log allows request %s in emergency %s, with which no more of %s leaves than the plan lets only if what is withheld, and the chain took by then, has the nonce of another", o.Allowed[name].Leaf, name, o.Intent.Short(), c.id.Short(), asset)
			}
		}
	}
}

// allowers are the operators whose nodes allowed something by the plan.
func (c *inquiry) allowers() []string {
	all := map[string]bool{}
	for _, o := range c.left {
		for name := range o.Allowed {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// total is what left, of some. What took a nonce and is none of them counts as no more than what it made void: it may be larger, and nobody allowed it by the plan.
func (j *judge) total(some []Outflow, took func(Outflow) bool, without int) map[string]int64 {
	all := j.alone(some, took)
	for i, o := range all {
		if among(some, o) {
			continue
		}
		most := sums(slices.DeleteFunc(slices.Clone(some), func(x Outflow) bool { return x.Slot != o.Slot }), 0)
		all[i].Moves = map[string]int64{}
		for asset, n := range o.Moves {
			all[i].Moves[asset] = min(n, most[asset])
		}
	}
	return sums(all, without)
}

func among(some []Outflow, o Outflow) bool {
	return slices.ContainsFunc(some, func(x Outflow) bool { return x.Intent == o.Intent })
}

// judgeCaps counts all that left under one emergency against its plan's caps (S11), and each of its protective calls against how often that may be made.
func (j *judge) judgeCaps(c *inquiry) {
	took := settled(c.left)
	unseen := j.unseen(c.left, took)
	total, least := j.total(c.left, took, 0), j.total(c.left, took, unseen)
	j.counted(c)
	behind := slices.ContainsFunc(c.left, func(o Outflow) bool { return len(o.Told) < o.Threshold }) // logs are shown up to different times
	said := j.total(c.left, claimed, j.unseen(c.left, claimed))
	for _, asset := range slices.Sorted(maps.Keys(total)) {
		most, capped := c.Plan.Cap(asset)
		c.Left = append(c.Left, Left{asset, total[asset], most, capped})
		switch {
		case !capped || total[asset] <= most:
		case least[asset] <= most:
			j.attend("in emergency %s no more of %s left than its plan lets only if what is withheld, and the chain took, has the nonce of another", c.id.Short(), asset)
		case behind && said[asset] <= most:
			j.attend("in emergency %s no more of %s left than its plan lets only if the chain took what some logs say that it took, and too few do so far", c.id.Short(), asset)
		default:
			j.find(c.subject(j.Story), claimCaps, "what its nodes signed moves %d of %s, in the charter's units and with fees; its plan lets %d leave in all", total[asset], asset, most)
		}
	}
	j.judgeCalls(c, took, unseen)
}

// judgeCalls counts protective calls. What took a nonce and is not of the emergency is none of its calls.
func (j *judge) judgeCalls(c *inquiry, took func(Outflow) bool, unseen int) {
	made, seen := map[string]int{}, map[string]bool{}
	for _, o := range j.alone(c.left, took) {
		if !among(c.left, o) {
			continue
		}
		for _, x := range o.Calls {
			call, ok := c.Plan.Called(o.Chain, x.To, x.Data)
			if at := call.Name + " " + o.Slot; ok && (o.Slot == "" || !seen[at]) {
				seen[at] = true
				made[call.Name]++
			}
		}
	}
	for _, call := range c.Plan.Calls {
		switch n := made[call.Name]; {
		case n-unseen > call.Times:
			j.find(c.subject(j.Story), claimLock, "call %s is allowed %d times, its nodes signed it %d times", call.Name, call.Times, n)
		case n > call.Times:
			j.attend("in emergency %s call %s was made no more than %d times only if what is withheld, and the chain took, has the nonce of another", c.id.Short(), call.Name, call.Times)
		}
	}
}
