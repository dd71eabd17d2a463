// The differences that are intended, as rules that can be checked: `explain` names the rule behind one differing time,
// or returns null, which fails the test. Wall-clock questions are put to cron-parser itself, in UTC, where no clock
// changes: "does the expression name this wall-clock time?"
import { CronExpressionParser } from 'cron-parser';

export const rules = {
    gapRunsAtItsEnd: 'ours alone: a time inside the spring gap runs at the first instant after the gap',
    theirsShifts: 'theirs alone: a time inside the gap runs later by the length of the gap, at a time nobody wrote',
    steppedRunsTwice: 'ours alone: stepped hours run in both passes of a repeated hour',
    theirsRepeats: 'theirs alone: a fixed time runs in the second pass of a repeated stretch too',
    theirsLoses: 'ours alone: a time that exists, near a clock change, which cron-parser leaves out',
    theirsGivesUp: 'ours alone: a time that exists, which cron-parser does not find within its loop limit',
};

const day = 86_400_000;

function hourField(expression) {
    const fields = expression.split(' ');
    return fields[fields.length - 4];
}

function kindOfHours(expression) {
    const hours = CronExpressionParser.parse(expression, { tz: 'UTC' }).fields.hour.values;
    if (hours.length === 24) return 'hourly';
    return /\*|\/(?!1$)/.test(hourField(expression)) ? 'stepped' : 'fixed';
}

function wallClockNames(expression, wall) {
    return CronExpressionParser.parse(expression, { tz: 'UTC' }).includesDate(new Date(wall));
}

function namesAnyTimeIn(expression, from, upto) {
    const parsed = CronExpressionParser.parse(expression, { tz: 'UTC', currentDate: new Date(from - 1000) });
    try {
        return parsed.next().getTime() < upto;
    } catch {
        return false;
    }
}

function offsetAt(changes, time) {
    let offset = changes[0]?.before;
    for (const change of changes) {
        if (change.at <= time) offset = change.after;
    }
    return offset;
}

// `side` is 'ours' or 'theirs'.
export function explain(c, time, side, gaveUp) {
    const kind = kindOfHours(c.expression);
    const near = c.changes.filter((change) => time > change.at - 2 * day && time < change.at + 2 * day);
    if (near.length === 0 && !gaveUp) return null;
    const wall = time + offsetAt(c.changes, time);
    const named = wallClockNames(c.expression, wall);
    const repeated = near.find((ch) => ch.after < ch.before && time >= ch.at && time < ch.at + (ch.before - ch.after));
    const gap = near.find((ch) => ch.after > ch.before && time >= ch.at && time < ch.at + (ch.after - ch.before));

    if (side === 'theirs') {
        if (gap && !named && kind !== 'hourly') return 'theirsShifts';
        if (repeated && named && kind === 'fixed') return 'theirsRepeats';
        return null;
    }
    const endsGap = gap?.at === time && kind !== 'hourly';
    if (endsGap && namesAnyTimeIn(c.expression, time + gap.before, time + gap.after)) {
        return 'gapRunsAtItsEnd';
    }
    if (!named) return null;
    if (repeated) return kind === 'stepped' ? 'steppedRunsTwice' : kind === 'hourly' ? 'theirsLoses' : null;
    return near.length > 0 ? 'theirsLoses' : 'theirsGivesUp';
}
