package journal

// Queued is how many entries wait behind the one being written.
func Queued(j *Journal) int {
	j.queue.Lock()
	defer j.queue.Unlock()
	return len(j.wait)
}
