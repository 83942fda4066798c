const FLOOR_DB = -60;

/** A level from 0 to 1, on a scale of decibels. */
export function Meter({ label, level }: { label: string; level: number }) {
  const db = level > 0 ? 20 * Math.log10(level) : FLOOR_DB;
  const share = Math.max(0, Math.min(1, 1 - db / FLOOR_DB));
  return (
    <span class="meter">
      <span id={`meter-${label}`}>{label}</span>
      <meter min={0} max={1} value={share} aria-labelledby={`meter-${label}`} />
    </span>
  );
}
