package charter

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/form"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Demand is what an operator's node must show of the machine that it runs on, before the others hold a session with it (spec/charter 10).
type Demand struct {
	Operator string
	Fresh    time.Duration // how long evidence counts
	Hardware []Hardware    // one of them suffices; ascending by kind
}

// Hardware is one kind of machine, and what may run on it.
type Hardware struct {
	Kind         string        // KindTPM, …
	Measurements []Measurement // one at least, ascending by name
	Roots        [][]byte      // SHA-256 of certificates that may vouch for the hardware, beside those that the program carries; ascending
	Floor        string        // the lowest firmware that counts, as the kind writes it (spec/charter 10)
}

// A Measurement is what may run, by a name that people know.
type Measurement struct {
	Name  string
	Value string // as the kind writes it (spec/attest 9)
}

// Kinds of hardware that attest what runs on them.
const (
	KindNitro  = "nitro"   // AWS Nitro Enclaves
	KindSEVSNP = "sev-snp" // AMD
	KindTDX    = "tdx"     // Intel
	KindTPM    = "tpm2"    // TPM 2.0
)

// DefaultFresh is how long evidence counts where the file does not say it.
const DefaultFresh = 24 * time.Hour

// Demand finds what an operator must show; false: nothing.
func (d Document) Demand(operator string) (Demand, bool) {
	i := slices.IndexFunc(d.Demands, func(x Demand) bool { return x.Operator == operator })
	if i < 0 {
		return Demand{}, false
	}
	return d.Demands[i], true
}

// Of finds what is allowed of a kind.
func (x Demand) Of(kind string) (Hardware, bool) {
	i := slices.IndexFunc(x.Hardware, func(h Hardware) bool { return h.Kind == kind })
	if i < 0 {
		return Hardware{}, false
	}
	return x.Hardware[i], true
}

// Boots says whether a measurement covers how the machine was started: of a TPM, one of the PCRs 0 to 7, which its firmware and boot loader extend before
// anything else runs. Whoever starts another system extends the rest as the one that is allowed would.
func (m Measurement) Boots() bool {
	rest, ok := strings.CutPrefix(m.Value, KindTPM+":")
	first, _, _ := strings.Cut(rest, ",")
	return !ok || len(first) == 1 && first < "8"
}

// Named is what people call a measurement; empty if it is none of those that are allowed.
func (h Hardware) Named(value string) string {
	i := slices.IndexFunc(h.Measurements, func(m Measurement) bool { return m.Value == value })
	if i < 0 {
		return ""
	}
	return h.Measurements[i].Name
}

// Hash is of the whole demand: what was found under another counts no more.
func (x Demand) Hash() [32]byte {
	return transcript.New(transcript.AttestDemand).Bytes([]byte(strings.Join(x.fields(), "\n"))).Sum256()
}

func (d Document) checkDemands() error {
	if err := ascending(d.Demands, func(x Demand) string { return x.Operator }); err != nil {
		return fmt.Errorf("attest: %w", err)
	}
	for _, x := range d.Demands {
		if err := x.check(d); err != nil {
			return fmt.Errorf("attest: operator %s: %w", x.Operator, err)
		}
	}
	return nil
}

func (x Demand) check(d Document) error {
	if _, ok := d.Station(x.Operator); !ok {
		return errors.New("it is no operator of the circle")
	}
	if x.Fresh < statement.MinFresh*time.Second || x.Fresh > statement.MaxFresh*time.Second || x.Fresh%time.Second != 0 {
		return fmt.Errorf("fresh: %s is not whole seconds from 1 hour to 30 days", x.Fresh)
	}
	if len(x.Hardware) == 0 {
		return errors.New("hardware: none is listed: name a kind, or leave the operator out")
	}
	if err := ascending(x.Hardware, func(h Hardware) string { return h.Kind }); err != nil {
		return fmt.Errorf("hardware: %w", err)
	}
	for _, h := range x.Hardware {
		if err := h.check(); err != nil {
			return fmt.Errorf("%s: %w", h.Kind, err)
		}
	}
	return nil
}

