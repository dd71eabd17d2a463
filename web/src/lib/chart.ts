// Geometry of small line charts.

/** Round values from 0 up to about `most`, at most `n` of them above 0; `seconds` prefers 30 s, 1 min, 5 min … */
export function axisSteps(most: number, n: number, seconds = false): number[] {
  if (!(most > 0)) return [0];
  const rough = most / n;
  let step: number;
  if (seconds && rough > 1) {
    step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400].find((s) => s >= rough) ?? Math.ceil(rough / 86_400) * 86_400;
  } else {
    const unit = 10 ** Math.floor(Math.log10(rough));
    step = ([1, 2, 5].find((k) => k * unit >= rough) ?? 10) * unit;
  }
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => Math.round(i * step * 1e6) / 1e6);
}

/** Index of the value nearest to x in an ascending list. */
export function nearest(list: number[], x: number): number {
  let lo = 0;
  let hi = list.length - 1;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if ((list[mid] ?? 0) < x) lo = mid + 1; else hi = mid;
  }
  return lo > 0 && x - (list[lo - 1] ?? 0) < (list[lo] ?? 0) - x ? lo - 1 : lo;
}

/** An SVG path through the points; a null lifts the pen. */
export function linePath(t: number[], v: (number | null)[], x: (t: number) => number, y: (v: number) => number): string {
  let d = '';
  let pen = false;
  for (let i = 0; i < t.length; i += 1) {
    const value = v[i];
    if (value === null || value === undefined) {
      pen = false;
      continue;
    }
    d += `${pen ? 'L' : 'M'}${x(t[i] ?? 0).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = true;
  }
  return d;
}
