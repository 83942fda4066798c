import type { ComponentChildren } from 'preact';

interface Props {
  /** For people who hear the page. */
  readonly name: string;
  readonly head: readonly string[];
  /** `key` tells a row from the others. */
  readonly rows: readonly { readonly key: string; readonly cells: readonly ComponentChildren[] }[];
}

/** A table that scrolls sideways where it is too wide; nothing without rows. */
export function Table({ name, head, rows }: Props) {
  if (!rows.length) return null;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={name}>
      <table class="list">
        <thead>
          <tr>
            {head.map((each) => (
              <th key={each} scope="col">
                {each}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ key, cells }) => (
            <tr key={key}>
              {cells.map((cell, index) => (
                <td key={head[index]}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
