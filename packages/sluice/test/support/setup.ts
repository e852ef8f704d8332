// Runs before each test file: proves which runtime this is, leaves out on Bun what bun-gaps.ts lists, and has property
// tests try the same inputs each time.
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { beforeAll, type RunnerTestCase, type RunnerTestSuite } from 'vitest'
import { bunGaps } from '../bun-gaps.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Set by `npm run test:runtimes`: `node 22.23.3` or `bun 1.4.5`. */
const expected = process.env.SLUICE_TEST_RUNTIME
const { bun, node } = process.versions
const actual = bun === undefined ? `node ${node}` : `bun ${bun}`
if (expected !== undefined && expected !== actual) {
  throw new Error(`the tests were to run on ${expected}, and run on ${actual}`)
}

// Another seed looks further: SLUICE_TEST_SEED=$RANDOM npm test
fc.configureGlobal({ seed: Number(process.env.SLUICE_TEST_SEED ?? 1) })

// biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures that are asked for from this pattern
beforeAll(({}, suite) => {
  const file = relative(root, suite.file.filepath)
  const tasks = new Map(tasksIn(suite).map(task => [fullName(task), task]))
  for (const { test } of bunGaps.filter(gap => gap.file === file)) {
    const task = tasks.get(test)
    if (task === undefined) {
      throw new Error(`bun-gaps.ts lists "${test}" in ${file}, and there is no such test; correct the list`)
    }
    if (bun !== undefined) for (const each of [task, ...tasksIn(task)]) each.mode = 'skip'
  }
})

type Task = RunnerTestCase | RunnerTestSuite

function tasksIn(task: Task): Task[] {
  return task.type === 'suite' ? task.tasks.flatMap(each => [each, ...tasksIn(each)]) : []
}

function fullName(task: Task): string {
  return task.suite ? `${fullName(task.suite)} > ${task.name}` : task.name
}
