package tdx

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tdx-guest/abi"
	pb "github.com/google/go-tdx-guest/proto/tdx"
	"github.com/google/go-tdx-guest/verify"
)

// service answers as Intel's does, with what evidence carries, and from nowhere else.
type service struct {
	e      *Evidence
	family []byte
	root   []byte // in PEM
	issuer []byte
}

func (s service) Get(address string) (map[string][]string, []byte, error) {
	signer, err := x509.ParseCertificate(s.e.Signer)
	if err != nil {
		return nil, nil, err
	}
	chain := func(name string, first []byte) map[string][]string {
		return map[string][]string{name: {url.QueryEscape(string(first) + strings.TrimSuffix(string(s.root), "\n"))}}
	}
	answer := func(name string, w Signed) []byte {
		return fmt.Appendf(nil, `{"%s":%s,"signature":"%s"}`, name, w.Body, hex.EncodeToString(w.Signature))
	}
	switch {
	case strings.HasSuffix(address, "/tdx/certification/v4/tcb?fmspc="+hex.EncodeToString(s.family)):
		return chain("Tcb-Info-Issuer-Chain", toPEM(signer)), answer(TCBInfoName, s.e.TCBInfo), nil
	case strings.HasSuffix(address, "/tdx/certification/v4/qe/identity"):
		return chain("Sgx-Enclave-Identity-Issuer-Chain", toPEM(signer)), answer(IdentityName, s.e.Identity), nil
	case strings.Contains(address, "/pckcrl?ca=platform"):
		return chain("Sgx-Pck-Crl-Issuer-Chain", s.issuer), s.e.PCKList, nil
	case strings.Contains(address, "example.test") || strings.Contains(address, "IntelSGXRootCA"):
		return nil, s.e.RootList, nil
	}
	return nil, nil, fmt.Errorf("nobody fetches %s", address)
}

// theirs is what go-tdx-guest says of the same evidence.
func theirs(e *Evidence, issuer *x509.Certificate, t Trust, family []byte) error {
	pool := x509.NewCertPool()
	pool.AddCert(t.Roots[0])
	return verify.RawTdxQuote(e.Quote, &verify.Options{
		CheckRevocations: true, GetCollateral: true, Now: t.Now, TrustedRoots: pool, Getter: service{e, family, toPEM(t.Roots[0]), toPEM(issuer)},
	})
}

// go-tdx-guest comes to our verdict on platforms that tests make up, one field changed in each. What it does not judge is said beside it.
func TestVerdictsAgainstTheLibrary(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*maker)
		alone  bool // it lacks this check, and takes what we refuse
	}{
		"as it should be":     {func(*maker) {}, false},
		"a module of line 0":  {func(m *maker) { copy(m.body, []byte{3, 0, 6}) }, false},
		"more of everything":  {func(m *maker) { m.svn[0], m.pcesvn, m.body[0], m.enclave[258] = 9, 12, 9, 9 }, false},
		"out of date":         {func(m *maker) { m.svn[0] = 2 }, false},
		"revoked":             {func(m *maker) { m.svn[0] = 1 }, false},
		"hardening":           {func(m *maker) { m.svn[0] = 4 }, false},
		"no level":            {func(m *maker) { m.svn[1] = 0 }, false},
		"a low PCE":           {func(m *maker) { m.pcesvn = 10 }, false},
		"a low TDX part":      {func(m *maker) { m.body[2] = 5 }, false},
		"a low module, 0":     {func(m *maker) { copy(m.body, []byte{2, 0, 6}) }, false},
		"module out of date":  {func(m *maker) { m.body[0] = 4 }, false},
		"module too old":      {func(m *maker) { m.body[0] = 0 }, false},
		"module's line":       {func(m *maker) { m.body[1] = 3 }, false},
		"module's signer":     {func(m *maker) { m.body[64] = 1 }, false},
		"module's flags":      {func(m *maker) { m.body[112] = 1 }, false},
		"enclave out of date": {func(m *maker) { m.enclave[258] = 3 }, false},
		"enclave too old":     {func(m *maker) { m.enclave[258] = 1 }, false},
		"enclave's signer":    {func(m *maker) { m.enclave[128] = 1 }, false},
		"enclave's product":   {func(m *maker) { m.enclave[256] = 1 }, false},
		"enclave's misc":      {func(m *maker) { m.enclave[16] = 1 }, false},
		"enclave debugged":    {func(m *maker) { m.enclave[48] |= 2 }, false},
		"another family":      {func(m *maker) { m.info["fmspc"] = "50806f000001" }, false},
		"another PCE":         {func(m *maker) { m.info["pceId"] = "0001" }, false},
		"stale TCB info":      {func(m *maker) { m.info["nextUpdate"] = "2026-11-27T00:00:00Z" }, false},
		"stale identity":      {func(m *maker) { m.identity["nextUpdate"] = "2026-11-27T00:00:00Z" }, false},
		"stale lists":         {func(m *maker) { m.from = now.AddDate(0, -2, 0) }, false},
		"platform withdrawn":  {func(m *maker) { m.badPCK = []int64{3} }, false},
		"issuer withdrawn":    {func(m *maker) { m.badRoot = []int64{2} }, false},
		"signer withdrawn":    {func(m *maker) { m.badRoot = []int64{4} }, false},
		"SGX's TCB info":      {func(m *maker) { m.info["id"] = "SGX" }, false},
		"unknown status":      {func(m *maker) { m.info["tcbLevels"].([]object)[0]["tcbStatus"] = "Fine" }, false},
		"from the future":     {func(m *maker) { m.info["issueDate"] = "2026-12-01T00:00:00Z" }, true},
		"list of tomorrow":    {func(m *maker) { m.from = now.AddDate(0, 0, 1) }, true},
	} {
		m := made(t)
		c.change(m)
		e := m.make()
		_, _, ours := judge(e, m.trust())
		their := theirs(e, m.issuer, m.trust(), m.family)
		if want := ours == nil || c.alone; want != (their == nil) || c.alone && ours == nil {
			t.Errorf("%s: ours %v, theirs %v", name, ours, their)
		}
	}
}

