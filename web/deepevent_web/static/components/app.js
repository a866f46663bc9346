/**
 * The frame around every page: navigation, the page that the URL names, keyboard, announcements.
 */
import { html } from "htm/preact";
import { useEffect, useLayoutEffect } from "preact/hooks";
import { effect } from "@preact/signals";
import { announcement, startKeys } from "../keys.js";
import { watch } from "../live.js";
import { route } from "../router.js";
import { shown } from "../state.js";
import { ComparePage } from "./compare_page.js";
import { DetectionsPage } from "./detections_page.js";
import { Empty } from "./empty.js";
import { Help } from "./help.js";
import { JobsPage } from "./jobs_page.js";
import { Nav } from "./nav.js";
import { RunPage } from "./run_page.js";
import { RunsPage } from "./runs_page.js";
import { SettingsPage } from "./settings_page.js";
import { SignInPage } from "./signin_page.js";
import { SweepPage } from "./sweep_page.js";
import { Toast } from "./toast.js";

const TITLES = { runs: "Runs", run: "Run", compare: "Compare", detections: "Detections", jobs: "Jobs", sweep: "Sweep", settings: "Settings", signin: "Sign in" };

function Page() {
  const { page, run, sweep } = route.value;
  if (page === "runs") return html`<${RunsPage} />`;
  if (page === "run") return html`<${RunPage} key=${run} id=${run} />`;
  if (page === "compare") return html`<${ComparePage} />`;
  if (page === "detections") return html`<${DetectionsPage} />`;
  if (page === "jobs") return html`<${JobsPage} />`;
  if (page === "sweep") return html`<${SweepPage} key=${sweep} id=${sweep} />`;
  if (page === "settings") return html`<${SettingsPage} />`;
  return html`<main class="content"><${Empty} title="There is no such page">
    The address may be old. <a href="/">All runs</a> are here.
  <//></main>`;
}

/** The whole dashboard. */
export function App() {
  const { page } = route.value;
  useLayoutEffect(startKeys, []); // what can be seen listens already
  useEffect(
    () =>
      effect(() => {
        const ids = route.value.page === "detections" ? [route.value.params.run].filter(Boolean) : shown.value;
        watch(ids);
      }),
    [],
  );
  useEffect(() => {
    document.title = `${TITLES[page] || "Not found"} · DeepEvent`;
  }, [page]);
  if (page === "signin") return html`<${SignInPage} />`;
  return html`
    <a class="skip" href="#content">Skip to the content</a>
    <div class="frame">
      <${Nav} />
      <div class="page" id="content" tabindex="-1"><${Page} /></div>
    </div>
    <${Toast} />
    <${Help} />
    <p class="unseen" aria-live="polite">${announcement.value}</p>
  `;
}
