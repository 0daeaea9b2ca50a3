package tdx

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/evidence/attest/pki"
)

// UpToDate is the status that is always borne. What Intel says otherwise is refused unless the reader lists it, and Revoked is refused always.
const (
	UpToDate = "UpToDate"
	revoked  = "Revoked"
)

// statuses are all that Intel gives.
var statuses = []string{UpToDate, "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded", revoked}

// Statuses checks a reader's list of what it bears besides UpToDate.
func Statuses(list []string) error {
	for _, s := range list {
		if s == revoked || !slices.Contains(statuses, s) {
			return fmt.Errorf("status %q cannot be borne; those that can are %q", s, statuses[:len(statuses)-1])
		}
	}
	return nil
}

// hexBytes are bytes that JSON holds in hexadecimal.
type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	v, err := hex.DecodeString(text)
	*h = v
	return err
}

// A level is what parts must have at least, and what Intel says of a platform that has.
type level struct {
	TCB struct {
		SGX    []component `json:"sgxtcbcomponents"`
		TDX    []component `json:"tdxtcbcomponents"`
		PCESVN *uint16     `json:"pcesvn"`
		ISVSVN *uint16     `json:"isvsvn"`
	} `json:"tcb"`
	Date       time.Time `json:"tcbDate"`
	Status     string    `json:"tcbStatus"`
	Advisories []string  `json:"advisoryIDs"`
}

type component struct {
	SVN uint8 `json:"svn"`
}

// head is what both of Intel's words begin with.
type head struct {
	ID         string    `json:"id"`
	Version    int       `json:"version"`
	Issued     time.Time `json:"issueDate"`
	Until      time.Time `json:"nextUpdate"`
	Evaluation int       `json:"tcbEvaluationDataNumber"`
	Levels     []level   `json:"tcbLevels"`
}

// A module is what Intel says of a TDX module, or of one line of them.
type module struct {
	ID     string   `json:"id"`
	Signer hexBytes `json:"mrsigner"`
	Flags  hexBytes `json:"attributes"`
	Mask   hexBytes `json:"attributesMask"`
	Levels []level  `json:"tcbLevels"`
}

type tcbInfo struct {
	head
	Family  hexBytes `json:"fmspc"`
	PCE     hexBytes `json:"pceId"`
	Module  module   `json:"tdxModule"`
	Modules []module `json:"tdxModuleIdentities"`
}

type identity struct {
	head
	Misc       hexBytes `json:"miscselect"`
	MiscMask   hexBytes `json:"miscselectMask"`
	Attributes hexBytes `json:"attributes"`
	Mask       hexBytes `json:"attributesMask"`
	Signer     hexBytes `json:"mrsigner"`
	Product    uint16   `json:"isvprodid"`
}

// A Verdict is what Intel says of one part of a platform, by its versions.
type Verdict struct {
	Part       string
	Status     string
	Date       time.Time // of the level that it reaches
	Advisories []string
}

// An Evaluation is Intel's word on a platform.
type Evaluation struct {
	Verdicts []Verdict
	Number   int // of Intel's round of evaluations; the lower of the two words'
	Expires  time.Time
}

// Evaluate judges a genuine quote by Intel's word on its platform, which must hold at that time and be of this platform. Stale collateral is
// refused: what was found since is not in it.
func (g *Genuine) Evaluate(c *Collateral, t Trust) (*Evaluation, error) {
	w, err := g.open(c, t)
	if err != nil {
		return nil, err
	}
	return g.by(w)
}

