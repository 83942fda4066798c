// The client module alone, for pages of others: /console/realtime.js.
import { defineConfig } from 'vite';
import { STATIC } from './vite.config.ts';

export default defineConfig({
  publicDir: false,
  build: {
    outDir: STATIC,
    emptyOutDir: false,
    lib: { entry: 'src/realtime/index.ts', formats: ['es'], fileName: () => 'realtime.js' },
  },
});
