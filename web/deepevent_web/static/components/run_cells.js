/** One cell of the run table for each kind of column. */
import { html } from "htm/preact";
import { ago, duration, moment, number, plain, value } from "../format.js";
import { spark, sparkPath, sparkVersion } from "../sparks.js";
import { now } from "../state.js";
import { Name } from "./name.js";
import { Status } from "./status.js";

const SPARK_WIDTH = 64;
const SPARK_HEIGHT = 20;
const MOST_TAGS = 3;

function longest(run) {
  const counts = Object.values(run.metrics || {}).map((metric) => metric.n || 0);
  return counts.length ? Math.max(...counts).toLocaleString("en-GB") : "–";
}

/** How long a run takes or took, in seconds. @param {object} run */
export const length = (run) => (run.status === "running" && run.started ? now.value - number(run.started) : run.duration_s);

const FIELD = {
  status: (run) => html`<td><${Status} status=${run.status} />${run.archived ? html` <span class="tag">archived</span>` : null}</td>`,
  project: (run) => html`<td><${Name} text=${run.project} most=${18} /></td>`,
  group: (run) => html`<td>${run.group ? html`<${Name} text=${run.group} most=${18} />` : html`<span class="dim">–</span>`}</td>`,
  tags: (run) => html`<td class="tag-cell" title=${run.tags.join(", ")}>${run.tags.slice(0, MOST_TAGS).map((tag) => html`<span class="tag"><${Name} text=${tag} most=${14} /></span>`)}${run.tags.length > MOST_TAGS ? html`<span class="dim">+${run.tags.length - MOST_TAGS}</span>` : null}</td>`,
  created: (run) => html`<td class="number" title=${moment(number(run.created))}>${ago(number(run.created), now.value)}</td>`,
  duration: (run) => html`<td class="number">${duration(length(run))}</td>`,
  points: (run) => html`<td class="number" title="points of the longest metric">${longest(run)}</td>`,
  notes: (run) => html`<td>${run.notes ? html`<${Name} text=${run.notes.split("\n", 1)[0]} most=${30} />` : html`<span class="dim">–</span>`}</td>`,
};

/** A value of the config or summary by its dotted path. */
function lookUp(values, path) {
  if (values && path in values) return values[path];
  return path.split(".").reduce((at, key) => (at !== null && typeof at === "object" ? at[key] : undefined), values);
}

function Setting({ found }) {
  if (found === undefined) return html`<td class="number dim">–</td>`;
  return html`<td class=${typeof found === "number" ? "number" : ""}><${Name} text=${plain(found)} most=${20} /></td>`;
}

function Metric({ run, column }) {
  const metric = run.metrics?.[column.key];
  const text = value(metric?.[column.stored]);
  const step = column.stored === "last" ? metric?.last_step : metric?.[`${column.stored}_step`];
  const odd = text === "NaN" || text.endsWith("Inf");
  return html`<td class=${`number ${odd ? "bad" : ""}`} title=${metric && step !== null && step !== undefined ? `${column.key}: ${text} at step ${step}` : undefined}>${text}${column.what === "best" && metric && step !== null && column.stored !== "last" ? html` <small class="at-step">@${value(step)}</small>` : null}</td>`;
}

function Spark({ run, metric }) {
  sparkVersion.value; // eslint-disable-line no-unused-expressions -- drawn again when curves come
  const known = run.metrics?.[metric];
  const curve = known ? spark(run.id, metric) : null;
  const path = curve ? sparkPath(curve, SPARK_WIDTH, SPARK_HEIGHT) : "";
  return html`<td class="spark-cell"><svg class="spark" width=${SPARK_WIDTH} height=${SPARK_HEIGHT} viewBox=${`0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`} role="img" aria-label=${known ? `${metric} ends at ${value(known.last)}` : `no ${metric}`}>${path ? html`<path d=${path} />` : null}</svg></td>`;
}

/** @param {{run: object, column: object}} props */
export function Cell({ run, column }) {
  if (column.kind === "field") return FIELD[column.key](run);
  if (column.kind === "spark") return html`<${Spark} run=${run} metric=${column.key} />`;
  if (column.kind === "metric") return html`<${Metric} run=${run} column=${column} />`;
  return html`<${Setting} found=${lookUp(run[column.kind], column.key)} />`;
}
