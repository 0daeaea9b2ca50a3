// Package rescue judges what logs tell of a vault's emergencies (SOS), as an outsider who trusts no node (spec/verify 4.10; spec/sos).
//
// It replays every statement that any log shows: who asked, by whom it was supported and vetoed, which steps each node took and when, by its own signed figures
// and by the times and the order of the leaves in its own log; who gave a part, for which activation, and which epochs came of it; what was signed meanwhile. It
// knows the rules of custody/sos and shares none of its code but the plan and the statements: two readings of spec/sos must agree.
//
// It is pure. Logs, epochs and what was signed come as arguments; whoever read them has checked them to the roots that the logs signed.
package rescue
