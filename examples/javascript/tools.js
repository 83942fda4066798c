// Let the agent call a function of this program.
//
// The agent needs a language model that calls functions (AVB_LLM_BASE_URL at the server).
//
//   AVB_LLM_BASE_URL=http://127.0.0.1:11434/v1 AVB_LLM_MODEL=… agentvoicebox serve      (elsewhere)
//   node tools.js "What is the price of a red rose?"      (Node 22 or later; Node 20: node --experimental-websocket …)

import { ask, connect, model } from './connection.js';

const prices = { 'red rose': 'seven euros' };
const getPrice = {
  type: 'function',
  name: 'get_price',
  description: 'The price of a flower.',
  parameters: { type: 'object', properties: { flower: { type: 'string' } }, required: ['flower'] },
};

const connection = await connect({ model: model('assistant') });
const session = { type: 'realtime', output_modalities: ['text'], tools: [getPrice] };
connection.send({ type: 'session.update', session });
ask(connection, process.argv[2]);
for await (const event of connection.events()) {
  if (event.type === 'response.function_call_arguments.done') {
    const output = prices[JSON.parse(event.arguments).flower] ?? 'unknown';
    const item = { type: 'function_call_output', call_id: event.call_id, output };
    connection.send({ type: 'conversation.item.create', item });
  }
  if (event.type === 'response.output_text.done') console.log(event.text);
  if (event.type === 'response.done') {
    if (event.response.output.at(-1).type === 'message') break;
    connection.send({ type: 'response.create' }); // it ended with the call: now it may answer
  }
}
connection.socket.close(1000);
