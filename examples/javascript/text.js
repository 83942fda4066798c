// Ask in writing, and print the answer as it comes.
//
//   agentvoicebox serve                                   (elsewhere)
//   node text.js "Where is parcel PKG004?"                (Node 22 or later; Node 20: node --experimental-websocket …)
//
// AVB_URL, AVB_KEY and AVB_MODEL name another server, a key and an agent.

import { ask, connect, model } from './connection.js';

const connection = await connect({ model: model('delivery') });
connection.send({ type: 'session.update', session: { type: 'realtime', output_modalities: ['text'] } });
ask(connection, process.argv[2]);
for await (const event of connection.events()) {
  if (event.type === 'response.output_text.delta') process.stdout.write(event.delta);
  if (event.type === 'response.done') break;
}
console.log();
connection.socket.close(1000);
