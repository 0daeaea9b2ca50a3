//go:build !failpoint

package memory

// traceable leaves the process open to debuggers of its own user.
const traceable = false
