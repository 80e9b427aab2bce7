// Package platformtest is the contract that every platform keeps: one suite, run by each implementation's tests.
//
// A test file of the platform fills a Harness and calls Run. The suite never waits for time to pass: where a real
// engine needs a while, it asks again until a deadline that is far beyond what it needs.
package platformtest
