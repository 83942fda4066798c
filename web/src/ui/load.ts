// Loading for views: asks when the question changes, and forgets the answer to an old one.

import { useEffect, useState } from 'preact/hooks';

export interface Loaded<T> {
  readonly value: T | null;
  readonly problem: string;
  readonly isLoading: boolean;
  readonly reload: () => void;
}

/** The answer to a question; `key` names the question. `everyMs`: ask again, for live views. */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>, everyMs = 0): Loaded<T> {
  const [value, setValue] = useState<T | null>(null);
  const [problem, setProblem] = useState('');
  const [isLoading, setLoading] = useState(true);
  const [count, setCount] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async () => {
      setLoading(true);
      try {
        const answer = await load(abort.signal);
        if (abort.signal.aborted) return;
        setValue(answer);
        setProblem('');
      } catch (error) {
        if (abort.signal.aborted) return;
        setProblem(error instanceof Error ? error.message : String(error));
      }
      setLoading(false);
      if (everyMs) timer = setTimeout(() => void run(), everyMs);
    };
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, count]);
  useEffect(() => setValue(null), [key]);
  return { value, problem, isLoading, reload: () => setCount(count + 1) };
}
