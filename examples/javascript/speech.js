// Speak to the agent, and keep what it says as a file of samples (24 kHz, mono, 16 bits).
//
// The caller's voice is made by the server itself, so no microphone is needed: put your own samples in its place.
//
//   agentvoicebox serve                                   (elsewhere)
//   node speech.js "Where is my parcel?" answer.pcm       (Node 22 or later; Node 20: node --experimental-websocket …)

import { writeFileSync } from 'node:fs';
import { connect, key, model, pause, url } from './connection.js';

const FRAME_BYTES = 4800; // 100 ms
const [question, path] = process.argv.slice(2);

const made = await fetch(`${url}/audio/speech`, {
  method: 'POST',
  headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
  body: JSON.stringify({ model: 'tts-1', voice: 'alloy', input: question, response_format: 'pcm' }),
});
if (!made.ok) throw new Error((await made.json()).error.message);
const pcm = Buffer.concat([Buffer.from(await made.arrayBuffer()), Buffer.alloc(48000)]); // silence: the turn is over

const connection = await connect({ model: model('delivery') });
const input = { transcription: { model: 'default' } };
connection.send({ type: 'session.update', session: { type: 'realtime', audio: { input } } });

/** Sends the samples as a microphone does. */
async function speak() {
  for (let start = 0; start < pcm.length; start += FRAME_BYTES) {
    const audio = pcm.subarray(start, start + FRAME_BYTES).toString('base64');
    connection.send({ type: 'input_audio_buffer.append', audio });
    await pause(100);
  }
}

const answer = [];
const speaking = speak();
for await (const event of connection.events()) {
  if (event.type === 'conversation.item.input_audio_transcription.completed') console.log('caller:', event.transcript);
  if (event.type === 'response.output_audio.delta') answer.push(Buffer.from(event.delta, 'base64'));
  if (event.type === 'response.output_audio_transcript.done') console.log('agent:', event.transcript);
  if (event.type === 'response.done') break;
}
await speaking;
writeFileSync(path, Buffer.concat(answer));
connection.socket.close(1000);
