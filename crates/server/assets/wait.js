// Asks whether the phone has answered, and shows the next page when it has. Without this script the page reads itself anew.
const main = document.querySelector("[data-wait]");
const ask = async () => {
  for (;;) {
    try {
      const answer = await fetch(main.dataset.wait, { headers: { Prefer: "wait=20" } });
      if (!answer.ok || (await answer.json()).status !== main.dataset.status) break;
    } catch {
      await new Promise((again) => setTimeout(again, 2000));
    }
  }
  location.reload();
};
ask();
