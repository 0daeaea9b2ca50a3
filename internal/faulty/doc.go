// Package faulty runs a program on a disk that fails: chosen system calls of the program, and of all that it starts, are answered by the test
// instead of the kernel (seccomp's user notification, on Linux).
//
// strace injects errors too, but counts calls for each thread by itself, and Go's runtime moves a program's calls between threads as it likes:
// "the fifth fsync" cannot be said to it. Here calls are counted over the whole program, in the order in which they are made.
package faulty
