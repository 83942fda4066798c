// Chromium for pages with the `@openai/agents-realtime` bundle: headless, with a microphone that plays a WAV file.

import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { report } from './caller.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const BUNDLE = join(HERE, 'node_modules/@openai/agents-realtime/dist/bundle');

/**
 * Opens a page until it has reported an error, or `answers` answers that are done; then ends the program.
 * @param file the page, in this folder.
 * @param query what the page reads from its address.
 * @param options `microphone`: a WAV file, played once; `answers`; `program`: a Chromium; by default the npm package's own.
 */
export async function callFrom(file, query, { microphone, answers, program }) {
  // The package unpacks its browser into the folder for temporary files: into one of our own, so that nobody else's is run.
  const unpacked = mkdtempSync(join(tmpdir(), 'avb-chromium-'));
  process.env.TMPDIR = unpacked;
  const { default: chromium } = await import('@sparticuz/chromium');
  const { chromium: playwright } = await import('playwright-core');

  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, 'http://localhost').pathname);
    const isPage = path === '/';
    const found = isPage ? join(HERE, file) : join(BUNDLE, path.replace(/^\/bundle\//, ''));
    response.setHeader('content-type', isPage ? 'text/html' : 'text/javascript');
    createReadStream(found).on('error', () => response.writeHead(404).end()).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

  const browser = await playwright.launch({
    executablePath: program || await chromium.executablePath(),
    args: [
      '--no-sandbox', // the tests may run as root
      '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream',
      `--use-file-for-fake-audio-capture=${microphone}%noloop`,
      '--autoplay-policy=no-user-gesture-required',
    ],
  });
  try {
    const context = await browser.newContext({ permissions: ['microphone'] });
    const page = await context.newPage();
    page.on('console', (message) => process.stderr.write(message.text() + '\n'));
    page.on('pageerror', (error) => process.stderr.write(error.message + '\n'));
    let end;
    const ended = new Promise((resolve) => (end = resolve));
    let done = 0;
    await page.exposeFunction('report', ({ what, ...fields }) => {
      report(what, fields);
      if (what === 'error' || (what === 'done' && ++done === answers)) end();
    });
    await page.goto(`http://127.0.0.1:${server.address().port}/?${new URLSearchParams(query)}`);
    report('browser', { version: browser.version() });
    await ended;
    await page.evaluate(() => window.leave?.());
  } finally {
    await browser.close();
    server.close();
    rmSync(unpacked, { recursive: true, force: true });
  }
  process.exit(0);
}
