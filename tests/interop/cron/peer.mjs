// Both sides of the comparison: ours as a child process that answers a list of questions, theirs in this process.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CronExpressionParser } from 'cron-parser';
import { IANAZone } from 'luxon';

export function ask(lines) {
    const build = process.env.HEADRACE_BUILD ?? fileURLToPath(new URL('../../../build/release', import.meta.url));
    const program = process.env.CRON_NEXT ?? `${build}/tests/interop/cron/cron_next`;
    if (!existsSync(program)) {
        throw new Error(`${program} is not built; set CRON_NEXT to the program cron_next`);
    }
    const done = spawnSync(program, { input: lines.join('\n') + '\n', encoding: 'utf8', maxBuffer: 1 << 28 });
    if (done.status !== 0) {
        throw new Error(`cron_next ended with ${done.status ?? done.signal}: ${done.stderr}`);
    }
    return done.stdout.trimEnd().split('\n');
}

export const question = (c) => `next\t${c.expression}\t${c.zone}\t${new Date(c.from).toISOString()}\t${c.n}`;

// { times } or { refused: message }; `gaveUp` when it ran out of its own loop limit.
export function theirs(c) {
    let parsed;
    try {
        parsed = CronExpressionParser.parse(c.expression, { tz: c.zone, currentDate: new Date(c.from) });
    } catch (error) {
        return { refused: error.message };
    }
    const times = [];
    for (let i = 0; i < c.n; ++i) {
        try {
            times.push(parsed.next().getTime());
        } catch {
            return { times, gaveUp: true };
        }
    }
    return { times, gaveUp: false };
}

// The clock changes of a zone, 1990 to 2037, as this program's zone data has them: [{ at, before, after }] in ms.
export function changesOf(answer) {
    const stretches = answer.split(' ').map((part) => part.split(':').map(Number));
    return stretches.slice(1).map(([at, offset], i) => ({
        at: at * 1000, before: stretches[i][1] * 1000, after: offset * 1000,
    }));
}

// Does Node's zone data say the same? Its ICU carries its own copy, of another date.
export function zoneDataAgrees(zone, answer) {
    const theirZone = IANAZone.create(zone);
    const stretches = answer.split(' ').map((part) => part.split(':').map(Number));
    const same = (seconds, offset) => Math.abs(theirZone.offset(seconds * 1000) * 60 - offset) < 1;
    return theirZone.isValid && stretches.every(([at, offset], i) => {
        const end = stretches[i + 1]?.[0] ?? 2114380800;
        return same(at, offset) && same(end - 1, offset) && same(Math.floor((at + end) / 2), offset);
    });
}
