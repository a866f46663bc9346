/**
 * What a metric's name says: which chart it belongs on, whether it is training or validation,
 * and which direction is better. Pure functions over names; no numbers.
 */

const TRAIN = new Set(["train", "training"]);
const VALIDATION = new Set(["val", "valid", "validation", "eval", "test"]);
const LOWER = /(^|[^a-z])(loss|err|error|nll|mse|mae|rmse|perplexity|ppl|wer|cer|fid|distance|misses|false_(?:positives?|negatives?)(?:_rate)?)([^a-z]|$)/i;
const HIGHER = /(^|[^a-z])(acc|accuracy|auc|precision|recall|f1|iou|map|ap|score|r2|psnr|ssim|bleu|reward|detection_rate)([^a-z]|$)/i;

/**
 * Which way is better, or null where the name does not say.
 * @param {string} name
 * @returns {"min"|"max"|null}
 */
export function direction(name) {
  if (LOWER.test(name)) return "min";
  if (HIGHER.test(name)) return "max";
  return null;
}

/**
 * The chart that a metric is drawn on.
 * @param {string} name
 * @param {boolean} paired whether train and validation share a chart
 * @returns {{section: string, chart: string, role: "train"|"validation"|"single"}}
 */
export function place(name, paired = true) {
  const parts = name.split("/");
  const phase = (part) => (TRAIN.has(part.toLowerCase()) ? "train" : VALIDATION.has(part.toLowerCase()) ? "validation" : null);
  const at = parts.findIndex((part) => phase(part));
  const role = at < 0 ? "single" : phase(parts[at]);
  if (!paired) return { section: parts.length > 1 ? parts[0] : "other", chart: name, role };
  const rest = at < 0 || parts.length === 1 ? parts : parts.filter((_, i) => i !== at);
  const section = rest.length > 1 ? rest[0] : role === "single" ? "other" : "training";
  return { section, chart: rest.join("/"), role };
}

/**
 * Sections of charts for a list of metric names, in a steady order: training first, the rest by name, other last.
 * @param {string[]} names
 * @param {{paired?: boolean, search?: string}} [options]
 * @returns {{name: string, charts: {key: string, metrics: {name: string, role: string}[]}[]}[]}
 */
export function arrange(names, { paired = true, search = "" } = {}) {
  const sections = new Map();
  for (const name of [...names].sort()) {
    if (name === "epoch") continue; // the reserved metric that carries the epoch axis
    const { section, chart, role } = place(name, paired);
    if (search && !name.toLowerCase().includes(search.toLowerCase())) continue;
    if (!sections.has(section)) sections.set(section, new Map());
    const charts = sections.get(section);
    if (!charts.has(chart)) charts.set(chart, []);
    charts.get(chart).push({ name, role });
  }
  const weight = (name) => (name === "training" ? 0 : name === "other" ? 2 : 1);
  return [...sections]
    .sort(([a], [b]) => weight(a) - weight(b) || a.localeCompare(b))
    .map(([name, charts]) => ({
      name,
      charts: [...charts].map(([key, metrics]) => ({ key, metrics })).sort((a, b) => order(a.key) - order(b.key) || a.key.localeCompare(b.key)),
    }));
}

function order(key) {
  if (/(^|\/)loss$/.test(key)) return 0;
  return direction(key) === "max" ? 1 : 2;
}
