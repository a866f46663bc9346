/**
 * A logged figure. A picture is shown as it is; a Plotly figure is drawn in a sandboxed frame without origin and
 * network, made only when it comes into view, and gets the figure and the theme by message.
 */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { blobURL, downloadURL, getText } from "../api.js";
import { shownTheme, token } from "../theme.js";
import { Name } from "./name.js";
import { StepOf, useSteps } from "./step_slider.js";

const PLOTLY = "application/vnd.plotly.v1+json";

function theme() {
  const colours = Array.from({ length: 8 }, (_, i) => token(`--r${i}`));
  return { panel: token("--panel"), text: token("--text"), grid: token("--grid"), line: token("--line"), font: token("--font"), colours };
}

function Drawn({ item, name }) {
  const frame = useRef(null);
  const [near, setNear] = useState(false);
  const [ready, setReady] = useState(false);
  const [figure, setFigure] = useState(null);
  const [problem, setProblem] = useState("");
  const holder = useRef(null);
  useEffect(() => {
    const seen = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && setNear(true), { rootMargin: "200px" });
    seen.observe(holder.current);
    const hear = (event) => event.source === frame.current?.contentWindow && event.data === "ready" && setReady(true);
    addEventListener("message", hear);
    return () => {
      seen.disconnect();
      removeEventListener("message", hear);
    };
  }, []);
  useEffect(() => {
    if (!near) return undefined;
    const stop = new AbortController();
    getText(item.blob, stop.signal).then(
      (text) => setFigure(JSON.parse(text)),
      (error) => error.name !== "AbortError" && setProblem(error.message),
    ).catch(() => setProblem("The file holds no figure."));
    return () => stop.abort();
  }, [near, item.blob]);
  useEffect(() => {
    // The frame has no origin that could be named, so the message goes to whatever the frame holds: our own page.
    if (ready && figure) frame.current.contentWindow.postMessage({ figure: { data: figure.data, layout: figure.layout }, theme: theme() }, "*");
  }, [ready, figure, shownTheme.value]);
  return html`<div class="figure-frame" ref=${holder}>
    ${problem ? html`<p class="bad">${problem}</p>` : near ? html`<iframe ref=${frame} src="/figure" sandbox="allow-scripts" title=${`Figure ${name}`} referrerpolicy="no-referrer"></iframe>` : null}
  </div>`;
}

/** @param {{name: string, items: object[]}} props */
export function Figure({ name, items }) {
  const { item, slider } = useSteps(items, name);
  return html`<article class="card media-card figure-card">
    <header><h3><${Name} text=${name} most=${40} /></h3><${StepOf} item=${item} /></header>
    ${item.mime === PLOTLY ? html`<${Drawn} key=${item.blob} item=${item} name=${name} />` : html`<img src=${blobURL(item.blob, item.mime)} alt=${`Figure ${name}`} loading="lazy" />`}
    ${slider}
    <footer><a class="quiet" href=${downloadURL(item.blob, `${name}${item.mime === PLOTLY ? ".json" : ".png"}`)} download>download</a></footer>
  </article>`;
}
