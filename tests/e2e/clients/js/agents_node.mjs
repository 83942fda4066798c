// The `@openai/agents-realtime` package in Node with its default settings: words, a function, and an interruption that it handles.

import { DEFAULT_OPENAI_REALTIME_MODEL, RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';
import { Microphone, Seen, order, pause, report } from './caller.mjs';

const getPrice = tool({
  name: 'get_price',
  description: 'The price of a flower.',
  parameters: z.object({ flower: z.string() }),
  execute: async ({ flower }) => {
    report('function', { flower });
    return order.price;
  },
});

const agent = new RealtimeAgent({ name: 'Flora', instructions: order.instructions, tools: [getPrice] });
const session = new RealtimeSession(agent, { transport: 'websocket' });
const seen = new Seen();
let history = [];
session.on('transport_event', (event) => seen.add(event));
session.on('history_updated', (items) => {
  history = items;
});
session.on('audio_interrupted', () => seen.add({ type: 'interrupted' }));
session.on('error', (error) => {
  process.stderr.write(JSON.stringify(error) + '\n');
  process.exit(1);
});

/** What the agent said, by the package's own history. */
const said = () => history.filter((item) => item.role === 'assistant')
  .map((item) => item.content.map((part) => part.transcript ?? '').join(' '));

const url = `${order.url.replace('http', 'ws')}/realtime?model=${DEFAULT_OPENAI_REALTIME_MODEL}`;
await session.connect({ apiKey: 'any key', url });
const microphone = new Microphone((frame) => session.sendAudio(frame.buffer.slice(frame.byteOffset, frame.byteOffset + frame.length)));
microphone.start();

microphone.speak('name');
await seen.until('response.done');
report('name', { said: said() });
await pause(3000); // the loudspeaker plays

microphone.speak('price');
await seen.until('response.done', 3);
report('price', { said: said() });
await pause(2500);

microphone.speak('endless');
await seen.find((event) => event.type === 'response.output_audio_transcript.delta' && event.delta.includes('Once'));
await seen.find((event) => event.type === 'response.output_audio.delta' && event.response_id === seen.of('response.created').at(-1).response.id);
await pause(3000);
microphone.speak('stop');
await seen.until('interrupted');
await seen.until('response.done', 5);
const [story] = seen.of('response.done').slice(3);
report('interruption', { said: said(), status: story.response.status, truncated: seen.of('conversation.item.truncated').at(-1).audio_end_ms });
microphone.stop();
session.close();
process.exit(0);
