import { useEffect, useRef } from 'preact/hooks';
import { splitHeard, type Conversation, type Entry } from '../call/conversation';
import { pretty } from './format';

/** Both sides of a call, as they speak. */
export function ConversationLog({ conversation }: { conversation: Conversation }) {
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => end.current?.scrollIntoView?.({ block: 'nearest' }), [conversation]);
  return (
    <div class="log" role="log" aria-label="Conversation" aria-live="polite" tabIndex={0}>
      {conversation.entries.length === 0 && <p class="hint">What you and the agent say appears here.</p>}
      {conversation.entries.map((entry) => (
        <EntryLine key={entry.id} entry={entry} />
      ))}
      <div ref={end} />
    </div>
  );
}

function EntryLine({ entry }: { entry: Entry }) {
  switch (entry.kind) {
    case 'caller':
      return (
        <p class="line caller">
          <span class="who">You{entry.isTyped && ' (typed)'}</span>
          {entry.text || <span class="hint">{waitingText(entry.phase)}</span>}
        </p>
      );
    case 'agent': {
      const { heard, unheard } = splitHeard(entry);
      return (
        <p class="line agent">
          <span class="who">Agent</span>
          {heard}
          {unheard && (
            <del>
              <span class="unseen"> (not heard:) </span>
              {unheard}
            </del>
          )}
          {entry.heard !== null && <span class="badge">interrupted</span>}
          {!entry.text && entry.phase === 'speaking' && <span class="hint">…</span>}
        </p>
      );
    }
    case 'tool':
      return (
        <details class="line tool">
          <summary>
            <span class="who">Tool</span>
            <code>{entry.name}</code>
            {entry.output === null && <span class="hint"> running</span>}
          </summary>
          <pre>{pretty(entry.arguments)}</pre>
          {entry.output !== null && <pre>{pretty(entry.output)}</pre>}
        </details>
      );
    case 'note':
      return <p class={`line note ${entry.tone}`}>{entry.text}</p>;
  }
}

function waitingText(phase: 'speaking' | 'recognising' | 'done'): string {
  return { speaking: 'speaking …', recognising: 'recognising …', done: '(no words)' }[phase];
}
