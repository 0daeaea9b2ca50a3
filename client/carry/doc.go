// Package carry is the form of files that go to an approver without a network and back (spec/people). What they say is verified by client.
package carry
