import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

declare const process: { env: Record<string, string | undefined> };

// `npm run dev` shows the page with hot reload in front of the mock API or of a real one (HEADRACE_URL).
const api = process.env['HEADRACE_URL'] ?? 'http://127.0.0.1:4173';

export default defineConfig({
  base: '/',
  plugins: [svelte()],
  build: {
    outDir: 'dist',
    assetsDir: 'assets',
    assetsInlineLimit: 0, // data: URLs would need a wider Content-Security-Policy
    modulePreload: { polyfill: false },
    target: 'es2022',
    reportCompressedSize: false,
  },
  server: { host: '127.0.0.1', proxy: { '/api': api } },
  test: { include: ['src/**/*.test.ts'], environment: 'node', testTimeout: 30000 },
});
