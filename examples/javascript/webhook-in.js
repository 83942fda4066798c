// Answer the tool calls of an agent over HTTP: verify that a call is really your server's, and answer it.
//
// The agent is examples/agents/opening-hours.toml; it needs a language model that calls functions.
//
//   AVB_TOOL_SECRET=a-long-secret node webhook-in.js 9000
//   AVB_TOOL_SECRET=a-long-secret AVB_AGENTS_DIR=examples/agents AVB_LLM_BASE_URL=… agentvoicebox serve      (elsewhere)
//   AVB_MODEL=opening-hours node text.js "When do you open on Sunday?"

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import { readBody } from './body.js';

const HOURS = { Sunday: 'closed', Saturday: 'nine to noon' };
const MOST_BYTES = 64 * 1024;
const WINDOW_S = 300;

/** Whether `t=…,v1=…` is the HMAC-SHA256 of time and body, and fresh, so that nobody repeats an old call. */
function isGenuine(body, header, secret) {
  const parts = Object.fromEntries(header.split(',').map((part) => part.split('=', 2)));
  const right = createHmac('sha256', secret).update(`${parts.t}.`).update(body).digest();
  const given = Buffer.from(parts.v1 ?? '', 'hex');
  const isOurs = given.length === right.length && timingSafeEqual(given, right);
  return isOurs && Math.abs(Date.now() / 1000 - Number(parts.t)) <= WINDOW_S;
}

createServer(async (request, response) => {
  const body = await readBody(request, MOST_BYTES);
  if (body === null) return response.writeHead(413).end();
  const shown = request.headers['x-agentvoicebox-signature'] ?? '';
  if (!isGenuine(body, shown, process.env.AVB_TOOL_SECRET)) return response.writeHead(401).end();
  const { day } = JSON.parse(body).arguments;
  response.setHeader('content-type', 'application/json');
  return response.end(JSON.stringify({ hours: HOURS[day] ?? 'nine to six' }));
}).listen(Number(process.argv[2]), '127.0.0.1');
