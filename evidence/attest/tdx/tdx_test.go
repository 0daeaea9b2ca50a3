package tdx

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/attest"
)

var update = flag.Bool("update", false, "write testdata anew")

// sampled is a time at which the genuine collateral holds.
var sampled = time.Date(2023, 6, 20, 0, 0, 0, 0, time.UTC)

// sample is a genuine quote with genuine collateral, and Intel's root as it was sent beside that.
func sample(t testing.TB, name string, pad int) (*Evidence, *x509.Certificate) {
	t.Helper()
	quote := file(t, name)
	signer, rest := pem.Decode(file(t, "signer.chain"))
	top, _ := pem.Decode(rest)
	root, err := x509.ParseCertificate(top.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	e := &Evidence{Quote: quote[:len(quote)-pad], Collateral: Collateral{Signer: signer.Bytes, RootList: file(t, "root.crl"), PCKList: file(t, "pck.crl")}}
	if e.TCBInfo, err = ReadAnswer(TCBInfoName, file(t, "tcb_info.json")); err != nil {
		t.Fatal(err)
	}
	if e.Identity, err = ReadAnswer(IdentityName, file(t, "qe_identity.json")); err != nil {
		t.Fatal(err)
	}
	return e, root
}

func spr(t testing.TB) (*Evidence, Trust) {
	e, root := sample(t, "spr.quote", 39)
	return e, Trust{Roots: []*x509.Certificate{root}, Now: sampled}
}

// The genuine quotes hold at their dates, and say what the golden file says.
func TestSamples(t *testing.T) {
	var text string
	for _, x := range []struct {
		name string
		pad  int
		now  time.Time
	}{{"spr.quote", 39, sampled}, {"cos.quote", 3065, time.Date(2024, 8, 1, 0, 0, 0, 0, time.UTC)}} {
		e, root := sample(t, x.name, x.pad)
		g, err := e.Authenticate(Trust{Roots: []*x509.Certificate{root}, Now: x.now})
		if err != nil {
			t.Fatalf("%s: %v", x.name, err)
		}
		text += fmt.Sprintf("%s\n%s\nplatform %x %x %v pce %d\ntcb %x module %x\nattributes %#x xfam %x exceptions %v\ndata %x\nexpires %s\n", x.name, g.Text(),
			g.Platform.ID, g.Platform.Family, g.Platform.SVN, g.Platform.PCESVN, g.TCB, g.Module, g.Attributes, g.XFAM, g.Exceptions(), g.Data, g.Expires.Format(time.RFC3339))
	}
	if *update {
		if err := os.WriteFile("testdata/report.txt", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := file(t, "report.txt"); text != string(want) {
		t.Errorf("they say\n%s\nnot\n%s", text, want)
	}
}

// Genuine collateral on a genuine quote: signatures, dates and platform hold, and the platform reaches none of Intel's levels. With stale
// collateral, or other than Intel's, it does not come to that.
func TestGenuineCollateral(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Evidence, *Trust)
		want   string
	}{
		"as it is":             {func(*Evidence, *Trust) {}, "TCB info: the platform reaches no level"},
		"stale":                {func(_ *Evidence, r *Trust) { r.Now = time.Date(2023, 7, 9, 0, 0, 0, 0, time.UTC) }, "list of withdrawn platforms: is stale since 2023-07-08"},
		"stale for years":      {func(_ *Evidence, r *Trust) { r.Now = now }, "collateral signer's certificate: x509: certificate has expired"},
		"before it was issued": {func(_ *Evidence, r *Trust) { r.Now = time.Date(2023, 6, 18, 0, 0, 0, 0, time.UTC) }, "TCB info: is from the future"},
		"another signature":    {func(e *Evidence, _ *Trust) { e.TCBInfo.Signature = e.Identity.Signature }, "TCB info: it is not signed"},
		"the other word":       {func(e *Evidence, _ *Trust) { e.TCBInfo = e.Identity }, `TCB info: it is "TD_QE" of version 2, not "TDX"`},
		"the other word again": {func(e *Evidence, _ *Trust) { e.Identity = e.TCBInfo }, `identity of the quoting enclave: it is "TDX" of version 3`},
		"no signer":            {func(e *Evidence, _ *Trust) { e.Signer = nil }, "collateral signer's certificate: is missing"},
		"the lists exchanged":  {func(e *Evidence, _ *Trust) { e.RootList, e.PCKList = e.PCKList, e.RootList }, "list of what the root has withdrawn"},
		"no list of the root":  {func(e *Evidence, _ *Trust) { e.RootList = nil }, "list of what the root has withdrawn: x509"},
		"no list of platforms": {func(e *Evidence, _ *Trust) { e.PCKList = nil }, "list of withdrawn platforms: x509"},
		"another's collateral": {func(e *Evidence, _ *Trust) { e.Collateral = made(t).make().Collateral }, "collateral signer's certificate: x509"},
		"the root as signer":   {func(e *Evidence, r *Trust) { e.Signer = r.Roots[0].Raw }, "collateral signer's certificate: it is"},
		"a platform's as signer": {func(e *Evidence, _ *Trust) {
			q, _ := Read(e.Quote)
			_, issuer, _ := q.certificates()
			e.Signer = issuer.Raw
		}, "collateral signer's certificate: it is \"Intel SGX PCK Platform CA\""},
	} {
		e, trust := spr(t)
		c.change(e, &trust)
		g, err := e.Authenticate(trust)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := g.Evaluate(&e.Collateral, trust); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRoots(t *testing.T) {
	e, trust := spr(t)
	var unknown *attest.UnknownError
	if _, err := e.Authenticate(Trust{Now: sampled}); !errors.As(err, &unknown) {
		t.Errorf("without a root it was judged: %v", err)
	}
	other := made(t)
	other.make()
	for name, trust := range map[string]Trust{
		"another's root": {Roots: []*x509.Certificate{other.root}, Now: sampled},
		"too early":      {Roots: trust.Roots, Now: time.Date(2022, 9, 20, 0, 0, 0, 0, time.UTC)},
		"too late":       {Roots: trust.Roots, Now: time.Date(2029, 9, 21, 0, 0, 0, 0, time.UTC)},
	} {
		if _, err := e.Authenticate(trust); err == nil || !strings.Contains(err.Error(), "platform's certificate: x509") {
			t.Errorf("%s: %v", name, err)
		}
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

// Each byte of the quote up to its certificates is held by a signature, and each of what Intel says of its platform.
func TestEachFlippedByteIsRefused(t *testing.T) {
	e, trust := spr(t)
	e.Quote = bytes.Clone(e.Quote)
	g, err := e.Authenticate(trust)
	if err != nil {
		t.Fatal(err)
	}
	before := e.Quote[:len(e.Quote)-len(g.chain)]
	if all := flips(before, 1, func(int) bool { _, err := e.Authenticate(trust); return err == nil }); len(all) > 0 {
		t.Errorf("quote with a byte turned at %v is taken", all)
	}
	var h head
	signer, err := x509.ParseCertificate(e.Signer)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]Signed{"TCB info": e.TCBInfo, "identity": e.Identity} {
		for part, b := range map[string][]byte{"body": s.Body, "signature": s.Signature} {
			if all := flips(b, 1, func(int) bool {
				err := s.read(name, signer, &h, &h, "", 0, sampled)
				return err == nil || !strings.Contains(err.Error(), "is not signed by")
			}); len(all) > 0 {
				t.Errorf("%s with a byte of its %s turned at %v is read", name, part, all)
			}
		}
	}
}

// So is each of a quote of version 5, which tests make up: its body's kind and size are signed as well.
func TestEachFlippedByteOfVersion5IsRefused(t *testing.T) {
	m := made(t)
	m.newer()
	e := m.make()
	trust := m.trust()
	g, err := e.Authenticate(trust)
	if err != nil || g.TCBNow != [16]byte{6, 1, 7} || g.TCB != [16]byte{5, 1, 6} {
		t.Fatalf("%+v, %v", g, err)
	}
	if all := flips(e.Quote[:len(e.Quote)-len(g.chain)], 1, func(int) bool { _, err := e.Authenticate(trust); return err == nil }); len(all) > 0 {
		t.Errorf("quote with a byte turned at %v is taken", all)
	}
}

// What evidence must hold, field by field. The maker signs each anew, so that nothing but the field can refuse it.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*maker)
		want   string // empty: it holds
	}{
		"as it should be":      {func(*maker) {}, ""},
		"a module of line 0":   {func(m *maker) { copy(m.body, []byte{3, 0, 6}) }, ""},
		"a processor's CA":     {func(m *maker) { m.names[1] = "Intel SGX PCK Processor CA" }, ""},
		"more of everything":   {func(m *maker) { m.svn[0], m.pcesvn, m.body[0], m.enclave[258] = 9, 12, 9, 9 }, ""},
		"other bits unmasked":  {func(m *maker) { m.enclave[48] |= 4 }, ""},
		"version 5, TDX 1.5":   {(*maker).newer, ""},
		"version 5, TDX 1.0":   {func(m *maker) { m.header[0] = 5; m.kind = append(le16(bodyTDX10), le32(bodySize)...) }, ""},
		"version 5, no kind":   {func(m *maker) { m.header[0] = 5 }, "is not known"},
		"version 5, SGX":       {func(m *maker) { m.newer(); m.kind[0] = 1 }, "quote: a body of kind 1 and 648 bytes is not known"},
		"version 5, size":      {func(m *maker) { m.newer(); m.kind[2]-- }, "quote: a body of kind 3 and 647 bytes is not known"},
		"version 5, old size":  {func(m *maker) { m.newer(); m.kind[0] = 2 }, "quote: a body of kind 2 and 648 bytes is not known"},
		"version 5, cut":       {func(m *maker) { m.newer(); m.change = func(e *Evidence) { e.Quote = e.Quote[:51] } }, "quote: size of body ends too early"},
		"a service's guest":    {func(m *maker) { m.newer(); m.body[bodySize+16+47] = 1 }, "quote: MRSERVICETD"},
		"no point":             {func(m *maker) { m.offCurve = true }, "quote: attestation key: P256 point not on curve"},
		"version 3":            {func(m *maker) { m.header[0] = 3 }, "quote: version 3"},
		"version 6":            {func(m *maker) { m.header[0] = 6 }, "quote: version 6"},
		"kind of key":          {func(m *maker) { m.header[2] = 3 }, "quote: key of kind 3"},
		"SGX":                  {func(m *maker) { m.header[4] = 0 }, "quote: of technology 0x0"},
		"vendor":               {func(m *maker) { m.header[12] = 0 }, "quote: the quoting enclave is of vendor"},
		"a byte behind":        {func(m *maker) { m.change = func(e *Evidence) { e.Quote = append(e.Quote, 0) } }, "quote: signature data says"},
		"a byte short":         {func(m *maker) { m.change = func(e *Evidence) { e.Quote = e.Quote[:len(e.Quote)-1] } }, "quote: signature data says"},
		"cut in the header":    {func(m *maker) { m.change = func(e *Evidence) { e.Quote = e.Quote[:20] } }, "quote: header ends too early"},
		"cut in the body":      {func(m *maker) { m.change = func(e *Evidence) { e.Quote = e.Quote[:300] } }, "quote: body ends too early"},
		"certification data":   {func(m *maker) { m.change = func(e *Evidence) { e.Quote[headerSize+bodySize+4+128] = 5 } }, "quote: certification data of kind 5"},
		"root's name":          {func(m *maker) { m.names[1] = "Intel" }, "no authority for platforms"},
		"platform's name":      {func(m *maker) { m.names[2] = "Intel" }, "not an Intel SGX PCK Certificate"},
		"signer's name":        {func(m *maker) { m.names[3] = "Intel" }, "collateral signer's certificate: it is \"Intel\""},
		"platform withdrawn":   {func(m *maker) { m.badPCK = []int64{3} }, "platform's certificate: Intel has withdrawn it"},
		"issuer withdrawn":     {func(m *maker) { m.badRoot = []int64{2} }, "Intel has withdrawn the issuer's"},
		"signer withdrawn":     {func(m *maker) { m.badRoot = []int64{4} }, "collateral signer's certificate: Intel has withdrawn it"},
		"stale lists":          {func(m *maker) { m.from = now.AddDate(0, -2, 0) }, "is stale"},
		"stale TCB info":       {func(m *maker) { m.info["nextUpdate"] = "2026-11-27T00:00:00Z" }, "TCB info: is stale since 2026-11-27"},
		"stale identity":       {func(m *maker) { m.identity["nextUpdate"] = "2026-11-27T00:00:00Z" }, "identity of the quoting enclave: is stale"},
		"endless TCB info":     {func(m *maker) { delete(m.info, "nextUpdate") }, "TCB info: does not say until when"},
		"SGX's TCB info":       {func(m *maker) { m.info["id"] = "SGX" }, "TCB info: it is \"SGX\""},
		"SGX's identity":       {func(m *maker) { m.identity["id"] = "QE" }, "identity of the quoting enclave: it is \"QE\""},
		"version of TCB info":  {func(m *maker) { m.info["version"] = 2 }, "TCB info: it is \"TDX\" of version 2"},
		"another family":       {func(m *maker) { m.info["fmspc"] = "50806f000001" }, "TCB info: it is of platforms 50806f000001"},
		"another PCE":          {func(m *maker) { m.info["pceId"] = "0001" }, "TCB info: it is of platforms"},
		"family's form":        {func(m *maker) { m.info["fmspc"] = "x" }, "TCB info: encoding/hex"},
		"no level":             {func(m *maker) { m.svn[0] = 0 }, "TCB info: the platform reaches no level"},
		"a low PCE":            {func(m *maker) { m.pcesvn = 10 }, "TCB info: the platform reaches no level"},
		"a low TDX part":       {func(m *maker) { m.body[2] = 5 }, "TCB info: the platform reaches no level"},
		"a low module, line 0": {func(m *maker) { copy(m.body, []byte{2, 0, 6}) }, "TCB info: the platform reaches no level"},
		"out of date":          {func(m *maker) { m.svn[0] = 2 }, `TCB: Intel says of the platform: OutOfDate (2026-08-01; ["INTEL-SA-00001"])`},
		"revoked":              {func(m *maker) { m.svn[0] = 1 }, "TCB: Intel says of the platform: Revoked"},
		"configuration":        {func(m *maker) { m.svn[0] = 3 }, "TCB: Intel says of the platform: ConfigurationNeeded"},
		"hardening":            {func(m *maker) { m.svn[0] = 4 }, "TCB: Intel says of the platform: SWHardeningNeeded"},
		"module out of date":   {func(m *maker) { m.body[0] = 4 }, "TCB: Intel says of the module: OutOfDate"},
		"module revoked":       {func(m *maker) { m.body[0] = 1 }, "TCB: Intel says of the module: Revoked"},
		"module too old":       {func(m *maker) { m.body[0] = 0 }, "TCB info: TDX module: version 0 reaches no level"},
		"module's line":        {func(m *maker) { m.body[1] = 3 }, "TCB info: it does not know TDX module TDX_03"},
		"module's signer":      {func(m *maker) { m.body[64] = 1 }, "quote: MRSIGNERSEAM"},
		"module's flags":       {func(m *maker) { m.body[112] = 1 }, "quote: SEAMATTRIBUTES"},
		"enclave out of date":  {func(m *maker) { m.enclave[258] = 3 }, "TCB: Intel says of the quoting enclave: OutOfDate"},
		"enclave too old":      {func(m *maker) { m.enclave[258] = 1 }, "identity of the quoting enclave: version 1 reaches no level"},
		"enclave's signer":     {func(m *maker) { m.enclave[128] = 1 }, "quote: the quoting enclave's signer"},
		"enclave's product":    {func(m *maker) { m.enclave[256] = 1 }, "quote: the quoting enclave's product is 1"},
		"enclave's MISCSELECT": {func(m *maker) { m.enclave[16] = 1 }, "quote: the quoting enclave's MISCSELECT"},
		"enclave debugged":     {func(m *maker) { m.enclave[48] |= 2 }, "quote: the quoting enclave's attributes"},
		"unknown status":       {func(m *maker) { m.info["tcbLevels"].([]object)[0]["tcbStatus"] = "Fine" }, `platform: status "Fine" is not known`},
		"level without PCE":    {func(m *maker) { delete(m.info["tcbLevels"].([]object)[0]["tcb"].(object), "pcesvn") }, "TCB info: level 0 lacks versions"},
		"level of 15 parts": {func(m *maker) {
			m.info["tcbLevels"].([]object)[0]["tcb"].(object)["sgxtcbcomponents"] = numbers([16]uint8{})[:15]
		}, "TCB info: level 0 lacks versions"},
		"enclave's level":   {func(m *maker) { delete(m.identity["tcbLevels"].([]object)[0]["tcb"].(object), "isvsvn") }, "identity of the quoting enclave: level 0 lacks a version"},
		"debug":             {func(m *maker) { m.body[120] = 1 }, "allow debugging"},
		"profiling":         {func(m *maker) { m.body[120] = 1 << 5 }, "allow debugging"},
		"migration":         {func(m *maker) { m.body[123] |= 1 << 5 }, "allow migration"},
		"unknown attribute": {func(m *maker) { m.body[121] = 1 }, "have bits that are not known"},
		"another's data":    {func(m *maker) { m.body[520+31] ^= 1 }, "quote: REPORTDATA"},
		"data behind":       {func(m *maker) { m.body[520+63] = 1 }, "quote: REPORTDATA"},
		"short family":      {func(m *maker) { m.family = m.family[:5] }, "platform's certificate: extension 1.2.840.113741.1.13.1: field 4 is not 6 bytes"},
		"PCE's SVN":         {func(m *maker) { m.pcesvn = 65536 }, "TCB: field 17 is no number"},
		"field twice":       {func(m *maker) { m.extra = []pair{{sub(4), []byte{1, 2, 3, 4, 5, 6}}} }, "stands twice"},
		"foreign field":     {func(m *maker) { m.extra = []pair{{sub(4, 1), []byte{1}}} }, "is not known"},
	} {
		m := made(t)
		c.change(m)
		_, _, err := judge(m.make(), m.trust())
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Collateral of another root that the reader believes as well says nothing of this platform.
func TestCollateralBelowAnotherRoot(t *testing.T) {
	m, other := made(t), made(t)
	e, foreign := m.make(), other.make()
	trust := Trust{Roots: []*x509.Certificate{m.root, other.root}, Now: now}
	g, err := e.Authenticate(trust)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Evaluate(&foreign.Collateral, trust); err == nil || !strings.Contains(err.Error(), "it is below another root than the platform's") {
		t.Error(err)
	}
}

// The reader's own collateral judges besides what the evidence carries: that is chosen by who shows it, perhaps an older word that still holds.
func TestCollateralOfTheReader(t *testing.T) {
	m := made(t)
	e := m.make()
	held := func(change func()) *Collateral {
		info, from, pck := m.info, m.from, m.badPCK
		defer func() { m.info, m.from, m.badPCK = info, from, pck }()
		m.info = maps.Clone(m.info)
		change()
		c := m.collateral()
		return &c
	}
	same := held(func() {})
	revoked := held(func() { m.badPCK = []int64{3} })
	worse := held(func() {
		level := maps.Clone(m.info["tcbLevels"].([]object)[0])
		level["tcbStatus"] = "OutOfDate"
		m.info["tcbLevels"] = []object{level}
	})
	foreign := held(func() { m.info["fmspc"] = "60806f000000"; m.badPCK = []int64{3} })
	stale := held(func() { m.info["nextUpdate"] = "2026-11-27T00:00:00Z" })
	staleList := held(func() { m.from = now.AddDate(0, -2, 0) })
	liar := made(t)
	forged := liar.make().Collateral
	for name, c := range map[string]struct {
		own     []*Collateral
		n       int    // that judged
		want    string // of the collateral
		judge   string // of the quote
		unknown bool   // it is the reader's trouble
	}{
		"none":                             {},
		"the same":                         {own: []*Collateral{same}, n: 1},
		"of another platform":              {own: []*Collateral{foreign}},
		"of another platform among others": {own: []*Collateral{foreign, same}, n: 1},
		"it was withdrawn since":           {own: []*Collateral{revoked}, want: "platform's certificate: Intel has withdrawn it"},
		"in one of two":                    {own: []*Collateral{same, revoked}, want: "platform's certificate: Intel has withdrawn it"},
		"out of date since":                {own: []*Collateral{worse}, n: 1, judge: "Intel says of the platform: OutOfDate"},
		"the reader's is stale":            {own: []*Collateral{stale}, want: "this reader's own collateral: TCB info: is stale since", unknown: true},
		"its lists are":                    {own: []*Collateral{staleList}, want: "this reader's own collateral: list of what the root has withdrawn: is stale since", unknown: true},
		"it is another's":                  {own: []*Collateral{&forged}, want: "this reader's own collateral: collateral signer's certificate: x509", unknown: true},
		"it is nothing":                    {own: []*Collateral{{}}, want: "this reader's own collateral: collateral signer's certificate: is missing", unknown: true},
	} {
		g, err := e.Authenticate(m.trust())
		if err != nil {
			t.Fatal(err)
		}
		all, err := g.Held(c.own, m.trust())
		var unknown *attest.UnknownError
		if c.want == "" && (err != nil || len(all) != c.n) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &unknown) != c.unknown) {
			t.Errorf("%s: %d, %v", name, len(all), err)
		}
		for _, one := range all {
			if err := g.Judge(one, binding, nil); (c.judge == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.judge) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// What a quote and its certificates must be before anything is verified with them.
func TestParts(t *testing.T) {
	m := made(t)
	m.make()
	chain := toPEM(m.pck, m.issuer, m.root)
	certificates := func(chain []byte) error { _, _, err := (&Quote{chain: chain}).certificates(); return err }
	odd := &x509.Certificate{PublicKey: ed25519.PublicKey(make([]byte, 32))}
	value, err := asn1.Marshal([]pair{{sub(1), make([]byte, 16)}, {sub(3), make([]byte, 2)}, {sub(4), make([]byte, 6)}})
	if err != nil {
		t.Fatal(err)
	}
	extension := func(c *x509.Certificate) error { _, err := readPlatform(c); return err }
	_, long := Read(make([]byte, MaxQuote+1))
	var h head
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"a zero behind":     {certificates(append(bytes.Clone(chain), 0)), ""},
		"two certificates":  {certificates(toPEM(m.pck, m.issuer)), "there are not three in PEM"},
		"no PEM":            {certificates([]byte("x")), "there are not three in PEM"},
		"another block":     {certificates(bytes.ReplaceAll(chain, []byte("CERTIFICATE"), []byte("CERTIFICATES"))), "there are not three in PEM"},
		"four certificates": {certificates(append(bytes.Clone(chain), toPEM(m.root)...)), "stand behind the third"},
		"two zeros behind":  {certificates(append(bytes.Clone(chain), 0, 0)), "1 bytes stand behind the third"},
		"bytes for one":     {certificates(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})), "quote: certificates: x509"},
		"long quote":        {long, "quote: 16385 bytes, at most 16384"},
		"platform's key":    {(&Quote{}).authentic(odd), "platform's certificate: its key is not on P-256"},
		"signer's key":      {(&Signed{}).read("word", odd, &h, &h, "", 0, now), "collateral signer's certificate: its key is not on P-256"},
		"no extension":      {extension(odd), "is missing"},
		"no TCB":            {extension(&x509.Certificate{Extensions: []pkix.Extension{{Id: oidSGX, Value: value}}}), "TCB: asn1"},
	} {
		if c.want == "" && c.err != nil || c.want != "" && (c.err == nil || !strings.Contains(c.err.Error(), c.want)) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

// A reader may bear what Intel does not call up to date, by name; what it calls revoked, never.
func TestBorne(t *testing.T) {
	m := made(t)
	m.svn[0] = 4
	e := m.make()
	_, v, err := judge(e, m.trust(), "SWHardeningNeeded", "ConfigurationNeeded")
	if err != nil || len(v.Verdicts) != 3 || v.Verdicts[0].Status != "SWHardeningNeeded" || v.Number != 17 || v.Expires.Format(time.DateOnly) != "2026-12-19" {
		t.Errorf("%+v, %v", v, err)
	}
	for _, list := range [][]string{{"Revoked"}, {"swhardeningneeded"}, {""}} {
		if _, _, err := judge(e, m.trust(), list...); err == nil || !strings.Contains(err.Error(), "cannot be borne") {
			t.Errorf("%q: %v", list, err)
		}
	}
}

// The evidence that the face's tests judge, and others', is what this room takes.
func TestSelfmade(t *testing.T) {
	const evidence, top = "../hardware/testdata/tdx.evidence", "../hardware/testdata/tdx.root"
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
	if _, _, err := judge(e, Trust{Roots: []*x509.Certificate{root}, Now: now}); err != nil {
		t.Error(err)
	}
}

func TestEvidenceBytes(t *testing.T) {
	e := &Evidence{Quote: []byte("quote"), Collateral: Collateral{
		TCBInfo: Signed{[]byte("info"), bytes.Repeat([]byte{1}, 64)}, Identity: Signed{[]byte("identity"), bytes.Repeat([]byte{2}, 64)},
		Signer: []byte("signer"), RootList: []byte("root"), PCKList: []byte{},
	}}
	b := e.Encode()
	text := []byte(fmt.Sprintf("%x\n", b))
	if *update {
		if err := os.WriteFile("testdata/evidence.hex", text, 0o644); err != nil {
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
		"nothing":        {nil, "field 1: ends too early"},
		"another kind":   {bytes.Replace(b, []byte(Kind), []byte("tdy"), 1), `its kind is "tdy"`},
		"long quote":     {long(func(e *Evidence) { e.Quote = make([]byte, MaxQuote+1) }), "field 2: has"},
		"long info":      {long(func(e *Evidence) { e.TCBInfo.Body = make([]byte, MaxTCBInfo+1) }), "field 3: has"},
		"long signature": {long(func(e *Evidence) { e.TCBInfo.Signature = make([]byte, 65) }), "field 4: has"},
		"long identity":  {long(func(e *Evidence) { e.Identity.Body = make([]byte, MaxIdentity+1) }), "field 5: has"},
		"long second":    {long(func(e *Evidence) { e.Identity.Signature = make([]byte, 65) }), "field 6: has"},
		"long signer":    {long(func(e *Evidence) { e.Signer = make([]byte, MaxCertificate+1) }), "field 7: has"},
		"long list":      {long(func(e *Evidence) { e.RootList = make([]byte, MaxList+1) }), "field 8: has"},
		"long platforms": {long(func(e *Evidence) { e.PCKList = make([]byte, MaxList+1) }), "field 9: has"},
		"cut":            {b[:len(b)-1], "ends too early"},
		"a tail":         {append(bytes.Clone(b), 0), "1 bytes too many"},
		"far too large":  {make([]byte, MaxEvidence+1), "at most"},
	} {
		if _, err := Decode(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct{ answer, want string }{
		"no JSON":         {"x", "invalid character"},
		"no signature":    {`{"tcbInfo":{}}`, "signature"},
		"short signature": {`{"tcbInfo":{},"signature":"00"}`, "is not 64 bytes"},
		"no word":         {`{"signature":"` + zeros(128) + `"}`, "it has no tcbInfo"},
	} {
		if _, err := ReadAnswer(TCBInfoName, []byte(c.answer)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzEvidence(f *testing.F) {
	e, _ := spr(f)
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

// What is read of a quote stands in it.
func FuzzQuote(f *testing.F) {
	e, _ := spr(f)
	f.Add(e.Quote)
	m := made(f)
	m.newer()
	f.Add(m.make().Quote)
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := Read(b)
		if err != nil {
			return
		}
		at := len(q.signed) - bodySize // where the body begins
		if at == headerSize+6+newBodySize-bodySize {
			at -= newBodySize - bodySize
		}
		if !bytes.HasPrefix(b, q.signed) || !bytes.Equal(q.MRTD[:], b[at+136:at+184]) || !bytes.Equal(q.Data[:], b[at+520:at+584]) || !bytes.HasSuffix(b, q.chain) {
			t.Errorf("%+v of %x", q, b)
		}
		_, _, _ = q.certificates()
	})
}