// Held judges by those of the reader's own collections that are of this platform; nil, where none is. Who shows evidence chooses which of Intel's words it carries, perhaps an older one that
// still holds. One of the reader's that does not hold itself is the reader's trouble, and says nothing of the evidence: an attest.UnknownError.
func (g *Genuine) Held(own []*Collateral, t Trust) (all []*Evaluation, err error) {
	for _, c := range own {
		var info tcbInfo
		if err := json.Unmarshal(c.TCBInfo.Body, &info); err == nil && !g.of(&info) {
			continue
		}
		w, err := g.open(c, t)
		if err != nil {
			return nil, pki.Unjudged("this reader's own collateral", err)
		}
		e, err := g.by(w)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// words are what collateral says, authentic and in force.
type words struct {
	signer       *x509.Certificate
	above, below *pki.List
	info         tcbInfo
	who          identity
}

func (g *Genuine) open(c *Collateral, t Trust) (*words, error) {
	w, err := g.lists(c, t)
	if err != nil {
		return nil, err
	}
	if err := c.TCBInfo.read("TCB info", w.signer, &w.info, &w.info.head, "TDX", 3, t.Now); err != nil {
		return nil, err
	}
	return w, c.Identity.read("identity of the quoting enclave", w.signer, &w.who, &w.who.head, "TD_QE", 2, t.Now)
}

func (g *Genuine) of(info *tcbInfo) bool {
	return bytes.Equal(info.Family, g.Platform.Family[:]) && bytes.Equal(info.PCE, g.Platform.PCE[:])
}

// by judges by words that hold.
func (g *Genuine) by(w *words) (*Evaluation, error) {
	if err := g.withdrawn(w); err != nil {
		return nil, err
	}
	info, who := &w.info, &w.who
	if !g.of(info) {
		return nil, fmt.Errorf("TCB info: it is of platforms %x (PCE %x), the certificate of %x (PCE %x)", []byte(info.Family), []byte(info.PCE), g.Platform.Family, g.Platform.PCE)
	}
	e := &Evaluation{Number: min(info.Evaluation, who.Evaluation), Expires: g.Expires}
	for _, until := range []time.Time{info.Until, who.Until} {
		e.Expires = pki.Sooner(e.Expires, until)
	}
	for _, judge := range []func() (*Verdict, error){
		func() (*Verdict, error) { return g.platform(info) },
		func() (*Verdict, error) { return g.module(info) },
		func() (*Verdict, error) { return g.enclave(who) },
	} {
		v, err := judge()
		if err != nil {
			return nil, err
		}
		if v != nil {
			e.Verdicts = append(e.Verdicts, *v)
		}
	}
	return e, nil
}

// lists reads who signed Intel's words, and what was withdrawn.
func (g *Genuine) lists(c *Collateral, t Trust) (*words, error) {
	signer, err := pki.Certificate("collateral signer's certificate", c.Signer)
	if err != nil {
		return nil, err
	}
	path, err := pki.Path("collateral signer's certificate", signer, nil, t.Roots, t.Now)
	if err != nil {
		return nil, err
	}
	if name := signer.Subject.CommonName; len(path) != 2 || name != "Intel SGX TCB Signing" {
		return nil, fmt.Errorf("collateral signer's certificate: it is %.64q, not Intel SGX TCB Signing right below a root", name)
	}
	root, issuer := g.path[2], g.path[1]
	if !bytes.Equal(path[1].Raw, root.Raw) {
		return nil, errors.New("collateral signer's certificate: it is below another root than the platform's")
	}
	above, err := pki.Withdrawn("list of what the root has withdrawn", c.RootList, root, t.Now)
	if err != nil {
		return nil, err
	}
	below, err := pki.Withdrawn("list of withdrawn platforms", c.PCKList, issuer, t.Now)
	if err != nil {
		return nil, err
	}
	return &words{signer: signer, above: above, below: below}, nil
}

// withdrawn checks that nothing in the way was.
func (g *Genuine) withdrawn(w *words) error {
	switch {
	case w.above.Has(w.signer):
		return errors.New("collateral signer's certificate: Intel has withdrawn it")
	case w.above.Has(g.path[1]):
		return errors.New("quote: certificates: Intel has withdrawn the issuer's")
	case w.below.Has(g.path[0]):
		return errors.New("platform's certificate: Intel has withdrawn it")
	}
	for _, until := range []time.Time{w.signer.NotAfter, w.above.Until, w.below.Until} {
		g.Expires = pki.Sooner(g.Expires, until)
	}
	return nil
}

// read checks one of Intel's words: signature before content, then what it is and when it holds.
func (s *Signed) read(field string, signer *x509.Certificate, into any, h *head, id string, version int, now time.Time) error {
	key, ok := p256(signer)
	if !ok {
		return errors.New("collateral signer's certificate: its key is not on P-256")
	}
	if !signedBy(key, s.Body, s.Signature) {
		return fmt.Errorf("%s: it is not signed by the collateral's signer", field)
	}
	if err := json.Unmarshal(s.Body, into); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	if h.ID != id || h.Version != version {
		return fmt.Errorf("%s: it is %.32q of version %d, not %q of version %d", field, h.ID, h.Version, id, version)
	}
	return pki.Dates(field, h.Issued, h.Until, now)
}

// platform finds the first level that the platform reaches: Intel lists them from the best.
func (g *Genuine) platform(info *tcbInfo) (*Verdict, error) {
	for i, l := range info.Levels {
		if len(l.TCB.SGX) != 16 || len(l.TCB.TDX) != 16 || l.TCB.PCESVN == nil {
			return nil, fmt.Errorf("TCB info: level %d lacks versions", i)
		}
		reached := g.Platform.PCESVN >= *l.TCB.PCESVN
		for k := range 16 {
			reached = reached && g.Platform.SVN[k] >= l.TCB.SGX[k].SVN
			// The first two are the module's own, which is judged by its line where it has one.
			if k >= 2 || g.TCB[1] == 0 {
				reached = reached && g.TCB[k] >= l.TCB.TDX[k].SVN
			}
		}
		if reached {
			return verdict("platform", l)
		}
	}
	return nil, fmt.Errorf("TCB info: the platform reaches no level: it has SVNs %v, PCE %d, TDX %v", g.Platform.SVN, g.Platform.PCESVN, g.TCB)
}

// module checks that the TDX module is Intel's, and judges it by its line; before 1.5 it has none.
func (g *Genuine) module(info *tcbInfo) (*Verdict, error) {
	m := &info.Module
	if line := g.TCB[1]; line > 0 {
		id := fmt.Sprintf("TDX_%02x", line)
		i := slices.IndexFunc(info.Modules, func(m module) bool { return strings.EqualFold(m.ID, id) })
		if i < 0 {
			return nil, fmt.Errorf("TCB info: it does not know TDX module %s", id)
		}
		m = &info.Modules[i]
	}
	if !bytes.Equal(m.Signer, g.ModuleSigner[:]) {
		return nil, fmt.Errorf("quote: MRSIGNERSEAM %x is not the TCB info's %x", g.ModuleSigner, []byte(m.Signer))
	}
	if !masked(g.ModuleFlags[:], m.Mask, m.Flags) {
		return nil, fmt.Errorf("quote: SEAMATTRIBUTES %x are not the TCB info's %x under %x", g.ModuleFlags, []byte(m.Flags), []byte(m.Mask))
	}
	if g.TCB[1] == 0 {
		return nil, nil
	}
	return reach("TCB info: TDX module", "module", m.Levels, uint16(g.TCB[0]))
}

// enclave checks that the quoting enclave is Intel's, and judges its version.
func (g *Genuine) enclave(who *identity) (*Verdict, error) {
	e := &g.Quote.enclave
	switch {
	case !bytes.Equal(who.Signer, e.signer[:]):
		return nil, fmt.Errorf("quote: the quoting enclave's signer %x is not %x", e.signer, []byte(who.Signer))
	case who.Product != e.product:
		return nil, fmt.Errorf("quote: the quoting enclave's product is %d, not %d", e.product, who.Product)
	case !masked(e.misc[:], who.MiscMask, who.Misc):
		return nil, fmt.Errorf("quote: the quoting enclave's MISCSELECT %x is not %x", e.misc, []byte(who.Misc))
	// Debugging, for one: whoever debugs the quoting enclave signs what he likes.
	case !masked(e.attributes[:], who.Mask, who.Attributes):
		return nil, fmt.Errorf("quote: the quoting enclave's attributes %x are not %x under %x", e.attributes, []byte(who.Attributes), []byte(who.Mask))
	}
	return reach("identity of the quoting enclave", "quoting enclave", who.Levels, e.version)
}

func reach(field, part string, levels []level, version uint16) (*Verdict, error) {
	for i, l := range levels {
		if l.TCB.ISVSVN == nil {
			return nil, fmt.Errorf("%s: level %d lacks a version", field, i)
		}
		if version >= *l.TCB.ISVSVN {
			return verdict(part, l)
		}
	}
	return nil, fmt.Errorf("%s: version %d reaches no level", field, version)
}

func verdict(part string, l level) (*Verdict, error) {
	if !slices.Contains(statuses, l.Status) {
		return nil, fmt.Errorf("%s: status %.64q is not known", part, l.Status)
	}
	return &Verdict{part, l.Status, l.Date, l.Advisories}, nil
}

// masked says whether a value is the one that is wanted, in the bits of a mask. All have one length.
func masked(value, mask, want []byte) bool {
	if len(mask) != len(value) || len(want) != len(value) {
		return false
	}
	for i := range value {
		if value[i]&mask[i] != want[i]&mask[i] {
			return false
		}
	}
	return true
}
