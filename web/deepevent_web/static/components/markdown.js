/**
 * Notes in Markdown, made into elements and never into HTML text: whatever is typed is text unless it is one of
 * the forms below. Headings, lists, tasks, quotes, tables, code, rules; strong, emphasis, deleted, code, links
 * whose address is http, https or a path of ours. No images, no HTML, no addresses that turn into links by themselves.
 */
import { h } from "preact";

// Every part has a bound: what never closes must not be searched for to the end of the text, again from each mark.
const INLINE = /`([^`]{1,2000})`|\*\*(?=\S)([^*]{1,2000}?)\*\*|__(?=\S)([^_]{1,2000}?)__|~~(?=\S)([^~]{1,2000}?)~~|\*(?=\S)([^*]{1,2000}?)\*|\b_(?=\S)([^_]{1,2000}?)_\b|\[([^[\]]{1,500})\]\(([^\s()]{1,2000})\)/g;
const MOST_LINES = 2000;
const MOST_CHARACTERS = 10_000;
const DEEPEST = 8;

function inline(text) {
  const out = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    const [whole, code, strong, strong2, deleted, emphasis, emphasis2, label, address] = found;
    if (found.index > at) out.push(text.slice(at, found.index));
    at = found.index + whole.length;
    if (code !== undefined) out.push(h("code", null, code));
    else if (strong ?? strong2) out.push(h("strong", null, inline(strong ?? strong2)));
    else if (deleted) out.push(h("del", null, inline(deleted)));
    else if (emphasis ?? emphasis2) out.push(h("em", null, inline(emphasis ?? emphasis2)));
    else out.push(link(label, address) ?? whole);
  }
  if (at < text.length) out.push(text.slice(at));
  return out;
}

function link(label, address) {
  if (/^https?:\/\//i.test(address)) return h("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, label);
  if (/^\/(?![/\\])/.test(address)) return h("a", { href: address }, label);
  return null;
}

const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;
const isTable = (lines, i) => /\|/.test(lines[i]) && /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test((lines[i + 1] ?? "").slice(0, 1000));
const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
const starts = (lines, i) => /^(#{1,6}\s|```|>|\s*([-*_])(\s*\2){2,}\s*$)/.test(lines[i]) || ITEM.test(lines[i]) || isTable(lines, i);

function item(text) {
  const task = /^\[([ xX])\]\s+(.*)$/.exec(text);
  return task ? [h("input", { type: "checkbox", disabled: true, checked: task[1] !== " ", "aria-label": task[1] === " " ? "open" : "done" }), " ", ...inline(task[2])] : inline(text);
}

function list(lines, i, depth = 0) {
  const [, indent, number] = ITEM.exec(lines[i]);
  const items = [];
  while (i < lines.length) {
    const found = ITEM.exec(lines[i]);
    if (!found || found[1].length < indent.length) break;
    if (found[1].length > indent.length && depth < DEEPEST) {
      const [inner, next] = list(lines, i, depth + 1);
      items[items.length - 1].push(inner);
      i = next;
    } else {
      if (depth < DEEPEST && Boolean(found[2]) !== Boolean(number)) break;
      items.push([...item(found[3])]);
      i += 1;
    }
  }
  return [h(number ? "ol" : "ul", null, items.map((children) => h("li", null, children))), i];
}

/**
 * @param {string} text
 * @returns {object[]} elements
 */
function blocks(text, depth = 0) {
  const lines = text.replace(/\r\n?/g, "\n").split("\n").slice(0, MOST_LINES).map((line) => (line.length > MOST_CHARACTERS ? `${line.slice(0, MOST_CHARACTERS)}…` : line));
  const out = [];
  let i = 0;
  while (i < lines.length) {
    const line = lines[i];
    const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line);
    if (!line.trim()) i += 1;
    else if (line.startsWith("```")) {
      const end = lines.findIndex((other, at) => at > i && other.startsWith("```"));
      const last = end < 0 ? lines.length : end;
      out.push(h("pre", { tabindex: 0 }, h("code", null, lines.slice(i + 1, last).join("\n"))));
      i = last + 1;
    } else if (heading) {
      out.push(h(`h${Math.min(6, heading[1].length + 1)}`, null, inline(heading[2])));
      i += 1;
    } else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
      out.push(h("hr"));
      i += 1;
    } else if (line.startsWith(">") && depth < DEEPEST) {
      let end = i;
      while (end < lines.length && lines[end].startsWith(">")) end += 1;
      out.push(h("blockquote", null, blocks(lines.slice(i, end).map((one) => one.replace(/^>\s?/, "")).join("\n"), depth + 1)));
      i = end;
    } else if (isTable(lines, i)) {
      let end = i + 2;
      while (end < lines.length && lines[end].includes("|")) end += 1;
      out.push(h("table", { class: "plain" }, h("thead", null, h("tr", null, cells(line).map((cell) => h("th", { scope: "col" }, inline(cell))))), h("tbody", null, lines.slice(i + 2, end).map((row) => h("tr", null, cells(row).map((cell) => h("td", null, inline(cell))))))));
      i = end;
    } else if (ITEM.test(line)) {
      const [made, next] = list(lines, i);
      out.push(made);
      i = next;
    } else {
      let end = i + 1;
      while (end < lines.length && lines[end].trim() && !starts(lines, end)) end += 1;
      const parts = lines.slice(i, end).flatMap((one, at) => (at ? [h("br"), ...inline(one.trim())] : inline(one.trim())));
      out.push(h("p", null, parts));
      i = end;
    }
  }
  return out;
}

/** @param {{text: string}} props */
export const Markdown = ({ text }) => h("div", { class: "markdown" }, blocks(text));
