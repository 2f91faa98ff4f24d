// Keeps an open page up to date: texts and bars are put in as the server sends them; when the runs that a page shows are
// others than before, its changing part is loaded anew. Without this script the page is the same, until it is reloaded.
"use strict";
(() => {
  const PAUSE_MS = 1000;
  const AGAIN_MS = 30000;
  const live = () => document.getElementById("live");
  const say = (words) => {
    const place = document.getElementById("live-state");
    if (place.textContent !== words) place.textContent = words;
  };
  if (!live() || !window.EventSource) return;

  let loaded = Date.now();
  let loading = false;
  let wanted = false;

  const reload = async () => {
    if (loading) { wanted = true; return; }
    loading = true;
    wanted = false;
    loaded = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = parsed.getElementById("live");
      if (answer.ok && fresh) replace(fresh);
    } catch (error) {
      say("Not connected: the page may be old.");
    }
    setTimeout(() => { loading = false; if (wanted) reload(); }, PAUSE_MS);
  };

  const replace = (fresh) => {
    const old = live();
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const open = [...old.querySelectorAll("details")].map((one) => one.open);
    old.replaceWith(document.adoptNode(fresh));
    live().querySelectorAll("details").forEach((one, n) => { if (n in open) one.open = open[n]; });
    if (focused && document.getElementById(focused)) document.getElementById(focused).focus({ preventScroll: true });
  };

  const shown = () => [live(), ...live().querySelectorAll("[data-active]")]
    .map((one) => one.dataset.active).filter(Boolean);

  const isOld = (news) => {
    const active = new Set(news.active);
    const here = shown();
    // where there are more active runs than are told of, one that isn't among them may just as well be active
    if (here.some((run) => !active.has(run))) return news.complete || Date.now() - loaded > AGAIN_MS;
    const { follow, run } = live().dataset;
    if (follow === "all" && here.length !== active.size) return true;
    if (run && active.has(run) && !here.includes(run)) return true;
    if (follow !== "failed") return false;
    const before = live().dataset.failed;
    live().dataset.failed = news.texts.failed;
    return before !== undefined && before !== news.texts.failed;
  };

  // sentences are shown with what stands between backquotes as code
  const same = (words, shown) => words.replaceAll("`", "") === shown.replaceAll("`", "");

  const put = (news) => {
    let states = false;
    for (const place of live().querySelectorAll("[data-live]")) {
      const words = news.texts[place.dataset.live];
      if (words === undefined || same(words, place.textContent)) continue;
      if (place.dataset.live.startsWith("state.")) states = true;
      place.textContent = words;
      if (/^(state|attempt|count|pending|failed)/.test(place.dataset.live)) {
        place.classList.remove("changed");
        requestAnimationFrame(() => place.classList.add("changed"));
      }
    }
    for (const bar of live().querySelectorAll("[data-bar]")) {
      const share = news.bars[bar.dataset.bar];
      if (share !== undefined) bar.value = share;
    }
    if (states || isOld(news)) reload();
  };

  const listen = () => {
    const source = new EventSource("/events");
    source.addEventListener("open", () => say("Kept up to date."));
    source.addEventListener("news", (event) => { say("Kept up to date."); put(JSON.parse(event.data)); });
    source.addEventListener("trouble", (event) => say(JSON.parse(event.data).sentence));
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) { say("Not connected: the page may be old."); return; }
      // too many listen: look now and then
      say("Loaded anew every half a minute.");
      setTimeout(() => { reload(); listen(); }, AGAIN_MS);
    });
    addEventListener("pagehide", () => source.close());
  };
  listen();
})();
