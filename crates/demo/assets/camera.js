// Gives the phone a picture to look at: what is pasted or dropped, a file, or another window of this screen. It goes to the phone
// as PNG, whatever it was before.
const finder = () => document.querySelector("[data-camera]");

const say = (words) => {
  const said = finder()?.querySelector("[data-said]");
  if (said) said.textContent = words;
};

// The largest side of a picture that is sent.
const LARGEST = 3000;

const drawn = (source, width, height) => {
  const scale = Math.min(1, LARGEST / Math.max(width, height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
};

const look = async (picture) => {
  const answer = await window.demo.load(finder().dataset.camera, {
    method: "POST", headers: { "Content-Type": "image/png" }, body: picture,
  });
  return answer.ok;
};

const lookAt = async (file) => {
  say("Looking…");
  try {
    const image = await createImageBitmap(file);
    if (!await look(await drawn(image, image.width, image.height))) {
      say("There is no code on this picture.");
    }
  } catch {
    say("This picture cannot be read.");
  }
};

const paste = (data) => {
  const file = [...data.files].find(({ type }) => type.startsWith("image/"));
  if (file) return lookAt(file);
  const text = data.getData("text/plain").trim();
  const field = document.getElementById("code");
  if (!text || !field) return;
  field.value = text;
  field.form.requestSubmit();
};

document.addEventListener("paste", (event) => {
  const isTyped = event.target.matches?.("input") && !event.clipboardData.files.length;
  if (!finder() || isTyped) return;
  event.preventDefault();
  paste(event.clipboardData);
});
document.addEventListener("dragover", (event) => {
  if (!finder()) return;
  event.preventDefault();
  finder().classList.add("over");
});
document.addEventListener("dragleave", () => finder()?.classList.remove("over"));
document.addEventListener("drop", (event) => {
  if (!finder()) return;
  event.preventDefault();
  finder().classList.remove("over");
  paste(event.dataTransfer);
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-picture]") && event.target.files[0]) lookAt(event.target.files[0]);
});

// Looks at another window until there is a code, for a quarter of a minute at most.
const point = async () => {
  const stream = await navigator.mediaDevices.getDisplayMedia({ video: true });
  const video = document.createElement("video");
  video.srcObject = stream;
  try {
    await video.play();
    say("Looking for a code…");
    for (let n = 0; n < 15 && finder(); n += 1) {
      if (await look(await drawn(video, video.videoWidth, video.videoHeight))) return;
      await new Promise((over) => setTimeout(over, 1000));
    }
    say("There was no code to be seen.");
  } finally {
    for (const track of stream.getTracks()) track.stop();
  }
};
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-point]")) point().catch(() => say("The other window cannot be seen."));
});

// Phones and some browsers cannot show one window to another.
const offer = () => {
  const button = document.querySelector("[data-point]");
  if (button) button.hidden = !navigator.mediaDevices?.getDisplayMedia;
};
offer();
new MutationObserver(offer).observe(document.body, { childList: true, subtree: true });