func (h Hardware) check() error {
	if !slices.Contains([]string{KindNitro, KindSEVSNP, KindTDX, KindTPM}, h.Kind) {
		return fmt.Errorf("kind: %q is not nitro, sev-snp, tdx or tpm2", h.Kind)
	}
	if n := len(h.Measurements); n < 1 || n > statement.MaxMeasurements {
		return fmt.Errorf("measurements: %d are listed, 1 to %d are allowed", n, statement.MaxMeasurements)
	}
	if err := ascending(h.Measurements, func(m Measurement) string { return m.Name }); err != nil {
		return fmt.Errorf("measurements: %w", err)
	}
	seen := map[string]string{}
	for _, m := range h.Measurements {
		if err := labels(m.Name); err != nil {
			return fmt.Errorf("measurement %s: %w", m.Name, err)
		}
		if err := checkMeasured(h.Kind, m.Value); err != nil {
			return fmt.Errorf("measurement %s: value: %w", m.Name, err)
		}
		// Two names of one program: who takes one out would believe that it runs no more.
		if other, ok := seen[m.Value]; ok {
			return fmt.Errorf("measurement %s: it is %s by another name", m.Name, other)
		}
		seen[m.Value] = m.Name
	}
	if n := len(h.Roots); n > statement.MaxRoots {
		return fmt.Errorf("roots: %d are listed, at most %d are allowed", n, statement.MaxRoots)
	}
	for _, r := range h.Roots {
		if len(r) != 32 {
			return fmt.Errorf("roots: %x is not SHA-256 of a certificate: 64 hexadecimal digits", r)
		}
	}
	if err := ascending(h.Roots, func(r []byte) string { return hex.EncodeToString(r) }); err != nil {
		return fmt.Errorf("roots: %w", err)
	}
	return nil
}

// forms are what measurements look like: hexadecimal digits, so many in each part, after the kind.
var forms = map[string][]int{KindNitro: {96}, KindSEVSNP: {96}, KindTDX: {96, 96}, KindTPM: {64}}

// checkMeasured holds a measurement to the one form that its kind writes: a text that nothing ever shows would lock its operator out.
func checkMeasured(kind, text string) error {
	bad := func() error {
		return fmt.Errorf("%.80q is none of %s: copy what `ostraka doctor` shows of the node that runs it", text, kind)
	}
	parts := strings.Split(text, ":")
	if parts[0] != kind {
		return bad()
	}
	if parts = parts[1:]; kind == KindTPM && len(parts) > 0 {
		last, kept := -1, false
		for _, pcr := range strings.Split(parts[0], ",") {
			n, err := strconv.Atoi(pcr)
			if err != nil || strconv.Itoa(n) != pcr || n <= last || n > 23 {
				return bad()
			}
			last = n
			kept = kept || n != 16 && n != 23
		}
		// Whatever runs on the machine sets these two back, and extends them to whatever it likes.
		if !kept {
			return fmt.Errorf("%.80q: PCRs 16 and 23 can be reset by any program of the machine, so that they show nothing: list others, such as 0,2,4,7", text)
		}
		parts = parts[1:]
	}
	if len(parts) != len(forms[kind]) {
		return bad()
	}
	for i, p := range parts {
		if len(p) != forms[kind][i] || strings.Trim(p, "0123456789abcdef") != "" {
			return bad()
		}
	}
	return nil
}

func (d Document) addDemands(b statement.Block) statement.Block {
	for _, x := range d.Demands {
		sub := statement.Block{}.AddUint("attest-fresh", seconds64(x.Fresh))
		for _, h := range x.Hardware {
			var of statement.Block
			for _, m := range h.Measurements {
				of = of.AddBlock("measurement", m.Name, statement.Block{}.Add("measured", m.Value))
			}
			for _, r := range h.Roots {
				of = of.AddHex("attest-root", r)
			}
			sub = sub.AddBlock("attest-kind", h.Kind, of.Add("attest-floor", h.Floor))
		}
		b = b.AddBlock("attest", x.Operator, sub)
	}
	return b
}

func (d *Document) readDemands(f statement.Block) error {
	for _, o := range f.Each("attest") {
		x := Demand{Operator: o.Value, Fresh: time.Duration(o.Block.Uint("attest-fresh")) * time.Second}
		for _, k := range o.Block.Each("attest-kind") {
			h := Hardware{Kind: k.Value, Floor: k.Block.Get("attest-floor")}
			for _, m := range k.Block.Each("measurement") {
				h.Measurements = append(h.Measurements, Measurement{m.Value, m.Block.Get("measured")})
			}
			for _, text := range k.Block.All("attest-root") {
				root, err := hex.DecodeString(text)
				if err != nil {
					return fmt.Errorf("attest: operator %s: root: %w", x.Operator, err)
				}
				h.Roots = append(h.Roots, root)
			}
			x.Hardware = append(x.Hardware, h)
		}
		d.Demands = append(d.Demands, x)
	}
	return nil
}

