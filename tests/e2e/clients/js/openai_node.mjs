// The official `openai` package in Node, over TLS: words, a function, an interruption with truncation, and a line that breaks.

import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { Microphone, Seen, must, order, pause, report } from './caller.mjs';

const client = new OpenAI({ baseURL: order.url, apiKey: 'any key' });

async function call(options = {}) {
  const seen = new Seen();
  const socket = new OpenAIRealtimeWS({ model: 'gpt-realtime', ...options }, client);
  socket.on('event', (event) => seen.add(event));
  socket.on('error', (error) => {
    process.stderr.write(error.message + '\n');
    if (!options.reconnect || error.error) seen.add({ type: 'client error', message: error.message });
  });
  const failed = seen.find((event) => event.type === 'client error').then((event) => {
    throw new Error(event.message);
  });
  const until = (type, count) => Promise.race([seen.until(type, count), failed]);
  await until('session.created');
  socket.send({ type: 'session.update', session: { type: 'realtime', instructions: order.instructions, tools: [order.tool] } });
  await until('session.updated');
  const microphone = new Microphone((frame) => {
    if (socket.socket.readyState === 1) socket.send({ type: 'input_audio_buffer.append', audio: frame.toString('base64') });
  });
  microphone.start();
  return { socket, seen, until, microphone };
}

async function talk() {
  const { socket, seen, until, microphone } = await call();
  microphone.speak('name');
  const named = await until('response.output_audio_transcript.done');
  await until('response.done');
  report('name', { transcript: named.transcript, audio: seen.of('response.output_audio.delta').length });
  await pause(3000); // the loudspeaker plays

  microphone.speak('price');
  const asked = await until('response.function_call_arguments.done');
  await until('response.done', 2);
  socket.send({
    type: 'conversation.item.create',
    item: { type: 'function_call_output', call_id: asked.call_id, output: order.price },
  });
  socket.send({ type: 'response.create' });
  const told = await until('response.output_audio_transcript.done', 2);
  await until('response.done', 3);
  report('price', { name: asked.name, arguments: asked.arguments, transcript: told.transcript });
  await pause(2500);

  microphone.speak('endless');
  const item = await seen.find((event) => event.type === 'response.output_item.added' && event.output_index === 0
    && event.item.id !== told.item_id && event.item.id !== named.item_id && event.item.type === 'message');
  await seen.find((event) => event.type === 'response.output_audio.delta' && event.item_id === item.item.id);
  await pause(3000);
  microphone.speak('stop');
  await until('input_audio_buffer.speech_started', 4);
  socket.send({ type: 'conversation.item.truncate', item_id: item.item.id, content_index: 0, audio_end_ms: 3000 });
  const cut = await until('conversation.item.truncated');
  const story = await until('response.done', 4);
  const last = await until('response.done', 5);
  const again = seen.of('response.output_audio_transcript.done').at(-1);
  report('interruption', { truncated: cut.audio_end_ms, story: story.response.status, last: last.response.status,
    transcript: again.transcript });
  microphone.stop();
  socket.close();
}

async function resume() {
  let seen;
  const { socket, until, microphone, ...made } = await call({
    reconnect: true,
    buildRealtimeURL: () => {
      const url = new URL(order.cut_url.replace('https', 'wss') + '/realtime?resume=1');
      const created = seen?.of('session.created')[0];
      if (created) {
        url.searchParams.set('session_id', created.session.id);
        url.searchParams.set('last_event_id', seen.last().event_id);
      } else url.searchParams.set('model', 'gpt-realtime');
      return url;
    },
  });
  seen = made.seen;
  microphone.speak('story');
  await until('response.output_audio.delta');
  report('cut me');
  await until('agentvoicebox.resumed');
  const done = await until('response.done');
  const said = seen.of('response.output_audio_transcript.delta').map((event) => event.delta).join('');
  must(seen.of('session.created').length === 1, 'a new session was opened');
  report('resumed', { status: done.response.status, transcript: said });
  microphone.stop();
  socket.close();
}

await talk();
await resume();
report('end');
process.exit(0);
