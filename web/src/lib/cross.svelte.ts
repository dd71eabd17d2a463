// The crosshair that the timeline and the chart share: seconds since the start, or null.
export class Cross {
  t = $state<number | null>(null);
}
