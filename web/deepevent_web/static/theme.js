/**
 * Light, dark, or as the system says; kept in this browser. Colours themselves are in tokens.css.
 */
import { effect, signal } from "@preact/signals";

const KEY = "deepevent.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** What was chosen: "light", "dark" or "system". */
export const choice = signal(read());
/** What is shown: "light" or "dark". */
export const shownTheme = signal(document.documentElement.dataset.theme);

function read() {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : "system";
  } catch {
    return "system";
  }
}

/** Choose a theme and keep it. @param {"light"|"dark"|"system"} value */
export function chooseTheme(value) {
  choice.value = value;
  try {
    if (value === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, value);
  } catch {
    // A browser that refuses storage still shows the theme until the page is left.
  }
}

/** Apply the choice, now and whenever it or the system changes. */
export function startTheme() {
  const apply = () => {
    const dark = choice.value === "dark" || (choice.value === "system" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    shownTheme.value = dark ? "dark" : "light";
  };
  effect(apply);
  system.addEventListener("change", apply);
}

/** The present value of a colour token, for what cannot use CSS variables. @param {string} name */
export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
