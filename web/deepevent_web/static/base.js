/**
 * Where the dashboard lies below its host: "" or, behind a proxy, "/deepevent".
 * Everywhere else addresses are written as if it were "": this module puts the base in front of every link
 * and image as it is made, and takes it off what the browser says. It knows no page.
 */
import { options } from "preact";

/** The path below which everything lies, without a slash at its end. */
export const BASE = document.querySelector('meta[name="base"]').content;

/** An address of ours as the browser needs it; others stay as they are. @param {string} address */
export function placed(address) {
  const ours = BASE && address.startsWith("/") && !address.startsWith("//");
  return ours && address !== BASE && !address.startsWith(`${BASE}/`) ? BASE + address : address;
}

/** A path of the browser as the dashboard writes it. @param {string} path */
export function inside(path) {
  if (path === BASE) return "/";
  return BASE && path.startsWith(`${BASE}/`) ? path.slice(BASE.length) : path;
}

const ADDRESSES = { a: "href", img: "src" };
const before = options.vnode;
options.vnode = (node) => {
  const name = ADDRESSES[node.type];
  if (name && typeof node.props[name] === "string") node.props[name] = placed(node.props[name]);
  before?.(node);
};
