// Goes on as soon as the phone does, and shows a new code when one has run out under somebody's eyes. Without this script the
// page reads itself anew.
const [code, said, left, onward, renew] =
  ["code", "said", "left", "onward", "renew"].map((id) => document.getElementById(id));
const opened = performance.now();
const waiting = said?.textContent;

const say = (words) => {
  // Screen readers read what changes, so nothing is said twice.
  if (said.textContent !== words) said.textContent = words;
};

// Nobody wants codes for ever on a page that was left open.
const MOST_RENEWALS = 10;
const KEY = `renewals of ${location.search}`;

const renewals = () => Number(sessionStorage.getItem(KEY) ?? 0);

const renewIfSeen = () => {
  if (document.visibilityState !== "visible" || renewals() >= MOST_RENEWALS) return;
  sessionStorage.setItem(KEY, renewals() + 1);
  renew.click();
};

const listen = () => {
  const countdown = setInterval(() => {
    const gone = Math.round((performance.now() - opened) / 1000);
    left.textContent = `${Math.max(0, left.dataset.seconds - gone)} s left`;
  }, 1000);
  const events = new EventSource(code.dataset.events);
  events.onerror = () => say("No connection to the server, we try again");
  events.addEventListener("state", ({ data }) => {
    if (data === code.dataset.state) return say(waiting);
    clearInterval(countdown);
    events.close();
    location.replace(onward.href);
    // Some browsers open an app only for somebody who presses something.
    setTimeout(() => { onward.hidden = false; }, 2000);
  });
};

if (onward) listen();
if (renew && "expired" in renew.dataset) {
  renewIfSeen();
  document.addEventListener("visibilitychange", renewIfSeen);
}
