/** A run's status: a dot and the word, never the colour alone. */
import { html } from "htm/preact";

const KIND = { running: "ok", completed: "plain", failed: "bad", stopped: "plain", lost: "warn" };
const MEANING = {
  running: "The script is logging.",
  completed: "The script finished.",
  failed: "The script ended with an error.",
  stopped: "The script was asked to stop.",
  lost: "Nothing was heard from the script for a while; it may be cut off or dead.",
};

/** @param {{status: string}} props */
export function Status({ status }) {
  return html`<span class=${`status ${KIND[status] || "plain"}`} title=${MEANING[status] || ""}><i class="dot"></i>${status}</span>`;
}
