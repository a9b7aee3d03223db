// Keeps a page true: fetches it anew when it is told that it has changed, and sends forms without leaving it. Without this script
// everything works all the same, and pages are read anew by hand.
const live = document.getElementById("live");
let last = 0;
let events;

// Puts the main part of a page in place of what is shown. What somebody has opened or is typing stays.
const show = (text) => {
  const page = new DOMParser().parseFromString(text, "text/html");
  const next = page.getElementById("live");
  if (!next) return location.reload();
  const open = [...live.querySelectorAll("details[open][id]")].map(({ id }) => id);
  const typed = [...live.querySelectorAll("input[id]:not([type=file])")].map(({ id, value, defaultValue }) => [id, value, defaultValue]);
  const focus = document.activeElement?.id;
  const { scrollTop } = live.querySelector(".app") ?? {};
  document.title = page.title;
  for (const name of ["version", "events", "lasts"]) live.dataset[name] = next.dataset[name] ?? "";
  live.replaceChildren(...next.childNodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  for (const [id, value, first] of typed) {
    const field = document.getElementById(id);
    if (field && value !== first) field.value = value;
  }
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
  const app = live.querySelector(".app");
  if (app && scrollTop) app.scrollTop = scrollTop;
  prepare();
};

// Of several answers under way only the last one counts.
const load = async (url, options) => {
  const own = ++last;
  const answer = await fetch(url, options);
  if (own !== last) return answer;
  const isHere = answer.url.split(/[?#]/)[0] === location.href.split(/[?#]/)[0];
  if (answer.ok && !isHere) location.assign(answer.url);
  else if (answer.ok) show(await answer.text());
  return answer;
};

const refresh = () => load(location.href).catch(() => {});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!live || !form.matches("[data-live]")) return;
  event.preventDefault();
  // What was sent is no longer being typed.
  const body = new URLSearchParams(new FormData(form, event.submitter));
  for (const field of form.querySelectorAll("input[id]")) field.defaultValue = field.value;
  load(form.action, { method: "POST", body }).catch(() => form.submit());
});

document.addEventListener("click", (event) => {
  const fill = event.target.closest("[data-fill]");
  if (!fill) return;
  event.preventDefault();
  document.getElementById("username").value = fill.dataset.fill;
  document.getElementById("password").value = fill.dataset.password;
});

// Times of this machine, in the visitor's own zone.
const prepare = () => {
  const now = new Date();
  for (const clock of document.querySelectorAll("time[data-clock]")) {
    clock.textContent = now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
  }
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.textContent = new Date(time.dateTime).toLocaleTimeString([], { hour12: false });
  }
};

setInterval(() => {
  if (!live?.dataset.lasts) return;
  const left = Number(live.dataset.lasts) - 1;
  live.dataset.lasts = left;
  for (const bar of live.querySelectorAll("[data-counts]")) bar.value -= 1;
  const kicker = live.querySelector(".kicker");
  if (kicker && left >= 0) kicker.textContent = `${left} s left`;
  if (left <= 0) {
    live.dataset.lasts = "";
    refresh();
  }
}, 1000);

// A page that nobody sees listens to nothing: browsers have few connections to spare.
const listen = () => {
  events?.close();
  if (document.visibilityState !== "visible") return;
  events = new EventSource(live.dataset.events);
  events.addEventListener("version", ({ data }) => {
    if (data !== live.dataset.version) refresh();
  });
};

if (live) {
  prepare();
  listen();
  document.addEventListener("visibilitychange", listen);
  window.demo = { load, refresh };
}
