// Package paper draws an operator's sheets (custody/backup/paper) as pages to print: A4, a cover without secrets, then one sheet a page
// (spec/paper 6). The same sheets give the same bytes.
//
// It writes to what it is given, never to a disk of its own choosing, and reads no font from anywhere: every reader of PDF has the two
// that it uses. What goes through it can be wiped neither here nor in the PDF library: it is for a machine that is switched off afterwards.
package paper
