// Package courier brings people's notices to their receivers (spec/notify): it keeps the receivers and their secrets, the book of what was told
// and what waits, and the lock of the one program that watches a context; and it sends, by HTTP POST, to each receiver by itself. What is told is
// client/notify's; whoever runs a Courier gives it the function that asks the nodes.
package courier
