package plan

import (
	"github.com/ostraka/ostraka/crypto/transcript"
)

// Sum is a digest of the whole plan. What a node stores of a request names it, so that no other plan can be put under an open
// request (S7: neither a later charter nor a changed database).
func (p Plan) Sum() [32]byte {
	h := transcript.New(transcript.SOSDigest).Bytes(p.Charter[:]).Bytes(p.Vault[:]).Bytes([]byte(p.Name)).Uint(truth(p.Drill))
	h.Uint(uint64(p.Threshold)).Uint(uint64(p.Live)).Uint(uint64(p.Quorum)).Uint(uint64(p.Starters)).Uint(uint64(p.Organisations)).Uint(uint64(p.Witnesses))
	h.Uint(uint64(p.Heartbeat)).Uint(uint64(p.Window)).Uint(uint64(p.LockUp)).Uint(uint64(p.DrillEvery)).Uint(uint64(p.Least))
	h.Bytes([]byte(p.Chain)).Uint(p.Blocks).List(texts(p.Successors)...)
	h.List(each(p.Operators, Operator.encode)...).List(each(p.Others, Operator.encode)...).List(each(p.Guardians, Guardian.encode)...)
	h.List(each(p.Triggers, Trigger.encode)...).List(each(p.Destinations, Destination.encode)...).List(each(p.Caps, Cap.encode)...)
	h.List(each(p.Calls, Call.encode)...).List(each(p.Tranches, Tranche.encode)...)
	return h.Sum256()
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func texts(all []string) [][]byte {
	return each(all, func(s string) []byte { return []byte(s) })
}

func each[T any](all []T, encode func(T) []byte) [][]byte {
	out := make([][]byte, len(all))
	for i, x := range all {
		out[i] = encode(x)
	}
	return out
}

// row encodes fields as one tlv, numbered from 1.
type row struct {
	e transcript.Encoder
	n transcript.Tag
}

func (r *row) text(values ...string) *row {
	for _, v := range values {
		r.n++
		r.e.String(r.n, v)
	}
	return r
}

func (r *row) uint(values ...uint64) *row {
	for _, v := range values {
		r.n++
		r.e.Uint(r.n, v)
	}
	return r
}

func (r *row) list(values []string) *row {
	r.n++
	r.e.List(r.n, len(values), func(i int, e *transcript.Encoder) { e.String(1, values[i]) })
	return r
}

func (r *row) reach(x Reach) *row { return r.list(x.People).list(x.Organisations).list(x.Accounts) }

func (o Operator) encode() []byte {
	var keys []string
	for _, k := range o.Officers {
		keys = append(keys, k.String())
	}
	return new(row).text(o.Name, string(o.Identity)).list(keys).reach(o.Reach).e.Sum()
}

func (g Guardian) encode() []byte {
	return new(row).text(g.Name, g.Person, g.Organisation, g.Key.String()).reach(g.Reach).e.Sum()
}

func (t Trigger) encode() []byte {
	return new(row).text(t.Name).uint(uint64(t.After), uint64(t.Delay)).e.Sum()
}

func (d Destination) encode() []byte {
	return new(row).text(d.Name, d.Chain, d.Address, d.Vault).e.Sum()
}

func (c Cap) encode() []byte { return new(row).text(c.Asset).uint(uint64(c.Most)).e.Sum() }

func (c Call) encode() []byte {
	return new(row).text(c.Name, c.Chain, c.To, string(c.Data)).uint(uint64(c.Times)).e.Sum()
}

func (t Tranche) encode() []byte {
	return new(row).text(t.Asset).uint(uint64(t.Most), uint64(t.Every), uint64(t.Count)).e.Sum()
}
