// Lose the connection in the middle of an answer, and get the rest of it.
//
// This program breaks its own line after the first words. docs/resume.md has the whole recipe, with audio.
//
//   agentvoicebox serve                                   (elsewhere)
//   node resume.js "Where is parcel PKG004?"              (Node 22 or later; Node 20: node --experimental-websocket …)

import { ask, connect, model, pause } from './connection.js';

const known = {}; // what must be kept to go on: the session's id, and the last event
let isAnswered = false;
let wasBroken = false;

while (!isAnswered) {
  const isNew = !known.session_id;
  const connection = await connect({ resume: '1', ...(isNew ? { model: model('delivery') } : known) });
  if (isNew) {
    connection.send({ type: 'session.update', session: { type: 'realtime', output_modalities: ['text'] } });
    ask(connection, process.argv[2]);
  }
  for await (const event of connection.events()) {
    if (!event.type.startsWith('agentvoicebox.')) known.last_event_id = event.event_id;
    if (event.type === 'session.created') known.session_id = event.session.id;
    if (event.type === 'agentvoicebox.resumed') console.log(`[resumed, nothing lost: ${event.is_complete}]`);
    if (event.type === 'response.output_text.delta') {
      console.log(event.delta);
      if (!wasBroken) {
        wasBroken = true;
        console.log('[the line breaks]');
        connection.socket.close(); // without a code: to the server it is a broken line
        break;
      }
    }
    if (event.type === 'response.done') {
      isAnswered = true;
      connection.socket.close(1000);
      break;
    }
  }
  if (!isAnswered) await pause(200); // docs/resume.md: try again for about 20 s
}
