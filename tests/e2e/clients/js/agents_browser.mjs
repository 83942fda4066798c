// Opens a page with the `@openai/agents-realtime` bundle in headless Chromium, whose microphone plays a WAV file.

import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { order, report } from './caller.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const BUNDLE = join(HERE, 'node_modules/@openai/agents-realtime/dist/bundle');

// The package unpacks its browser into the folder for temporary files: into one of our own, so that nobody else's is run.
const unpacked = mkdtempSync(join(tmpdir(), 'avb-chromium-'));
process.env.TMPDIR = unpacked;
const { default: chromium } = await import('@sparticuz/chromium');
const { chromium: playwright } = await import('playwright-core');

const server = createServer((request, response) => {
  const path = normalize(new URL(request.url, 'http://localhost').pathname);
  const isPage = path === '/';
  const file = isPage ? join(HERE, 'page.html') : join(BUNDLE, path.replace(/^\/bundle\//, ''));
  response.setHeader('content-type', isPage ? 'text/html' : 'text/javascript');
  createReadStream(file).on('error', () => response.writeHead(404).end()).pipe(response);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

const browser = await playwright.launch({
  executablePath: await chromium.executablePath(),
  args: [
    '--no-sandbox', // the tests may run as root
    '--use-fake-ui-for-media-stream',
    '--use-fake-device-for-media-stream',
    `--use-file-for-fake-audio-capture=${order.microphone}%noloop`,
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
  let answers = 0;
  await page.exposeFunction('report', ({ what, ...fields }) => {
    report(what, fields);
    if (what === 'error' || (what === 'done' && ++answers === order.answers)) end();
  });
  const { secret, instructions, price } = order;
  const query = new URLSearchParams({ url: order.url.replace('http', 'ws'), secret, instructions, price, tool: JSON.stringify(order.tool) });
  await page.goto(`http://127.0.0.1:${server.address().port}/?${query}`);
  report('browser', { version: browser.version() });
  await ended;
} finally {
  await browser.close();
  server.close();
  rmSync(unpacked, { recursive: true, force: true });
}
process.exit(0);
