import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['ts/test/**/*.test.ts'],
    // Processes, not threads: the addon owns threads of its own and is loaded once per process.
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // A test that was left focused passes locally and hides the others.
    allowOnly: false,
    passWithNoTests: false,
    globalSetup: 'ts/test/store/postgres-setup.ts',
    restoreMocks: true,
  },
});
