// Asks whether the phone has done what the page waits for, and goes on when it has. Without this script the page reads itself
// anew.
const [progress, said, left, onward, number] =
  ["progress", "said", "left", "onward", "number"].map((id) => document.getElementById(id));
const waiting = said.textContent;
const opened = performance.now();

const say = (words) => {
  // Screen readers read what changes, so nothing is said twice.
  if (said.textContent !== words) said.textContent = words;
};

const countdown = left && setInterval(() => {
  const gone = Math.round((performance.now() - opened) / 1000);
  const seconds = Math.max(0, left.dataset.seconds - gone);
  left.textContent = seconds > 180 ? `${Math.ceil(seconds / 60)} min left` : `${seconds} s left`;
}, 1000);

// One question to the server, which answers when the flow has moved. A browser that was put to sleep may never hear the
// answer, so it asks anew when somebody looks at the page again.
const ask = async () => {
  const stop = new AbortController();
  const give_up = () => stop.abort();
  const limit = setTimeout(give_up, 30000);
  document.addEventListener("visibilitychange", give_up);
  try {
    return await fetch(progress.dataset.wait, { headers: { Prefer: "wait=20" }, signal: stop.signal });
  } finally {
    clearTimeout(limit);
    document.removeEventListener("visibilitychange", give_up);
  }
};

// Whether the page is as true as when it was read.
const is_true = (now) =>
  now.status === progress.dataset.status && now.numberMatching?.number === number?.textContent;

const answered = async () => {
  for (;;) {
    const asked = performance.now();
    try {
      const answer = await ask();
      if (answer.status === 404) return;
      if (answer.ok && !is_true(await answer.json())) return;
      say(answer.ok ? waiting : "The server is busy, we try again");
    } catch (error) {
      if (error.name === "AbortError") continue;
      say("No connection to the server, we try again");
    }
    // Answers that come at once must not become a storm of questions.
    if (performance.now() - asked < 1000) await new Promise((over) => setTimeout(over, 2000));
  }
};

answered().then(() => {
  clearInterval(countdown);
  say("Done");
  left?.remove();
  location.replace(onward.href);
  // Some browsers open an app only for somebody who presses something.
  setTimeout(() => { onward.hidden = false; }, 2000);
});