// oracleStep is how many bytes are passed over between those that are turned for both.
var oracleStep = 7

// go-tdx-guest takes and refuses the genuine quote as we do, byte by byte, and reads the same.
func TestQuoteAgainstTheLibrary(t *testing.T) {
	e, trust := spr(t)
	e.Quote = bytes.Clone(e.Quote)
	g, err := e.Authenticate(trust)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(trust.Roots[0])
	library := func() error {
		return verify.RawTdxQuote(e.Quote, &verify.Options{Now: sampled, TrustedRoots: pool, Getter: service{}})
	}
	if err := library(); err != nil {
		t.Fatal(err)
	}
	raw, err := abi.QuoteToProto(e.Quote)
	if err != nil {
		t.Fatal(err)
	}
	body := raw.(*pb.QuoteV4).TdQuoteBody
	if !bytes.Equal(body.MrTd, g.MRTD[:]) || !bytes.Equal(body.MrSeam, g.Module[:]) || !bytes.Equal(body.ReportData, g.Data[:]) || !bytes.Equal(body.TeeTcbSvn, g.TCB[:]) ||
		binary.LittleEndian.Uint64(body.TdAttributes) != g.Attributes || !bytes.Equal(body.Rtmrs[3], g.RTMR[3][:]) || !bytes.Equal(body.MrConfigId, g.ConfigID[:]) {
		t.Errorf("%v is read as %+v", body, g.Quote)
	}
	flips(e.Quote[:len(e.Quote)-len(g.chain)], oracleStep, func(i int) bool {
		_, ours := e.Authenticate(trust)
		if their := library(); (ours == nil) != (their == nil) {
			t.Errorf("quote with a byte turned at %d: ours %v, theirs %v", i, ours, their)
		}
		return false
	})
}

// The genuine platform and collateral: the library refuses them for the same reason.
func TestGenuineCollateralAgainstTheLibrary(t *testing.T) {
	e, trust := spr(t)
	q, err := Read(e.Quote)
	if err != nil {
		t.Fatal(err)
	}
	_, issuer, err := q.certificates()
	if err != nil {
		t.Fatal(err)
	}
	family := []byte{0x50, 0x80, 0x6f, 0, 0, 0}
	if err := theirs(e, issuer, trust, family); err == nil || !strings.Contains(err.Error(), "no matching TCB level found") {
		t.Error(err)
	}
	trust.Now = time.Date(2023, 7, 9, 0, 0, 0, 0, time.UTC)
	if err := theirs(e, issuer, trust, family); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Error(err)
	}
}
