// Random cases within the syntax that both sides know, from a seed.
export class Random {
    constructor(seed) {
        this.state = BigInt(seed) & 0xffffffffffffffffn;
    }
    next() { // splitmix64
        this.state = (this.state + 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn;
        let z = this.state;
        z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & 0xffffffffffffffffn;
        z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & 0xffffffffffffffffn;
        return Number((z ^ (z >> 31n)) >> 11n) / 2 ** 53;
    }
    pick(low, high) {
        return low + Math.floor(this.next() * (high - low + 1));
    }
    of(list) {
        return list[this.pick(0, list.length - 1)];
    }
    chance(percent) {
        return this.next() * 100 < percent;
    }
}

const weekdays = ['sun', 'MON', 'tue', 'Wed', 'thu', 'fri', 'sat'];
const months = ['jan', 'feb', 'MAR', 'apr', 'may', 'jun', 'jul', 'aug', 'Sep', 'oct', 'nov', 'dec'];

// A list, range or step. Values do not repeat: cron-parser refuses "1,1". Steps begin at 2: see README on */1.
function field(r, low, high, names) {
    const name = (v) => (names && r.chance(30) ? names[v - low] : `${v}`);
    const kind = r.pick(0, 5);
    const a = r.pick(low, high);
    if (kind === 0) return `*/${r.pick(2, Math.max(2, Math.floor((high - low + 1) / 2)))}`;
    if (kind === 1) return `${name(a)}-${name(r.pick(a, high))}`;
    if (kind === 2) return `${a}-${r.pick(a, high)}/${r.pick(1, high - low)}`;
    if (kind === 3) return [...new Set([a, r.pick(low, high), r.pick(low, high)])].map(name).join(',');
    return name(a);
}

function dayOfMonth(r) {
    if (r.chance(55)) return r.of(['*', '*', '?']);
    return r.chance(25) ? 'L' : field(r, 1, 31);
}

function dayOfWeek(r) {
    const day = r.pick(0, 6);
    switch (r.pick(0, 8)) {
        case 0: return `${r.chance(50) ? day : weekdays[day]}L`;
        case 1: return `${r.chance(50) ? day : weekdays[day]}#${r.pick(1, 5)}`;
        case 2: return field(r, 0, 6, weekdays);
        case 3: return r.of(['7', '5-7', '1-5', 'mon-fri', weekdays[day]]);
        default: return r.of(['*', '?']);
    }
}

export function randomCase(r, zones) {
    const zone = r.of(zones);
    const nearChange = zone.changes.length > 0 && r.chance(50);
    const second = r.chance(15) ? `${r.chance(30) ? '*' : field(r, 0, 59)} ` : '';
    const minute = r.chance(25) ? '*' : field(r, 0, 59);
    const hour = nearChange && r.chance(40) ? `${r.pick(0, 3)}`
        : nearChange && r.chance(30) ? `*/${r.pick(2, 4)}`
        : r.chance(30) ? '*' : field(r, 0, 23);
    const month = r.chance(80) ? '*' : field(r, 1, 12, months);
    const from = nearChange
        ? r.of(zone.changes).at - r.pick(1, (r.chance(50) ? 3 : 36) * 3600) * 1000
        : Date.UTC(1990, 0, 2) + r.pick(0, 46 * 365 * 86400) * 1000;
    // Clock changes are met most often by schedules of every day.
    const dates = nearChange && r.chance(60) ? '* * *' : `${dayOfMonth(r)} ${month} ${dayOfWeek(r)}`;
    return { expression: `${second}${minute} ${hour} ${dates}`, zone: zone.name, changes: zone.changes, from, n: 4 };
}
