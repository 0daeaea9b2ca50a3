// Package chromium starts the pinned Chromium for a test: one tab of a real browser without a window, with a security key in it
// that verifies its owner and is touched at once.
package chromium

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/ostraka/ostraka/internal/components"
)

// A Browser is one tab.
type Browser struct {
	t   testing.TB
	ctx context.Context
}

// patience bounds what a test does in the tab.
const patience = 2 * time.Minute

// Start starts the browser, and ends it with the test. hosts are rules as of --host-resolver-rules. A missing program fails the test.
func Start(t testing.TB, hosts string) *Browser {
	t.Helper()
	return StartFor(t, hosts, patience)
}

// StartFor is Start for a test that takes longer than most.
func StartFor(t testing.TB, hosts string, patience time.Duration) *Browser {
	t.Helper()
	path, err := components.Chromium.Find()
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.Flag("host-resolver-rules", hosts),
		chromedp.Env("LD_LIBRARY_PATH="+components.Chromium.Libraries(path)))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium as root runs in no other way
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	b := &Browser{t, ctx}
	if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	_, err = chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportUsb,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
	if err != nil {
		t.Fatalf("start chromium: give it a security key: %v", err)
	}
	return b
}

// For is the same tab, for a test within the test.
func (b *Browser) For(t testing.TB) *Browser { return &Browser{t, b.ctx} }

// Go loads a page and returns the HTTP status.
func (b *Browser) Go(url string) int {
	b.t.Helper()
	r, err := chromedp.Run(b.ctx, chromedp.NavigateResponse(url))
	if err != nil {
		b.t.Fatalf("chromium: load %s: %v", url, err)
	}
	return int(r.Status)
}

// Click clicks what a CSS selector finds.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
		b.t.Fatalf("chromium: click %s: %v", selector, err)
	}
}

// Run runs a script in the page, the text of a promise or not, and returns its text.
func (b *Browser) Run(script string) string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("chromium: run %s: %v", script, err)
	}
	return text
}

// Await waits until a script, which may fail while the page loads anew, says something else than "", and returns it.
func (b *Browser) Await(script string) string {
	b.t.Helper()
	return b.AwaitFor(20*time.Second, script)
}

// AwaitFor is Await with another patience.
func (b *Browser) AwaitFor(patience time.Duration, script string) string {
	b.t.Helper()
	for limit := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
		if err == nil && text != "" {
			return text
		}
		if time.Now().After(limit) {
			b.t.Fatalf("chromium: %s stays %q, %v", script, text, err)
		}
	}
}

// Screen makes the tab a screen of this size in CSS pixels, light or dark; scale is device pixels for each.
func (b *Browser) Screen(width, height int, scale float64, dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: int64(width), Height: int64(height), DeviceScaleFactor: scale, Mobile: width < 600,
	})
	if err == nil {
		_, err = chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	}
	if err != nil {
		b.t.Fatalf("chromium: make the screen %d by %d: %v", width, height, err)
	}
}

// Shot is what the tab shows, as PNG.
func (b *Browser) Shot() []byte {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatalf("chromium: take a picture: %v", err)
	}
	return png
}