func readDemand(f *form.Map) Demand {
	x := Demand{Operator: f.Text("operator"), Fresh: seconds(f, "fresh", DefaultFresh)}
	x.Hardware = form.List(f, "hardware", func(f *form.Map) Hardware {
		h := Hardware{Kind: f.Text("kind"), Floor: f.Maybe("floor")}
		h.Measurements = form.List(f, "measurements", func(f *form.Map) Measurement { return Measurement{f.Text("name"), f.Text("value")} })
		if f.Has("roots") {
			for _, text := range sorted(f.Texts("roots")) {
				root, err := hex.DecodeString(text)
				if err != nil || len(root) != 32 || hex.EncodeToString(root) != text {
					f.Fail("roots", fmt.Sprintf("%.80q is not SHA-256 of a certificate: 64 hexadecimal digits, lower case", text))
				}
				h.Roots = append(h.Roots, root)
			}
		}
		return h
	})
	return x.sorted()
}

func (x Demand) sorted() Demand {
	x.Hardware = byName(x.Hardware, func(h Hardware) string { return h.Kind })
	for i := range x.Hardware {
		x.Hardware[i].Measurements = byName(x.Hardware[i].Measurements, func(m Measurement) string { return m.Name })
	}
	return x
}

func (x Demand) fields() []string {
	out := []string{"operator: " + scalar(x.Operator), fmt.Sprint("fresh: ", seconds64(x.Fresh)), "hardware:"}
	for _, h := range x.Hardware {
		for _, l := range item(h.fields()) {
			out = append(out, "  "+l)
		}
	}
	return out
}

func (h Hardware) fields() []string {
	out := given([]string{"kind: " + scalar(h.Kind)}, "floor", h.Floor)
	out = append(out, "measurements:")
	for _, m := range h.Measurements {
		for _, l := range item([]string{"name: " + scalar(m.Name), "value: " + scalar(m.Value)}) {
			out = append(out, "  "+l)
		}
	}
	if len(h.Roots) > 0 {
		out = append(out, "roots: "+scalars(h.roots()))
	}
	return out
}

func (h Hardware) roots() (all []string) {
	for _, r := range h.Roots {
		all = append(all, hex.EncodeToString(r))
	}
	return all
}

// demands: what a node must show is stricter when less is allowed. An operator that must show something now, and a measurement that is allowed no
// more, are stricter too, though whoever runs otherwise signs nothing from then on: Halts says so.
func (c *changes) demands(d, to Document) {
	each2(d.Demands, to.Demands, func(x Demand) string { return x.Operator }, func(name string, was, is *Demand) {
		what := "attest " + name
		if was == nil || is == nil {
			c.text(what, shown(was, Demand.text), shown(is, Demand.text), is == nil)
			(*c)[len(*c)-1].Halts = was == nil
			return
		}
		c.text(what+": fresh", was.Fresh.String(), is.Fresh.String(), is.Fresh > was.Fresh)
		each2(was.Hardware, is.Hardware, func(h Hardware) string { return h.Kind }, func(kind string, was, is *Hardware) {
			c.hardware(what+": "+kind, was, is)
		})
	})
}

func (c *changes) hardware(what string, was, is *Hardware) {
	if was == nil || is == nil {
		c.text(what, shown(was, Hardware.text), shown(is, Hardware.text), was == nil)
		(*c)[len(*c)-1].Halts = is == nil
		return
	}
	from := len(*c)
	each2(was.Measurements, is.Measurements, func(m Measurement) string { return m.Name }, func(name string, was, is *Measurement) {
		c.text(what+": measurement "+name, or(was).Value, or(is).Value, is != nil)
	})
	c.set(what+": root", was.roots(), is.roots())
	// Of two floors nobody here knows which is the higher: each kind writes its own. That of tdx says what is borne besides.
	more := was.Floor
	if was.Kind == KindTDX {
		more = is.Floor
	}
	c.text(what+": floor", was.Floor, is.Floor, more != "")
	for i := range (*c)[from:] {
		(*c)[from+i].Halts = !(*c)[from+i].Looser
	}
}

func (x Demand) text() string {
	parts := [][2]string{{"fresh for", x.Fresh.String()}}
	for _, h := range x.Hardware {
		parts = append(parts, [2]string{h.Kind, "(" + h.text() + ")"})
	}
	return described(parts...)
}

func (h Hardware) text() string {
	var parts [][2]string
	for _, m := range h.Measurements {
		parts = append(parts, [2]string{"measurement " + m.Name, whole(m.Value)})
	}
	for _, r := range h.roots() {
		parts = append(parts, [2]string{"root", r})
	}
	return described(append(parts, [2]string{"floor", whole(h.Floor)})...)
}
