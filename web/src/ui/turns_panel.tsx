import { percentile, type Turn } from '../call/turn_ledger';
import { ms } from './format';
import { PartsTable, saveFigures, savePicture, Waterfall } from './waterfall';

/** Every millisecond of a call: the latest turn as a waterfall, the earlier ones below, and the percentiles. */
export function TurnsPanel({ turns }: { turns: readonly Turn[] }) {
  const latest = turns.at(-1);
  const scaleMs = Math.max(...turns.map((turn) => turn.wholeMs), 1);
  return (
    <section class="card turns" aria-label="Latency of each turn">
      <h2>Every millisecond</h2>
      <p class="strip" aria-label="Percentiles of this call">
        <span>
          <b>{turns.length}</b> turns
        </span>
        <span>
          p50 <b>{ms(percentile(turns, 0.5))}</b>
        </span>
        <span>
          p95 <b>{ms(percentile(turns, 0.95))}</b>
        </span>
      </p>
      {latest ? (
        <>
          <figure>
            <Waterfall turn={latest} title={`Turn ${turns.length}`} />
            <figcaption>
              {caption(latest)} {votes(latest)}
            </figcaption>
          </figure>
          <PartsTable turn={latest} />
          <div class="bar">
            <button type="button" class="quiet" onClick={(event) => savePicture(event.currentTarget.closest('section'))}>
              Save picture
            </button>
            <button type="button" class="quiet" onClick={() => saveFigures(turns)}>
              Save figures
            </button>
          </div>
          {turns.length > 1 && <h3>Earlier turns</h3>}
          <ol class="earlier" tabIndex={turns.length > 1 ? 0 : -1} aria-label="Earlier turns">
            {turns
              .slice(0, -1)
              .reverse()
              .map((turn) => (
                <li key={turn.responseId}>
                  <span>{ms(turn.wholeMs)}</span>
                  <Waterfall turn={turn} scaleMs={scaleMs} isSmall title="Turn" />
                </li>
              ))}
          </ol>
        </>
      ) : (
        <p class="hint">Where the time of each answer goes: from your last word to the first sound of the answer.</p>
      )}
    </section>
  );
}

const VOTERS: Readonly<Record<string, string>> = { silence: 'The setting', words: 'The words', model: 'The end-of-turn model' };

/** Who asked for how much silence before the turn was over; the longest decides. */
function votes(turn: Turn): string {
  return Object.entries(turn.votesMs)
    .map(([voter, wait]) => `${VOTERS[voter] ?? voter} asked for ${ms(wait)} of silence.`)
    .join(' ');
}

function caption(turn: Turn): string {
  const from = turn.isTyped ? 'your request' : 'your last word';
  const to = turn.isMeasured ? 'the first sound at your loudspeaker' : "the server's first output";
  const began = turn.speculation === 'hit' ? ' The answer was begun before the turn was over.' : '';
  return `${ms(turn.wholeMs)} from ${from} to ${to}.${began}`;
}
