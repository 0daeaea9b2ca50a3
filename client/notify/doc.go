// Package notify says what people are told of a circle, and when (spec/notify). It is pure: a Book holds what was told and what waits to be
// sent; Book.Take gives it what the nodes show now, as the client verified it, and it finds what is new; Book.Due, Book.Sent and Book.Failed
// are the queue of each receiver. Reading nodes is the client's, files and HTTP are client/courier's.
package notify
