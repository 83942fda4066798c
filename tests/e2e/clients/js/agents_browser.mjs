// Opens a page with the `@openai/agents-realtime` bundle in headless Chromium: over WebSocket, or by WebRTC.

import { callFrom } from './browser.mjs';
import { order } from './caller.mjs';

const { secret, instructions, price, page = 'page.html', url } = order;
const address = page === 'page.html' ? url.replace('http', 'ws') : `${url}/realtime/calls`;
await callFrom(page, { url: address, secret, instructions, price, tool: JSON.stringify(order.tool) }, order);
