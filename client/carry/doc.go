// Package carry is the form of files that go to an approver without a network and back (spec/people), and to a guardian and back (spec/guardian 4, 5). What they say is verified by client.
package carry
