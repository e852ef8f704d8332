// What Bun lacks: the one list of tests that don't run there, each with its reason. docs/runtimes.md refers to it.
// A test that is listed and does not exist fails its file, on every runtime, so the list can't outlive the tests.

export interface BunGap {
  /** The test file, from packages/sluice/. */
  readonly file: string
  /** The test's names from the outside in, joined by ' > '; a describe block's covers all tests in it. */
  readonly test: string
  /** What Bun does otherwise, with the version in which it was seen. */
  readonly reason: string
}

export const bunGaps: readonly BunGap[] = []
