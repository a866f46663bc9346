/**
 * The media of one run: read page by page from the server, added to by the socket, each item once.
 * It knows the API and the socket, and no pictures.
 */
import { useEffect, useState } from "preact/hooks";
import { getMedia } from "./api.js";
import { onMedia, onReconnect } from "./live.js";

const PAGE_SIZE = 100;

/**
 * All media of a kind, oldest step first.
 * @param {string} run @param {string} kind
 * @returns {{items: object[], loading: boolean, error: Error|null}}
 */
export function useMedia(run, kind) {
  const [state, setState] = useState({ items: [], loading: true, error: null });
  useEffect(() => {
    if (!run) return undefined;
    const stop = new AbortController();
    const byId = new Map();
    const add = (media) => media.forEach((item) => item.run === run && item.kind === kind && byId.set(item.id, item));
    const show = (rest) => setState({ items: [...byId.values()].sort(inOrder), ...rest });
    const load = async () => {
      let cursor;
      try {
        do {
          const page = await getMedia(run, { kind, limit: PAGE_SIZE, cursor }, stop.signal);
          add(page.media);
          cursor = page.next;
          show({ loading: Boolean(cursor), error: null });
        } while (cursor);
      } catch (error) {
        if (error.name !== "AbortError") show({ loading: false, error });
      }
    };
    load();
    const deaf = [
      onMedia((media) => {
        const before = byId.size;
        add(media);
        if (byId.size !== before) show({ loading: false, error: null });
      }),
      onReconnect(load),
    ];
    return () => {
      stop.abort();
      deaf.forEach((end) => end());
    };
  }, [run, kind]);
  return state;
}

const inOrder = (a, b) => Number(a.step) - Number(b.step) || Number(a.time) - Number(b.time) || (String(a.id) < String(b.id) ? -1 : 1);

/**
 * Photographs with their events over the epochs: one per name and image.
 * @param {object[]} items
 * @returns {{key: string, name: string, blob: string, mime: string, events: object[]}[]}
 */
export function photographs(items) {
  const found = new Map();
  for (const item of items) {
    const key = `${item.name}\n${item.blob}`;
    if (!found.has(key)) found.set(key, { key, name: item.name, blob: item.blob, mime: item.mime, events: [] });
    found.get(key).events.push(item);
  }
  return [...found.values()];
}

/** The newest event of a photograph up to a step: it need not be logged at every one. @param {{events: object[]}} photo @param {number} step */
export const eventUpTo = (photo, step) => photo.events.findLast((event) => Number(event.step) <= step) || photo.events[0];
