// Package offsite is where backups lie: a folder, or an S3-compatible bucket. It knows bytes and names, and nothing of what is in them.
//
// What it puts somewhere appears whole or not at all, is durable when it returns, and never takes the place of something that is there.
package offsite
