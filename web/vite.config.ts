// The page. Fixed file names: the gateway serves each with an ETag, and the same sources always give the same bytes.
import { defineConfig } from 'vite';

export const STATIC = '../src/agentvoicebox/console/static';

export default defineConfig({
  base: '/console/',
  publicDir: false,
  build: {
    outDir: STATIC,
    emptyOutDir: true,
    assetsDir: '',
    assetsInlineLimit: 0, // the page's policy allows no data: scripts
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: {
        index: 'index.html',
        capture: 'src/audio/capture.worklet.ts',
        playback: 'src/audio/playback.worklet.ts',
      },
      output: {
        entryFileNames: (chunk) => (chunk.name === 'index' ? 'console.js' : `${chunk.name}.worklet.js`),
        chunkFileNames: '[name].js',
        assetFileNames: '[name][extname]',
      },
    },
  },
});
