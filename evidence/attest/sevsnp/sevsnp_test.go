package sevsnp

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/attest"
)

var update = flag.Bool("update", false, "write testdata anew")

// The genuine report holds at its date, and says what the golden file says.
func TestSample(t *testing.T) {
	e, root := sample(t)
	g, err := e.Authenticate(Trust{Roots: []*x509.Certificate{root}, Now: sampled})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%s\n%s %s version %d svn %d vmpl %d policy %#x (%s) platform %#x\nreported %s\ncommitted %s\ncurrent %s\nlaunch %s\nchip %x\ndata %x\nexpires %s, looked %v\n",
		g.Text(), g.Product, g.Signer, g.Version, g.GuestSVN, g.VMPL, g.Policy, g.Guards(), g.PlatformInfo, g.Reported, g.Committed, g.Current, g.Launch, g.ChipID, g.Data,
		g.Expires.Format(time.RFC3339), g.Looked)
	if *update {
		if err := os.WriteFile("testdata/report.txt", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := file(t, "report.txt"); text != string(want) {
		t.Errorf("it says\n%s\nnot\n%s", text, want)
	}
	// Whose memory its host can read is no guest to rely on, however well the report is signed.
	var given [32]byte
	copy(given[:], g.Data[:32])
	if err := g.Judge(given, TCB{}); err == nil || !strings.Contains(err.Error(), "policy allows debugging") {
		t.Errorf("the sample was started for debugging: %v", err)
	}
	if err := g.Judge(binding, TCB{}); err == nil || !strings.Contains(err.Error(), "REPORT_DATA") {
		t.Errorf("the sample is not of this node: %v", err)
	}
}

func TestSampleRefused(t *testing.T) {
	genuine, root := sample(t)
	other := made(t)
	foreign := other.make()
	for name, c := range map[string]struct {
		change func(*Evidence, *Trust)
		want   string
	}{
		"no root":        {func(_ *Evidence, r *Trust) { r.Roots = nil }, "signer's certificate: there is no root to judge it by"},
		"another's root": {func(_ *Evidence, r *Trust) { r.Roots = []*x509.Certificate{other.root} }, "signer's certificate: x509: certificate signed by unknown authority"},
		"issuer as root": {func(e *Evidence, r *Trust) {
			c, err := x509.ParseCertificate(e.Issuer)
			if err != nil {
				t.Fatal(err)
			}
			r.Roots = []*x509.Certificate{c}
		}, "does not stand between it and a root"},
		"before its day":     {func(_ *Evidence, r *Trust) { r.Now = sampled.AddDate(0, 0, -1) }, "signer's certificate: x509: certificate has expired or is not yet valid"},
		"after its day":      {func(_ *Evidence, r *Trust) { r.Now = sampled.AddDate(8, 0, 0) }, "signer's certificate: x509: certificate has expired"},
		"another's key":      {func(e *Evidence, _ *Trust) { e.Signer, e.Report = foreign.Signer, foreign.Report }, "signer's certificate: x509"},
		"another's issuer":   {func(e *Evidence, _ *Trust) { e.Issuer = foreign.Issuer }, "signer's certificate: x509"},
		"root for issuer":    {func(e *Evidence, _ *Trust) { e.Issuer = root.Raw }, "signer's certificate: x509"},
		"issuer for signer":  {func(e *Evidence, _ *Trust) { e.Signer = e.Issuer }, "signer's certificate: its key is not on P-384"},
		"no signer":          {func(e *Evidence, _ *Trust) { e.Signer = nil }, "signer's certificate: is missing"},
		"no issuer":          {func(e *Evidence, _ *Trust) { e.Issuer = nil }, "issuer's certificate: is missing"},
		"bytes behind":       {func(e *Evidence, _ *Trust) { e.Signer = append(bytes.Clone(e.Signer), 0) }, "signer's certificate: x509: trailing data"},
		"another's report":   {func(e *Evidence, _ *Trust) { e.Report = foreign.Report }, "report: the signature is not the signer's"},
		"a list of no one":   {func(e *Evidence, _ *Trust) { e.Withdrawn = []byte{1} }, "list of withdrawn certificates: x509"},
		"an issuer's word":   {func(e *Evidence, _ *Trust) { e.Issuer = append(bytes.Clone(e.Issuer), 0) }, "issuer's certificate: x509: trailing data"},
		"short":              {func(e *Evidence, _ *Trust) { e.Report = e.Report[:ReportSize-1] }, "report: has 1183 bytes"},
		"issuer is a signer": {func(e *Evidence, _ *Trust) { e.Issuer = e.Signer }, "signer's certificate: x509"},
	} {
		e, trust := *genuine, Trust{Roots: []*x509.Certificate{root}, Now: sampled}
		c.change(&e, &trust)
		if _, err := e.Authenticate(trust); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var unknown *attest.UnknownError
	if _, err := genuine.Authenticate(Trust{Now: sampled}); !errors.As(err, &unknown) {
		t.Errorf("without a root it was judged: %v", err)
	}
}

// flips goes through bytes, turns one after the other, and says of each what was taken.
func flips(b []byte, step int, taken func(i int) bool) (all []int) {
	for i := 0; i < len(b); i += step {
		b[i] ^= 1 << (i % 8)
		if taken(i) {
			all = append(all, i)
		}
		b[i] ^= 1 << (i % 8)
	}
	return all
}

// Each byte of what is signed, and of the signature, is held by it.
func TestEachFlippedByteIsRefused(t *testing.T) {
	e, root := sample(t)
	trust := Trust{Roots: []*x509.Certificate{root}, Now: sampled}
	if all := flips(e.Report, 1, func(int) bool { _, err := e.Authenticate(trust); return err == nil }); len(all) > 0 {
		t.Errorf("report with a byte turned at %v is taken", all)
	}
	for name, der := range map[string][]byte{"signer": e.Signer, "issuer": e.Issuer} {
		if all := flips(der, 5, func(int) bool { _, err := e.Authenticate(trust); return err == nil }); len(all) > 0 {
			t.Errorf("%s's certificate with a byte turned at %v is taken", name, all)
		}
	}
}

// What a made report must hold, field by field. The maker signs each anew, so that nothing but the field can refuse it.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*maker)
		want   string // empty: it holds
	}{
		"as it should be":       {func(*maker) {}, ""},
		"Turin":                 {(*maker).turin, ""},
		"cloud's key":           {(*maker).cloudy, ""},
		"framed chip":           {func(m *maker) { m.chip = append([]byte{4, 64}, m.chip...) }, ""},
		"version 2":             {func(m *maker) { m.report[0] = 2; clear(m.report[atProcessor : atProcessor+3]) }, ""},
		"version 5":             {func(m *maker) { m.report[0] = 5; m.report[atMitigations] = 1; m.report[atMitigations+8] = 1 }, ""},
		"version 1":             {func(m *maker) { m.report[0] = 1 }, "report: version 1"},
		"version 6":             {func(m *maker) { m.report[0] = 6 }, "report: version 6"},
		"algorithm":             {func(m *maker) { m.report[atAlgorithm] = 2 }, "report: signature algorithm 2"},
		"no key":                {func(m *maker) { m.report[atKey] = 7 << 2 }, "report: signing key 7"},
		"masked key":            {func(m *maker) { m.report[atKey] = 2 }, "report: the chip's key is masked"},
		"unknown key bits":      {func(m *maker) { m.report[atKey] = 1 << 5 }, "report: key information 0x20"},
		"reserved":              {func(m *maker) { m.report[atKey+4] = 1 }, "report: byte 0x4c is reserved"},
		"reserved processor":    {func(m *maker) { m.report[atProcessor+3] = 1 }, "report: byte 0x18b is reserved"},
		"processor in 2":        {func(m *maker) { m.report[0] = 2 }, "report: byte 0x188 is reserved"},
		"mitigations in 3":      {func(m *maker) { m.report[atMitigations] = 1 }, "report: byte 0x1f8 is reserved"},
		"reserved end":          {func(m *maker) { m.report[atSignature-1] = 1 }, "report: byte 0x29f is reserved"},
		"reserved builds":       {func(m *maker) { m.report[0x1eb] = 1 }, "report: byte 0x1eb is reserved"},
		"reserved committed":    {func(m *maker) { m.report[0x1ef] = 1 }, "report: byte 0x1ef is reserved"},
		"debug":                 {func(m *maker) { m.report[atPolicy+2] |= 1 << 3 }, "report: policy allows debugging"},
		"migration":             {func(m *maker) { m.report[atPolicy+2] |= 1 << 2 }, "report: policy allows a migration agent"},
		"agent":                 {func(m *maker) { m.report[atAgent+31] = 0 }, "report: it is bound to a migration agent"},
		"unknown policy":        {func(m *maker) { m.report[atPolicy+3] = 4 }, "report: policy 0x4030000 has a form"},
		"no policy":             {func(m *maker) { m.report[atPolicy+2] = 1 }, "report: policy 0x10000 has a form"},
		"VMPL 1":                {func(m *maker) { m.report[atVMPL] = 1 }, "report: it was asked for at VMPL 1"},
		"the host":              {func(m *maker) { copy(m.report[atVMPL:], "\xff\xff\xff\xff") }, "report: it was asked for at VMPL 4294967295"},
		"another's data":        {func(m *maker) { m.report[atData+31] ^= 1 }, "report: REPORT_DATA"},
		"data behind":           {func(m *maker) { m.report[atData+63] = 1 }, "report: REPORT_DATA"},
		"low reported":          {func(m *maker) { m.tcb[8] = 71; m.report[atReportedTCB+7] = 71 }, "report: reported TCB fmc=0 bootloader=9 tee=0 snp=23 microcode=71 is below"},
		"low committed":         {func(m *maker) { m.report[atCommittedTCB] = 0 }, "report: committed TCB"},
		"low current":           {func(m *maker) { m.report[atCurrentTCB+6] = 1 }, "report: current TCB"},
		"reserved TCB":          {func(m *maker) { m.report[atLaunchTCB+3] = 1 }, "report: launch TCB"},
		"certificate's TCB":     {func(m *maker) { m.tcb[3] = 22 }, "signer's certificate: it is for TCB"},
		"certificate's chip":    {func(m *maker) { m.chip[63] ^= 1 }, "signer's certificate: it is of chip"},
		"report's chip":         {func(m *maker) { m.report[atChipID] ^= 1 }, "signer's certificate: it is of chip"},
		"masked chip":           {func(m *maker) { clear(m.report[atChipID : atChipID+64]) }, "signer's certificate: it is of chip"},
		"short chip":            {func(m *maker) { m.chip = m.chip[:63] }, "signer's certificate: it is of chip"},
		"Turin's chip in Genoa": {func(m *maker) { m.chip = m.chip[:8]; clear(m.report[atChipID+8 : atChipID+64]) }, "signer's certificate: it is of chip"},
		"no chip":               {func(m *maker) { m.chip = nil }, "signer's certificate: a VCEK's is of a chip"},
		"chip and cloud":        {func(m *maker) { m.cloud = "c" }, "signer's certificate: a VCEK's is of a chip and of no cloud"},
		"VLEK with a chip":      {func(m *maker) { m.cloudy(); m.chip = chip }, "signer's certificate: a VLEK's is of a cloud"},
		"VLEK of no cloud":      {func(m *maker) { m.cloudy(); m.cloud = "" }, "signer's certificate: a VLEK's is of a cloud"},
		"VLEK's spaces":         {func(m *maker) { m.cloudy(); m.cloud = "a b" }, "signer's certificate: cloud"},
		"VCEK says VLEK":        {func(m *maker) { m.report[atKey] = byte(VLEK) << 2 }, "issuer's certificate: its name"},
		"no TCB part":           {func(m *maker) { delete(m.tcb, 8) }, "signer's certificate: extension 1.3.6.1.4.1.3704.1.3.8"},
		"TCB part too large":    {func(m *maker) { m.tcb[8] = 256 }, "signer's certificate: extension 1.3.6.1.4.1.3704.1.3.8"},
		"reserved TCB part":     {func(m *maker) { m.tcb[5] = 1 }, "signer's certificate: extension 1.3.6.1.4.1.3704.1.3.5 is reserved"},
		"Turin without FMC":     {func(m *maker) { m.turin(); delete(m.tcb, 9) }, "signer's certificate: extension 1.3.6.1.4.1.3704.1.3.9"},
		"Turin's FMC":           {func(m *maker) { m.turin(); m.tcb[9]++ }, "signer's certificate: it is for TCB fmc=5"},
		"Turin as Genoa":        {func(m *maker) { m.turin(); m.names[0], m.names[1] = "ARK-Genoa", "SEV-Genoa" }, "report: it is of a processor of family 0x1a"},
		"Genoa as Turin":        {func(m *maker) { m.names[0], m.names[1] = "ARK-Turin", "SEV-Turin" }, "report: it is of a processor of family 0x19"},
		"below another line":    {func(m *maker) { m.names[0] = "ARK-Milan" }, "below the root of another line"},
		"issuer's name":         {func(m *maker) { m.names[1] = "Genoa" }, "issuer's certificate: its name"},
		"VLEK's issuer":         {func(m *maker) { m.names[1] = "SEV-VLEK-Genoa" }, "issuer's certificate: its name"},
		"signer's name":         {func(m *maker) { m.names[2] = "SEV-VLEK" }, "signer's certificate: its name"},
		"another curve":         {func(m *maker) { m.curve = elliptic.P256() }, "signer's certificate: its key is not on P-384"},
		"critical extension":    {func(m *maker) { m.extra = []pkix.Extension{{Id: below(99), Critical: true, Value: []byte{5, 0}}} }, "signer's certificate: x509: unhandled critical extension"},
		"a list":                {func(m *maker) { m.crl = now.AddDate(0, 0, -1); m.withdrawn = []int64{9} }, ""},
		"withdrawn":             {func(m *maker) { m.crl = now.AddDate(0, 0, -1); m.withdrawn = []int64{2} }, "issuer's certificate: AMD has withdrawn it"},
		"stale list":            {func(m *maker) { m.crl = now.AddDate(0, -2, 0) }, "list of withdrawn certificates: is stale"},
		"list of tomorrow":      {func(m *maker) { m.crl = now.AddDate(0, 0, 1) }, "list of withdrawn certificates: is from the future"},
	} {
		m := made(t)
		c.change(m)
		e := m.make()
		g, err := e.Authenticate(m.trust())
		if err == nil {
			err = g.Judge(binding, TCB{Microcode: 72, SNP: 3, Bootloader: 1})
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The reader's own lists count besides the one that the evidence carries: they refuse what an older or missing one lets pass, and let nothing pass that it refuses. One that does not hold
// says nothing of the evidence.
func TestListsOfTheReader(t *testing.T) {
	m, other := made(t), made(t)
	other.turin()
	other.make()
	e := m.make()
	yesterday, long := now.AddDate(0, 0, -1), now.AddDate(0, -2, 0)
	clean, bad, stale := m.list(yesterday, 7), m.list(yesterday, 2), m.list(long)
	forged := func() []byte {
		liar := made(t)
		liar.make()
		return liar.list(yesterday)
	}()
	for name, c := range map[string]struct {
		carried      []byte
		own          [][]byte
		looked, held bool
		want         string
		unknown      bool // it is the reader's trouble
	}{
		"no list":                         {},
		"the evidence's alone":            {carried: clean, looked: true},
		"the reader's alone":              {own: [][]byte{clean}, looked: true, held: true},
		"both":                            {carried: clean, own: [][]byte{clean}, looked: true, held: true},
		"another line's":                  {own: [][]byte{other.list(yesterday, 2)}},
		"another line's among others":     {own: [][]byte{other.list(yesterday, 2), clean}, looked: true, held: true},
		"it carries none":                 {own: [][]byte{bad}, want: "AMD has withdrawn it"},
		"it carries an older one":         {carried: clean, own: [][]byte{bad}, want: "AMD has withdrawn it"},
		"one of the reader's":             {carried: clean, own: [][]byte{clean, bad}, want: "AMD has withdrawn it"},
		"the reader's is the older":       {carried: bad, own: [][]byte{clean}, want: "AMD has withdrawn it"},
		"it carries a stale one":          {carried: stale, own: [][]byte{clean}, want: "list of withdrawn certificates: is stale since"},
		"the reader's is stale":           {carried: clean, own: [][]byte{stale}, want: "this reader's own: list of withdrawn certificates: is stale since", unknown: true},
		"the reader's is no list":         {own: [][]byte{{1}}, want: "this reader's own: list of withdrawn certificates: x509", unknown: true},
		"the reader's is another's":       {own: [][]byte{forged}, want: "this reader's own: list of withdrawn certificates: \"CN=ARK-Genoa\" did not sign it", unknown: true},
		"one of the reader's is stale":    {own: [][]byte{clean, stale}, want: "is stale since", unknown: true},
		"another line's, which is stale":  {own: [][]byte{other.list(long)}},
		"withdrawn is somebody else, too": {carried: clean, own: [][]byte{m.list(yesterday, 3)}, looked: true, held: true}, // the list is of issuers
	} {
		x, trust := *e, m.trust()
		x.Withdrawn, trust.Withdrawn = c.carried, c.own
		g, err := x.Authenticate(trust)
		var unknown *attest.UnknownError
		switch {
		case c.want == "" && (err != nil || g.Looked != c.looked || g.Held != c.held):
			t.Errorf("%s: %+v, %v", name, g, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &unknown) != c.unknown):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The evidence that the face's tests judge, and others', is what this room takes.
func TestSelfmade(t *testing.T) {
	const evidence, top = "../hardware/testdata/sev-snp.evidence", "../hardware/testdata/sev-snp.root"
	if *update {
		m := made(t)
		e := m.make()
		root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.root.Raw})
		if err := errors.Join(os.WriteFile(evidence, e.Encode(), 0o644), os.WriteFile(top, root, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	e, err := Decode(file(t, "../"+evidence))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(file(t, "../"+top))
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := e.Authenticate(Trust{Roots: []*x509.Certificate{root}, Now: now}); err != nil || g.Judge(binding, TCB{}) != nil {
		t.Error(err)
	}
}

func TestEvidenceBytes(t *testing.T) {
	e := &Evidence{Report: bytes.Repeat([]byte{0x5e}, ReportSize), Signer: []byte("signer"), Issuer: []byte("issuer"), Withdrawn: []byte{}}
	b := e.Encode()
	path, text := "testdata/evidence.hex", []byte(fmt.Sprintf("%x\n", b))
	if *update {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := file(t, "evidence.hex"); !bytes.Equal(want, text) {
		t.Errorf("bytes changed: %s", text)
	}
	long := func(change func(*Evidence)) []byte { e := *e; change(&e); return e.Encode() }
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"nothing":       {nil, "field 1: ends too early"},
		"another kind":  {bytes.Replace(b, []byte(Kind), []byte("sev-snq"), 1), `its kind is "sev-snq"`},
		"short report":  {long(func(e *Evidence) { e.Report = e.Report[1:] }), "field 2: has 1183"},
		"long signer":   {long(func(e *Evidence) { e.Signer = make([]byte, MaxCertificate+1) }), "field 3: has 4097"},
		"long issuer":   {long(func(e *Evidence) { e.Issuer = make([]byte, MaxCertificate+1) }), "field 4: has 4097"},
		"long list":     {long(func(e *Evidence) { e.Withdrawn = make([]byte, MaxList+1) }), "field 5: has 8193"},
		"cut":           {b[:len(b)-1], "ends too early"},
		"a tail":        {append(bytes.Clone(b), 0), "1 bytes too many"},
		"far too large": {make([]byte, MaxEvidence+1), "at most"},
	} {
		if _, err := Decode(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzEvidence(f *testing.F) {
	e, _ := sample(f)
	f.Add(e.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(b)
		if err != nil {
			return
		}
		if !bytes.Equal(e.Encode(), b) {
			t.Errorf("%x has another form", b)
		}
		if g, err := e.Authenticate(Trust{Now: sampled}); err == nil {
			t.Errorf("without a root: %+v", g)
		}
	})
}

// What is read of a report stands in it.
func FuzzReport(f *testing.F) {
	e, _ := sample(f)
	f.Add(e.Report)
	f.Add(made(f).report)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Read(b)
		if err != nil {
			return
		}
		if r.Version != binary.LittleEndian.Uint32(b) || !bytes.Equal(r.Data[:], b[0x50:0x90]) || !bytes.Equal(r.Measurement[:], b[0x90:0xc0]) || !bytes.Equal(r.ChipID[:], b[0x1a0:0x1e0]) {
			t.Errorf("%+v of %x", r, b)
		}
	})
}
