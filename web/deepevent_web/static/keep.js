/**
 * Charts to take away: a file of the points as they were logged, and a picture. Reads points through api.js and
 * hands the browser a file; it draws nothing.
 */
import { readPoints } from "./api.js";

const PAGE_POINTS = 1 << 20;
/** More rows than this are no longer a file for a spreadsheet; `deepevent export` has no such bound. */
const MOST_ROWS = 5_000_000;
const FORMULA = /^[=+\-@\t\r]/;

/** A cell as spreadsheets read it: quoted where it must be, and never a formula. @param {string} text */
export function cell(text) {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * The points of some curves as CSV, as they were logged, in order of arrival.
 * @param {{run: {id: string, name: string}, metric: string, rank: number}[]} series
 * @param {(step: number, time: number, run: object) => boolean} wanted
 * @returns {Promise<{blob: Blob, rows: number}>}
 */
export async function csv(series, wanted) {
  const parts = ["run,name,metric,rank,step,time,value\n"];
  let rows = 0;
  for (const { run, metric, rank } of series) {
    const head = `${run.id},${cell(run.name)},${cell(metric)},${rank},`;
    for (let after = 0; ; ) {
      const { step, time, value } = await readPoints(run.id, metric, rank, after);
      const lines = [];
      for (let i = 0; i < step.length; i += 1) {
        if (wanted(Number(step[i]), time[i], run)) lines.push(`${head}${step[i]},${time[i]},${value[i]}\n`);
      }
      rows += lines.length;
      if (rows > MOST_ROWS) throw new Error(`More than ${MOST_ROWS.toLocaleString("en-GB")} rows: zoom in, or use deepevent export`);
      parts.push(lines.join(""));
      after += step.length;
      if (step.length < PAGE_POINTS) break;
    }
  }
  return { blob: new Blob(parts, { type: "text/csv" }), rows };
}

/** What an address of kind `data:` holds. @param {string} address */
export function blobOf(address) {
  const comma = address.indexOf(",");
  const [mime] = address.slice(5, comma).split(";");
  const body = address.slice(comma + 1);
  if (!address.slice(0, comma).endsWith(";base64")) return new Blob([decodeURIComponent(body)], { type: mime });
  return new Blob([Uint8Array.from(atob(body), (c) => c.charCodeAt(0))], { type: mime });
}

/** Give the browser a file to save. @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name.replace(/[^\w.-]+/g, "-");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
