/**
 * What can stand where the caret is in a filter: names, operators, values, connectives. It reads the text up to
 * the caret as the server's grammar does (docs/api.md), without judging it; pure but for the names it is given.
 */

const TOKEN = /\s+|"(?:\\.|[^"\\])*"?|<=|>=|!=|[=<>()[\],.]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[A-Za-z_][\w]*(?:\.\w+)*\.?|./g;
const TEXTS = ["status", "name", "project", "group", "notes"];
const NUMBERS = ["created", "duration"];
const PLAIN = /^[A-Za-z_]\w*(\.\w+)*$/;
const MOST = 40;

/** Tokens with their places; spaces left out. @param {string} text */
function tokens(text) {
  return [...text.matchAll(TOKEN)].filter(([t]) => t.trim()).map((m) => ({ text: m[0], at: m.index, end: m.index + m[0].length }));
}

/** As the filter language writes a config key. @param {string} source @param {string} key */
export const fieldName = (source, key) => (PLAIN.test(key) ? `${source}.${key}` : `${source}[${JSON.stringify(key)}]`);

function allNames(names) {
  return [
    ...TEXTS.map((text) => ({ text, note: "text" })),
    ...NUMBERS.map((text) => ({ text, note: text === "created" ? 'a date: "2026-11-24"' : "seconds" })),
    { text: "archived", note: "true or false" },
    { text: "tags", note: '"lfw" in tags' },
    ...names.config.map((key) => ({ text: fieldName("config", key), note: "config" })),
    ...names.metrics.flatMap((name) => ["last", "min", "max", "n"].map((what) => ({ text: `metrics[${JSON.stringify(name)}].${what}`, note: "metric" }))),
    ...names.summary.map((key) => ({ text: fieldName("summary", key), note: "summary" })),
    { text: "not", note: "turns the next around" },
    ...names.tags.map((tag) => ({ text: `${JSON.stringify(tag)} in tags`, note: "tag" })),
  ];
}

function operators(field) {
  const words = [];
  if (TEXTS.includes(field) || /^(config|summary)/.test(field)) words.push(["=", "is"], ["!=", "is not"], ["contains", "holds the text"], ["in [", "one of"]);
  if (!TEXTS.includes(field)) words.push(...(words.length ? [] : [["=", "is"], ["!=", "is not"]]), ["<", "below"], ["<=", "at most"], [">", "above"], [">=", "at least"]);
  if (!NUMBERS.includes(field)) words.push(["exists", "the run has it"]);
  if (field === "tags") return [["contains", "has the tag"], ["exists", "has any"]].map(([text, note]) => ({ text, note }));
  return words.map(([text, note]) => ({ text, note }));
}

/** The field before a place: a path, or a path with a key in brackets and what of it. */
function fieldAt(list, end) {
  let i = end;
  if (i >= 3 && PLAIN.test(list[i].text) && list[i - 1].text === "." && list[i - 2].text === "]") i -= 2;
  if (list[i]?.text === "]" && list[i - 2]?.text === "[" && list[i - 3]) return { from: i - 3, text: list.slice(i - 3, end + 1).map((t) => t.text).join("") };
  return PLAIN.test(list[i]?.text ?? "") && !KEYWORDS.has(list[i].text) ? { from: i, text: list[i].text } : null;
}

const KEYWORDS = new Set(["and", "or", "not", "in", "contains", "exists", "true", "false"]);
const COMPARES = new Set(["=", "!=", "<", "<=", ">", ">=", "contains"]);

/**
 * @param {string} text the filter
 * @param {number} caret
 * @param {{config: string[], summary: string[], metrics: string[], tags: string[]}} names
 * @returns {{from: number, to: number, options: {text: string, note: string}[], valuesOf: string|null, typed: string}}
 *   what would replace `from` to `to`; `valuesOf` names a field whose values the server knows
 */
export function complete(text, caret, names) {
  const list = tokens(text.slice(0, caret));
  const last = list[list.length - 1];
  const touching = last && last.end === caret && !/^[()[\],=<>!]/.test(last.text) ? last : null;
  const done = touching ? list.slice(0, -1) : list;
  // A name with brackets is one thing to replace: metrics["val is completed from its beginning.
  let open = touching;
  let before = done;
  const bracket = done.length - 1;
  if (done[bracket]?.text === "[" && /^(config|summary|metrics)$/.test(done[bracket - 1]?.text ?? "")) {
    open = { text: text.slice(done[bracket - 1].at, caret), at: done[bracket - 1].at };
    before = done.slice(0, -2);
  } else if (last?.text === "[" && /^(config|summary|metrics)$/.test(done[done.length - 2]?.text ?? "")) {
    open = { text: text.slice(done[done.length - 2].at, caret), at: done[done.length - 2].at };
    before = done.slice(0, -2);
  }
  const from = open ? open.at : caret;
  const typed = open ? open.text : "";
  const answer = (options, valuesOf = null) => ({ from, to: caret, typed, valuesOf, options: pick(options, typed) });
  const at = before.length - 1;
  const previous = before[at]?.text;
  if (previous === undefined || ["and", "or", "not", "("].includes(previous)) return answer(allNames(names));
  if (COMPARES.has(previous)) {
    const field = fieldAt(before, at - 1);
    if (field?.text === "tags") return answer(names.tags.map((tag) => ({ text: JSON.stringify(tag), note: "tag" })));
    return answer(field?.text === "archived" ? TRUTH : [], valued(field?.text));
  }
  if (previous === "[" || previous === ",") {
    let open = at;
    while (open > 0 && before[open].text !== "[") open -= 1;
    if (before[open - 1]?.text === "in") return answer([], valued(fieldAt(before, open - 2)?.text));
  }
  if (previous === "in") return answer([{ text: "tags", note: "the run's tags" }, { text: "name", note: "text" }, { text: "[", note: "a list" }]);
  const field = fieldAt(before, at);
  const isValue = COMPARES.has(before[(field?.from ?? at) - 1]?.text) || before[at - 1]?.text === "in";
  if (field && !isValue) return answer(operators(field.text));
  if (/^"/.test(previous) && !isValue) return answer([{ text: "in tags", note: "the run has the tag" }, { text: "in name", note: "the name holds it" }]);
  return answer([{ text: "and", note: "both" }, { text: "or", note: "either" }]);
}

const TRUTH = [{ text: "true", note: "" }, { text: "false", note: "" }];

/** Fields of which the server can list values. */
function valued(field) {
  return field && !NUMBERS.includes(field) && field !== "archived" && !field.startsWith("metrics") ? field : null;
}

/** Options that fit what is typed: those that begin so, then those that hold it. @param {{text: string, note: string}[]} options @param {string} typed */
export function pick(options, typed) {
  const low = typed.toLowerCase();
  const bare = low.replace(/^"/, "");
  const rank = ({ text }) => {
    const t = text.toLowerCase();
    if (t === low) return 3; // complete already
    if (t.startsWith(low)) return 0;
    return bare && t.includes(bare) ? 1 : 2;
  };
  return options.map((option, i) => [rank(option), i, option]).filter(([r]) => r < 2).sort((a, b) => a[0] - b[0] || a[1] - b[1]).slice(0, MOST).map(([, , option]) => option);
}
