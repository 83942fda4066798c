// Numbers and times as people read them.

export function ms(value: number | null): string {
  if (value === null) return '–';
  const rounded = Math.round(value);
  return `${rounded === 0 ? 0 : rounded} ms`; // never "-0"
}

export function clock(unixS: number): string {
  return new Date(unixS * 1000).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
}

export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** JSON text on several lines; other text as it is. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 1);
  } catch {
    return text;
  }
}
