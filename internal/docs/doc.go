// Package docs holds the pages for people to what is there, as tests: links lead somewhere,
// tests that THREATS.md names exist, every dependency is explained. It has no code besides.
package docs
