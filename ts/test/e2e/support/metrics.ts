/** Reading a page in the Prometheus text format. */

/** The values of one page. */
export interface Metrics {
  /** Sum over all series of a name that have these labels. Throws where there is none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
}

/** Parses a page. */
export function parseMetrics(text: string): Metrics {
  const series = text.split('\n').flatMap((line) => {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null) return [];
    const labels = [...(match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
    return [
      {
        name: match[1] ?? '',
        labels: new Map(labels.map(([, name = '', value = '']) => [name, value])),
        value: Number(match[3]),
      },
    ];
  });
  return {
    sum: (name, labels = {}) => {
      const wanted = Object.entries(labels);
      const found = series.filter(
        (one) => one.name === name && wanted.every(([label, value]) => one.labels.get(label) === value),
      );
      if (found.length === 0) throw new Error(`no ${name} with ${JSON.stringify(labels)} in\n${text}`);
      return found.reduce((sum, { value }) => sum + value, 0);
    },
  };
}
