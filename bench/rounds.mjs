// Rounds of measuring on a host that others use, too.
import { readFileSync } from 'node:fs';

export const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

// How many times as fast, by speed(round) of two lists of rounds: the median of what neighbours in time show. A shared host drifts by
// more than what is to be seen.
export const ratioOf = (speed, fast, slow) => median(fast.map((one, i) => speed(one) / speed(slow[i])));

function cpuTime() {
  const times = readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/\s+/).slice(1, 9).map(Number);
  return { all: times.reduce((sum, one) => sum + one, 0), stolen: times[7] };
}

// A round goes through all names, so that whatever else the machine does hits all of them: { name: what measure(name) gave }.
// Of at most three times as many rounds those are returned in which the host gave least CPU time to others.
export async function quietRounds(times, names, measure) {
  const done = [];
  while (done.filter((one) => one.stolen < 0.02).length < times && done.length < 3 * times) {
    const round = {}, before = cpuTime();
    for (const name of names) round[name] = await measure(name);
    const now = cpuTime();
    done.push({ round, stolen: (now.stolen - before.stolen) / (now.all - before.all) });
  }
  return done.sort((a, b) => a.stolen - b.stolen).slice(0, times).map(({ round }) => round);
}
