/**
 * The whole view is in the URL: page, run, filter, sort, what is shown, tab, axis, smoothing.
 * This module reads it into one signal and writes it back. It knows no page's meaning.
 */
import { signal } from "@preact/signals";
import { inside, placed } from "./base.js";

/** @type {import("@preact/signals").Signal<{page: string, run: string|null, params: Record<string, string>}>} */
export const route = signal(parse());

function parse() {
  const parts = inside(location.pathname).split("/").filter(Boolean);
  const params = Object.fromEntries(new URLSearchParams(location.search));
  if (parts.length === 0) return { page: "runs", run: null, params };
  if (parts[0] === "runs" && parts.length === 2) return { page: "run", run: decodeURIComponent(parts[1]), params };
  if (parts[0] === "sweeps" && parts.length === 2) return { page: "sweep", run: null, sweep: decodeURIComponent(parts[1]), params };
  const known = ["compare", "detections", "jobs", "settings", "signin"];
  if (parts.length === 1 && known.includes(parts[0])) return { page: parts[0], run: null, params };
  return { page: "unknown", run: null, params };
}

/**
 * A path with its query; empty values are left out.
 * @param {string} path
 * @param {Record<string, string|number|null|undefined>} [params]
 */
export function href(path, params = {}) {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") search.set(key, value);
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

/** Go to another page. @param {string} url */
export function navigate(url) {
  history.pushState(null, "", placed(url));
  route.value = parse();
  window.scrollTo(0, 0);
}

/**
 * Change part of the view; null takes a setting out of the URL.
 * @param {Record<string, string|number|null>} changes
 * @param {{push?: boolean}} [options] push: make it a step that Back undoes
 */
export function setParams(changes, { push = false } = {}) {
  const url = href(location.pathname, { ...route.value.params, ...changes });
  if (url === location.pathname + location.search) return;
  history[push ? "pushState" : "replaceState"](null, "", url);
  route.value = parse();
}

/** A setting of the view. @param {string} name @param {string} [fallback] */
export function param(name, fallback = "") {
  return route.value.params[name] ?? fallback;
}

/** To the sign-in page, which comes back to where we are. */
export function goToSignIn() {
  if (route.value.page === "signin") return;
  navigate(href("/signin", { next: inside(location.pathname) + location.search }));
}

/** Follow links inside the page without loading it again. */
export function startRouter() {
  addEventListener("popstate", () => (route.value = parse()));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || inside(url.pathname).startsWith("/api/")) return;
    event.preventDefault();
    navigate(inside(url.pathname) + url.search);
  });
}
