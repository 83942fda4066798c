// Write down what is said, without an agent. For a finished file, POST /v1/audio/transcriptions needs one request.
//
//   agentvoicebox serve                                   (elsewhere)
//   node transcription.js speech.wav                      24 kHz, mono, 16 bits (Node 20: node --experimental-websocket …)

import { readFileSync } from 'node:fs';
import { connect } from './connection.js';

const FRAME_BYTES = 4800; // 100 ms
const file = readFileSync(process.argv[2]);
const pcm = file.subarray(file.indexOf('data') + 8);

const connection = await connect({ intent: 'transcription' });
// Without turn detection this program says where a turn ends; with it, the server finds the turns of a live line.
const input = { transcription: { model: 'default', language: 'en' }, turn_detection: null };
connection.send({ type: 'session.update', session: { type: 'transcription', audio: { input } } });
for (let start = 0; start < pcm.length; start += FRAME_BYTES) {
  const audio = pcm.subarray(start, start + FRAME_BYTES).toString('base64');
  connection.send({ type: 'input_audio_buffer.append', audio });
}
connection.send({ type: 'input_audio_buffer.commit' });
for await (const event of connection.events()) {
  if (event.type === 'conversation.item.input_audio_transcription.failed') throw new Error(event.error.message);
  if (event.type === 'conversation.item.input_audio_transcription.completed') {
    console.log(event.transcript);
    break;
  }
}
connection.socket.close(1000);
