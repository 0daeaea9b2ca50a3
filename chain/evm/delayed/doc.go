// Package delayed reads a Safe with a delay, and writes what is said to it (spec/delayed): the Safe's owners and modules, the module's settings and keys, what
// waits in its queue and until when it can be struck out. It asks by functions that it is given, and has no network of its own.
//
// The contracts are Safe's and Zodiac's Delay. Nothing that they answer is believed beyond its form: lists and numbers are bounded, and what a log says of a
// queued call counts only if it has the hash that the module keeps.
package delayed
