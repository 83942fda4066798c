import { expect, it } from 'vitest';
import { conversationOf } from '../src/call/recorded';
import { toolsOf } from '../src/call/talk_session';

it('reads a recorded call: words, tools with their results, and what was cut', () => {
  const { entries } = conversationOf([
    { id: 'a', type: 'message', role: 'user', content: [{ type: 'input_audio', transcript: 'Where is it?' }] },
    { id: 'b', type: 'function_call', name: 'track', arguments: '{}', call_id: 'call_1', is_hidden: true },
    { id: 'c', type: 'function_call_output', call_id: 'call_1', output: 'ok' },
    {
      id: 'd',
      type: 'message',
      role: 'assistant',
      content: [{ type: 'output_audio', transcript: 'It is out' }],
      sent_ms: 2000,
      heard_ms: 900,
    },
  ]);
  expect(entries).toMatchObject([
    { kind: 'caller', text: 'Where is it?', isTyped: false },
    { kind: 'tool', name: 'track', output: 'ok' },
    { kind: 'agent', text: 'It is out', heard: 'It is out' },
  ]);
});

it("takes only the server's own tools from the records of a live call", () => {
  const items = [
    { id: 'a', type: 'function_call', name: 'mine', call_id: '1' },
    { id: 'b', type: 'function_call', name: 'theirs', call_id: '2', is_hidden: true },
    { id: 'c', type: 'function_call_output', call_id: '2', output: 'done' },
  ];
  expect(toolsOf(items)).toEqual([{ kind: 'tool', id: 'b', name: 'theirs', arguments: '', output: 'done' }]);
});
