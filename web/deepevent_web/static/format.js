/**
 * Numbers, times and names as a person reads them. Pure functions.
 */

/** A JSON number, where non-finite ones are strings. @param {number|string|null|undefined} value */
export function number(value) {
  return value === null || value === undefined ? null : Number(value);
}

/** Making one of these costs far more than using it. */
const numbers = new Map();
function fixed(v, digits) {
  if (!numbers.has(digits)) numbers.set(digits, new Intl.NumberFormat("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  return numbers.get(digits).format(v);
}

/** A metric's value with the digits that matter. @param {number|string|null|undefined} raw */
export function value(raw) {
  const v = number(raw);
  if (v === null) return "–";
  if (Number.isNaN(v)) return "NaN";
  if (!Number.isFinite(v)) return v > 0 ? "+Inf" : "−Inf";
  const size = Math.abs(v);
  if (v === 0) return "0";
  if (size >= 1e7 || size < 1e-3) return v.toExponential(2).replaceAll("-", "−").replace("e+", "e");
  if (Number.isInteger(v)) return fixed(v, 0).replace("-", "−");
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 4;
  return fixed(v, digits).replace("-", "−");
}

/** A whole number with thousands set apart. @param {number|null|undefined} n */
export const count = (n) => (n === null || n === undefined ? "–" : Number(n).toLocaleString("en-GB"));

/** A length of time. @param {number|null|undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} m ${String(s % 60).padStart(2, "0")} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} m`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** How long ago, for a list. @param {number|null|undefined} time @param {number} now seconds since 1970 */
export function ago(time, now) {
  if (time === null || time === undefined) return "–";
  const s = now - time;
  if (s < 5) return "just now";
  if (s < 60) return `${Math.floor(s)} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  if (s < 7 * 86400) return `${Math.floor(s / 86400)} d ago`;
  return new Date(time * 1000).toISOString().slice(0, 10);
}

const moments = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
});

/** A time in full, in the reader's own zone. @param {number|null|undefined} time */
export function moment(time) {
  if (time === null || time === undefined) return "–";
  return moments.format(time * 1000);
}

/** Bytes. @param {number} n */
export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let size = Number(n);
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}

/**
 * A name cut in the middle, since both its ends tell runs apart; never inside a character.
 * @param {string} text @param {number} most
 */
export function cut(text, most) {
  const characters = Array.from(text);
  if (characters.length <= most) return text;
  const head = Math.ceil((most - 1) * 0.6);
  return `${characters.slice(0, head).join("")}…${characters.slice(characters.length - (most - 1 - head)).join("")}`;
}

/** Who did something. A script of the server's own machine goes by the token that its home keeps for it. @param {string} name of a token */
export function actor(name) {
  const own = /^server\.json of ([^:]*):/.exec(name);
  return own ? `a script on ${own[1]}` : name;
}

/** A config or summary value on one line. @param {unknown} v */
export function plain(v) {
  if (typeof v === "string") return v;
  if (typeof v === "number") return Number.isInteger(v) ? String(v) : String(Number(v.toPrecision(7)));
  return JSON.stringify(v);
}
