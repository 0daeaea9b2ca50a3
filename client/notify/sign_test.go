package notify

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// vector reads the test vector of spec/notify 3.
func vector(t *testing.T) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("../../spec/notify.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(raw), "A test vector:\n\n```\n")
	block, _, _ = strings.Cut(block, "```")
	out := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+(?: key)?) +(.+)$`).FindAllStringSubmatch(block, -1) {
		out[m[1]] = m[2]
	}
	return out
}

func TestVectorOfTheSpec(t *testing.T) {
	v := vector(t)
	s, err := ParseSecret(v["secret"])
	if err != nil {
		t.Fatal(err)
	}
	at, err := strconv.ParseInt(v["timestamp"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	body, err := Body(VaultUnfrozen, "harbour", t0, unfrozenData{"treasury", "5f"})
	if err != nil || body != v["body"] {
		t.Errorf("body %s, %v", body, err)
	}
	if id := ID(v["context"], v["receiver"], v["event key"]); id != v["id"] {
		t.Errorf("id %s", id)
	}
	if sig := s.Sign(v["id"], time.Unix(at, 0), v["body"]); sig != v["signature"] {
		t.Errorf("signature %s", sig)
	}
	// Each part is covered.
	for _, other := range []string{s.Sign(v["id"]+"x", time.Unix(at, 0), v["body"]), s.Sign(v["id"], time.Unix(at+1, 0), v["body"]), s.Sign(v["id"], time.Unix(at, 0), v["body"]+" ")} {
		if other == v["signature"] {
			t.Error("a part is not covered by the signature")
		}
	}
}

// The example that the libraries of Standard Webhooks are tested with.
func TestVectorOfTheStandard(t *testing.T) {
	s, err := ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if got := s.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), `{"test": 2432232314}`); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestSecrets(t *testing.T) {
	s, err := NewSecret([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	text := s.Reveal()
	if back, err := ParseSecret(text); err != nil || !back.Equal(s) || back.Reveal() != text {
		t.Errorf("read back: %v", err)
	}
	raw, err := json.Marshal(map[string]any{"s": s, "in": struct{ S Secret }{s}})
	if err != nil {
		t.Fatal(err)
	}
	printed := string(raw) + fmt.Sprintf("%v %+v %#v %x %s %q %d", s, s, s, s, s, s, struct{ S *Secret }{&s}) + fmt.Sprintf("%v %+v", struct{ S Secret }{s}, []Secret{s})
	for _, part := range []string{text[len(secretPrefix):], "0123456789abcdef", "3031323334", "[48 49"} {
		if strings.Contains(printed, part) {
			t.Errorf("%q is printed: %s", part, printed)
		}
	}
	if _, err := NewSecret(make([]byte, 31)); err == nil {
		t.Error("31 random bytes are taken")
	}
	for _, bad := range []string{"", "whsec_", text[1:], text + "=", text[:len(text)-1], "whsec_c2hvcnQ=", text + "\n", "whsec_" + strings.Repeat("AAAA", 22)} {
		if _, err := ParseSecret(bad); err == nil || len(bad) > 8 && strings.Contains(err.Error(), bad[6:]) {
			t.Errorf("secret %q: %v", bad, err)
		}
	}
}

// A body that would be too long keeps its type: nobody hides an event by making it long.
func TestLongBody(t *testing.T) {
	body, err := Body(IntentAlarm, "c", t0, strings.Repeat("x", maxBody))
	if err != nil || body != `{"type":"intent.alarm","time":"2026-10-01T12:00:00Z","circle":"c","data":{"too_long":true}}` {
		t.Errorf("%.200s, %v", body, err)
	}
}
