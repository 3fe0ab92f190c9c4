// Gives names to what Gradio leaves without one, hides its icons from screen readers, and takes controls of the writing
// direction out of names of files, which could let `gpj.exe` read as `exe.jpg`.

const DIRECTIONS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const text = (element) => element?.textContent.trim() || "";

function complete() {
  for (const icon of document.querySelectorAll("svg:not([aria-hidden], [aria-label], [role])"))
    icon.setAttribute("aria-hidden", "true");
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
}).observe(document, { childList: true, subtree: true });
