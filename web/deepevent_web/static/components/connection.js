/** How the live connection is, in words: live, connecting, or since when points are missing. */
import { html } from "htm/preact";
import { connection, lastPoint, now } from "../state.js";
import { ago, duration } from "../format.js";

const DELAY_SHOWN_FOR_S = 10;

/** A dot and a sentence. */
export function Connection() {
  const { phase, since } = connection.value;
  const point = lastPoint.value;
  if (phase === "live") {
    const recent = point && point.delay !== null && now.value - point.at < DELAY_SHOWN_FOR_S;
    const title = point
      ? `Last point ${ago(point.at, now.value)}. The milliseconds are from the log call to this page, where both share one clock.`
      : "Connected; no point has come yet.";
    return html`<span class="connection ok" role="status" title=${title}><i class="dot"></i>live${recent ? html` · <span class="ms">${point.delay} ms</span>` : ""}</span>`;
  }
  if (phase === "connecting") return html`<span class="connection" role="status"><i class="dot"></i>connecting</span>`;
  const text = point ? `last point ${duration(now.value - point.at)} ago` : `for ${duration(now.value - since)}`;
  return html`<span class="connection warn" role="status"><i class="dot"></i>reconnecting, ${text}</span>`;
}
