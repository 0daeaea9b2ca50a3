package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"
)

// Verified is what a verification of published logs found (spec/verify). Whoever reads it believes no node.
type Verified struct {
	Whole      bool // false: something could not be read, so that what is missing says nothing
	Failures   []Finding
	Attention  []string
	Signatures []Signature
	Versions   []Enactment
}

// A Finding is a claim that does not hold.
type Finding struct {
	Subject string `json:"subject"`
	Claim   string `json:"claim"`
	Class   string `json:"class"`
	Reason  string `json:"reason"`
}

// A Signature is one that logs tell of.
type Signature struct {
	Vault   string `json:"vault"`
	Request string `json:"request"` // the intent's id
	What    string `json:"what"`    // in words; empty: it is withheld
	Signed  string `json:"signed"`  // the transaction's id, or the proof's
	InLogs  int    `json:"in_logs"` // of those who hold the key
	At      string `json:"at"`
}

// An Enactment is a version that came into force.
type Enactment struct {
	Of      string `json:"of"` // charter or roster
	Version uint64 `json:"version"`
	ID      string `json:"id"` // empty where it is not known
}

// KnownVerified is what of verifications was told.
type KnownVerified struct {
	Begun     bool                 `json:"begun"`     // there was a whole one: its signatures and versions are known
	Failures  map[string]time.Time `json:"failures"`  // present ones, by mark: since when
	Attention map[string]time.Time `json:"attention"` // likewise
	Told      map[string][]int64   `json:"told"`      // by subject and claim: when something was told within the last hour
	Signed    map[string]bool      `json:"signed"`    // by the first digits of request and signature
	Versions  map[string]uint64    `json:"versions"`  // the newest, of charter and roster
}

const (
	maxTold   = 8   // failures of one subject and claim in an hour: reasons that change each time
	maxEvents = 200 // of one verification
)

type attentionData struct {
	What string `json:"what"`
}

type wellData struct {
	Attention []string `json:"attention"` // what still needs attention
}

func (k *KnownVerified) clone() *KnownVerified {
	if k == nil {
		return &KnownVerified{false, map[string]time.Time{}, map[string]time.Time{}, map[string][]int64{}, map[string]bool{}, map[string]uint64{}}
	}
	return &KnownVerified{k.Begun, maps.Clone(k.Failures), maps.Clone(k.Attention), maps.Clone(k.Told), maps.Clone(k.Signed), maps.Clone(k.Versions)}
}

func mark(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:8])
}

// verified finds what is new in a verification. The first takes signatures and versions as known, and tells what is wrong or needs attention.
func (l *look) verified() {
	v := l.shown.Verified
	if v == nil {
		return
	}
	if l.known.Since.IsZero() {
		l.known.Since = l.now
	}
	k := l.known.Verified.clone()
	l.known.Verified = k
	failed, unwell := len(k.Failures) > 0, len(k.Failures)+len(k.Attention) > 0
	l.failures(k, v)
	l.attention(k, v)
	if v.Whole && (failed && len(v.Failures) == 0 || unwell && len(v.Failures)+len(v.Attention) == 0) {
		l.tell(WatchWell, "", wellData{cutAll(v.Attention)}, l.now.Format(time.RFC3339))
	}
	if first := !k.Begun; v.Whole || !first {
		l.told(k, v, first)
		k.Begun = true
	}
}

// told finds new signatures and versions.
func (l *look) told(k *KnownVerified, v *Verified, first bool) {
	for _, s := range v.Signatures {
		if m := mark(s.Request, s.Signed); !k.Signed[m] && (first || len(l.out) < maxEvents) { // more are told next time
			k.Signed[m] = true
			if s.What = cut(s.What); !first {
				l.tell(WatchSigned, s.Vault, s, m)
			}
		}
	}
	for _, e := range v.Versions {
		newest, seen := k.Versions[e.Of]
		if !seen || e.Version > newest {
			k.Versions[e.Of] = e.Version
			if !first {
				l.tell(WatchVersion, "", e, e.Of, e.ID)
			}
		}
	}
}

func (l *look) failures(k *KnownVerified, v *Verified) {
	present := map[string]bool{}
	maps.DeleteFunc(k.Told, func(_ string, at []int64) bool { return at[len(at)-1] <= l.now.Add(-time.Hour).Unix() })
	for _, f := range v.Failures {
		m, about := mark(f.Subject, f.Claim, f.Reason), mark(f.Subject, f.Claim)
		present[m] = true
		if _, known := k.Failures[m]; known || len(l.out) >= maxEvents {
			continue
		}
		k.Failures[m] = l.now
		recent := slices.DeleteFunc(slices.Clone(k.Told[about]), func(at int64) bool { return at <= l.now.Add(-time.Hour).Unix() })
		if len(recent) >= maxTold {
			continue
		}
		k.Told[about] = append(recent, l.now.Unix())
		l.tell(WatchFailed, "", Finding{cut(f.Subject), cut(f.Claim), f.Class, cut(f.Reason)}, m, l.now.Format(time.RFC3339))
	}
	if v.Whole {
		maps.DeleteFunc(k.Failures, func(m string, _ time.Time) bool { return !present[m] })
	}
}

func (l *look) attention(k *KnownVerified, v *Verified) {
	present := map[string]bool{}
	for _, what := range v.Attention {
		m := mark(what)
		present[m] = true
		if _, known := k.Attention[m]; known || len(l.out) >= maxEvents {
			continue
		}
		k.Attention[m] = l.now
		l.tell(WatchAttention, "", attentionData{cut(what)}, m, l.now.Format(time.RFC3339))
	}
	if v.Whole {
		maps.DeleteFunc(k.Attention, func(m string, _ time.Time) bool { return !present[m] })
	}
}

func cutAll(texts []string) []string {
	out := []string{}
	for _, t := range texts[:min(len(texts), maxChanges)] {
		out = append(out, cut(t))
	}
	return out
}
