// The picture of a turn: its parts one after another, to scale, and below them the work that cost no time.

import { PARTS, type Part, type Turn } from '../call/turn_ledger';
import { ms } from './format';

export const COLOURS: Readonly<Record<Part, string>> = {
  endpointing: '#8b93a7',
  socket: '#92400e',
  ingest: '#a16207',
  queue: '#b45309',
  stt: '#2563eb',
  dialogue: '#7c3aed',
  tool: '#be185d',
  tts: '#0f766e',
  gateway: '#475569',
  network: '#0891b2',
  playback: '#15803d',
};

const NAMES: Readonly<Record<Part, string>> = {
  endpointing: 'end of turn',
  socket: 'socket',
  ingest: 'input',
  queue: 'queue',
  stt: 'recogniser',
  dialogue: 'dialogue',
  tool: 'tool',
  tts: 'synthesis',
  gateway: 'gateway',
  network: 'network',
  playback: 'playback',
};

const WIDTH = 640;
const BAR = 30;
const ROW = 12;
const AXIS = 22;

interface Props {
  readonly turn: Turn;
  readonly title: string;
  /** The length of the whole width; the turn's own by default. */
  readonly scaleMs?: number;
  readonly isSmall?: boolean;
}

export function Waterfall({ turn, title, scaleMs, isSmall = false }: Props) {
  const scale = WIDTH / Math.max(scaleMs ?? turn.wholeMs, 1);
  const hidden = isSmall ? [] : turn.hidden;
  const bar = isSmall ? ROW : BAR;
  const height = bar + (isSmall ? 0 : AXIS + hidden.length * (ROW + 2));
  return (
    <svg
      class="waterfall"
      viewBox={`0 0 ${WIDTH} ${height}`}
      width={WIDTH}
      height={height}
      role="img"
      aria-label={`${title}: ${describe(turn)}`}
      xmlns="http://www.w3.org/2000/svg"
    >
      {spans(turn).map(({ part, startMs, lengthMs }) => (
        <rect key={part} x={startMs * scale} y={0} width={Math.max(lengthMs * scale, 0.5)} height={bar} fill={COLOURS[part]}>
          <title>{`${NAMES[part]}: ${ms(lengthMs)}`}</title>
        </rect>
      ))}
      {hidden.map((work, index) => (
        <rect
          key={`${work.part}${index}`}
          x={(beforeMs(turn) + work.startMs) * scale}
          y={bar + 4 + index * (ROW + 2)}
          width={Math.max((work.endMs - work.startMs) * scale, 0.5)}
          height={ROW}
          fill={COLOURS[work.part as Part] ?? '#94a3b8'}
          opacity={0.55}
        >
          <title>{`${NAMES[work.part as Part] ?? work.part}, while the turn was still open: ${ms(work.endMs - work.startMs)}`}</title>
        </rect>
      ))}
      {!isSmall &&
        ticks(turn.wholeMs).map((at) => (
          <text key={at} x={at * scale} y={height - 6} font-size="11" fill="currentColor" text-anchor={at === 0 ? 'start' : 'middle'}>
            {at}
          </text>
        ))}
    </svg>
  );
}

/** The same as numbers. */
export function PartsTable({ turn }: { turn: Turn }) {
  return (
    <table class="parts">
      <caption class="unseen">Parts of the turn</caption>
      <tbody>
        {PARTS.filter((part) => isShown(turn, part)).map((part) => (
          <tr key={part}>
            <th scope="row">
              <svg class="swatch" viewBox="0 0 10 10" aria-hidden="true">
                <rect width="10" height="10" fill={COLOURS[part]} />
              </svg>
              {NAMES[part]}
            </th>
            <td>{turn.partsMs[part].toFixed(1)}</td>
          </tr>
        ))}
        <tr class="sum">
          <th scope="row">whole, ms</th>
          <td>{turn.wholeMs.toFixed(1)}</td>
        </tr>
      </tbody>
    </table>
  );
}

/** Save the waterfall in an element as an SVG file. */
export function savePicture(within: Element | null): void {
  const picture = within?.querySelector('svg.waterfall');
  if (!picture) return;
  const copy = picture.cloneNode(true) as SVGElement;
  copy.setAttribute('style', 'background:#fff;color:#111;font-family:sans-serif');
  save('turn.svg', 'image/svg+xml', copy.outerHTML);
}

/** Save turns as a JSON file. */
export function saveFigures(turns: readonly Turn[]): void {
  save('turns.json', 'application/json', JSON.stringify(turns, null, 1));
}

function save(name: string, type: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href));
}

function spans(turn: Turn): { part: Part; startMs: number; lengthMs: number }[] {
  let startMs = 0;
  return orderOf(turn)
    .filter((part) => isShown(turn, part))
    .map((part) => {
      const lengthMs = Math.max(0, turn.partsMs[part]);
      const span = { part, startMs, lengthMs };
      startMs += lengthMs;
      return span;
    });
}

/** The network is drawn before the server's parts: most of it is the way there. */
function orderOf(turn: Turn): Part[] {
  return turn.isMeasured ? ['network', ...PARTS.filter((part) => part !== 'network')] : [...PARTS];
}

function beforeMs(turn: Turn): number {
  return turn.isMeasured ? Math.max(0, turn.partsMs.network) : 0;
}

function isShown(turn: Turn, part: Part): boolean {
  return Math.abs(turn.partsMs[part]) >= 0.05;
}

function describe(turn: Turn): string {
  const parts = PARTS.filter((part) => isShown(turn, part)).map((part) => `${NAMES[part]} ${ms(turn.partsMs[part])}`);
  return `${ms(turn.wholeMs)}: ${parts.join(', ')}`;
}

function ticks(wholeMs: number): number[] {
  const step = [10, 20, 50, 100, 200, 500, 1000, 2000].find((each) => wholeMs / each <= 8) ?? 5000;
  return Array.from({ length: Math.floor(wholeMs / step) + 1 }, (_, index) => index * step);
}
