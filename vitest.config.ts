import { defineConfig } from 'vitest/config'

/** Tests import the package by its public names and get the source. */
const resolve = { conditions: ['@sluice/source'] }
const ssr = { resolve: { conditions: ['@sluice/source', 'node', 'module', 'default'] } }
const support = 'packages/sluice/test/support'

export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: 'unit',
          include: [
            'packages/*/src/**/*.test.ts',
            'packages/*/test/*.test.ts',
            'packages/*/test/cli/*.test.ts',
            'packages/*/test/attacks/*.test.ts',
            'packages/*/test/fuzz/*.test.ts',
            'packages/*/test/robustness/*.test.ts',
          ],
          exclude: ['packages/*/test/structure.test.ts'],
          setupFiles: [`${support}/setup.ts`],
          testTimeout: 20_000,
          pool: 'forks',
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'interop',
          include: ['packages/*/test/interop/*.test.ts'],
          globalSetup: [`${support}/require-peers.ts`],
          setupFiles: [`${support}/setup.ts`],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          pool: 'forks',
        },
      },
      { resolve, ssr, test: { name: 'structure', include: ['packages/*/test/structure.test.ts'] } },
    ],
  },
})
