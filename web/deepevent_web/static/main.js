/**
 * Starts the dashboard: theme, session, socket, then the page that the URL names.
 * It knows the order of things and nothing about what a page shows.
 */
import { html, render } from "htm/preact";
import { App } from "./components/app.js";
import * as api from "./api.js";
import * as live from "./live.js";
import { goToSignIn, route, startRouter } from "./router.js";
import { session } from "./state.js";
import { startTheme } from "./theme.js";
import { openCharts } from "./components/chart.js";

/**
 * A documented hook for tests and the browser's console:
 * `deepevent.charts()` lists every drawn chart as `{key, traces: [{name, run, metric, rank, role, x, y}]}`.
 */
window.deepevent = Object.freeze({ charts: openCharts });

startTheme();
startRouter();
api.onUnauthorised(() => {
  live.disconnect();
  goToSignIn();
});
const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);

if (route.value.page !== "signin") {
  api
    .getSession()
    .then((found) => {
      session.value = found;
      live.connect();
    })
    .catch((problem) => {
      // 401 has already led to the sign-in page; anything else is a server that is away: the socket keeps trying.
      if (problem.status !== 401) live.connect();
    });
}
