//go:build failpoint

package memory

// traceable: the build whose processes tests kill is also the one whose memory they search, and who runs tests need not be root.
const traceable = true
