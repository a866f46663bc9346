/** Sections of charts for some runs: which metric goes where is said by its name (metrics.js), which chart stands where by the URL. */
import { html } from "htm/preact";
import { chartSettings, inOrder, moveChart, pinned } from "../chart_view.js";
import { arrange } from "../metrics.js";
import { metricNames } from "../columns.js";
import { ChartCard } from "./chart_card.js";
import { Empty } from "./empty.js";

/** Charts that are pinned stand in a section above all others, and only there. */
function withPinned(sections) {
  const keys = pinned();
  const all = new Map(sections.flatMap(({ charts }) => charts.map((chart) => [chart.key, chart])));
  const top = keys.map((key) => all.get(key)).filter(Boolean);
  const rest = sections
    .map((section) => ({ ...section, charts: inOrder(section.charts.filter(({ key }) => !keys.includes(key))) }))
    .filter(({ charts }) => charts.length);
  return top.length ? [{ name: "pinned", charts: top, isPinned: true }, ...rest] : rest;
}

/**
 * @param {{runs: object[], colours: Map<string, {token: string, variant: number}>, series?: {name: string, rank: number}[], groups?: Map<string, string>|null}} props
 *   `groups`: run id → name of its group; a group's curves are drawn as their mean with its deviation.
 *   `series` names every metric and rank of a single run; without it the runs' own `metrics` do
 */
export function ChartGrid({ runs, colours, series = null, groups = null }) {
  const { paired, search } = chartSettings();
  const names = series ? [...new Set(series.map(({ name }) => name))] : metricNames(runs);
  const sections = withPinned(arrange(names, { paired, search }));
  if (runs.length && names.filter((name) => name !== "epoch").length === 0) {
    return html`<${Empty} title="Nothing is logged yet" command=${'run.log({"train/loss": 0.31}, step=120)'}>Charts appear with the first value.<//>`;
  }
  if (search && sections.length === 0) return html`<${Empty} title="No such chart">No metric's name holds “${search}”.<//>`;
  return html`${sections.map((section) => {
    const keys = section.charts.map(({ key }) => key);
    const drop = (dragged, on) => keys.includes(dragged) && dragged !== on && moveChart(keys, dragged, keys.indexOf(on));
    return html`<section class="chart-section" key=${section.isPinned ? "\npinned" : section.name}>
      <h2>${section.name} <small>${[note(section), groups ? "the mean of each group with its standard deviation" : ""].filter(Boolean).join(" · ")}</small></h2>
      <div class="chart-grid">
        ${section.charts.map((chart) => html`<${ChartCard} key=${chart.key} title=${chart.key} section=${section.isPinned ? "" : section.name} siblings=${section.isPinned ? [] : keys} onDropped=${drop} metrics=${chart.metrics} runs=${runs} colours=${colours} series=${series} groups=${groups} />`)}
      </div>
    </section>`;
  })}`;
}

function note(section) {
  const roles = new Set(section.charts.flatMap((chart) => chart.metrics.map(({ role }) => role)));
  return roles.has("train") && roles.has("validation") ? "train dotted and thin, validation solid" : "";
}
