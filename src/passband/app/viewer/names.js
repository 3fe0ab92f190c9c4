// Gives names and states to what Gradio leaves without them, hides its icons from screen readers, says which words are
// English, and takes controls of the writing direction out of names of files, which could let `gpj.exe` read as
// `exe.jpg`.

const DIRECTIONS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const text = (element) => element?.textContent.trim() || "";

const root = document.documentElement;
let translation = ""; // language of the few words that Gradio translates

function complete() {
  if (root.lang && root.lang !== "en") [translation, root.lang] = [root.lang, "en"];
  for (const words of document.querySelectorAll("[aria-label='Click to upload or drop files']"))
    if (translation) words.lang = translation;
  for (const icon of document.querySelectorAll("svg:not([aria-hidden], [aria-label], [role])"))
    icon.setAttribute("aria-hidden", "true");
  for (const button of document.querySelectorAll("button.label-wrap")) {
    button.setAttribute("aria-expanded", String(button.classList.contains("open")));
    button.querySelector(".icon")?.setAttribute("aria-hidden", "true");
  }
  for (const image of document.querySelectorAll("button img")) image.alt = ""; // the button has a text
  for (const group of document.querySelectorAll("fieldset:not([aria-label])"))
    group.setAttribute("aria-label", text(group.querySelector("[data-testid=block-info]")));
  for (const box of document.querySelectorAll("textarea:not([aria-label])"))
    box.setAttribute("aria-label", text(box.closest(".block")?.querySelector("[data-testid=block-info]")));
  for (const list of document.querySelectorAll("[role=listbox]:not([aria-label])")) {
    const input = document.querySelector(`[aria-controls="${list.id}"]`);
    list.setAttribute("aria-label", input?.getAttribute("aria-label") || "Choices");
  }
  for (const part of document.querySelectorAll(".file-preview .filename, .file-preview .filename *"))
    for (const node of part.childNodes)
      if (node.nodeType === Node.TEXT_NODE && node.data.search(DIRECTIONS) >= 0)
        node.data = node.data.replace(DIRECTIONS, "\ufffd");
  for (const row of document.querySelectorAll(".file-preview tr")) {
    const [cell, link] = [row.querySelector(".filename"), row.querySelector("a")];
    const name = cell?.getAttribute("aria-label")?.replace(DIRECTIONS, "\ufffd") || "";
    cell?.setAttribute("aria-label", name);
    row.querySelector("button")?.setAttribute("aria-label", `Remove ${name}`);
    link?.setAttribute("aria-label", `Download ${name}, ${text(link)}`);
  }
  for (const button of document.querySelectorAll("[aria-label='common.upload']")) {
    button.setAttribute("aria-label", "Upload other files"); // Gradio shows the key of a translation
    button.title = "Upload other files";
  }
}

let waits = false;
new MutationObserver(() => {
  if (waits) return;
  waits = true;
  requestAnimationFrame(() => {
    waits = false;
    complete();
  });
}).observe(document, { childList: true, characterData: true, subtree: true, attributeFilter: ["class"] });
