import { defineConfig } from 'vitest/config'

/** Tests import the package by its public names and get the source. */
const resolve = { conditions: ['@sluice/source'] }
const ssr = { resolve: { conditions: ['@sluice/source', 'node', 'import', 'module', 'default'] } }

export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'packages/*/test/*.test.ts'],
          exclude: ['packages/*/test/structure.test.ts'],
          typecheck: { enabled: false },
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
          testTimeout: 60_000,
          hookTimeout: 60_000,
          pool: 'forks',
        },
      },
      { resolve, ssr, test: { name: 'structure', include: ['packages/*/test/structure.test.ts'] } },
    ],
  },
})
